"""The files of a package.

package.json      what the model is: kind, task, labels' order, tokens read of a text, tolerances
labels.json       each label with its ICD-10 codes and names
thresholds.json   of a multi-label model, on the model's own scores
calibration.json  how probabilities are calibrated; null where validation records were too few
conformal.json    the cuts of prediction sets with their guarantees, and what was measured
reference.json    label rates on validation records, which monitoring compares with
drift.*           what validation texts and answers were like: counts, and means of vectors
abstention.json   the certainty below which the model leaves a record to the doctor
measured.json     scores on test records, calibration, robustness and groups of patients
findings.json     what typically speaks for each label; departments.json: where it is seen
cases.jsonl       training records that may be shown, where the project says so
explanation.json  the neutral text that explanations start from, and the probabilities there
selftest.json     made-up texts, and what the run's own model says of them
source.json       which columns of a table are read; no path, address or query
deid.json         how texts are de-identified before the model reads them; never a key
normalizer/       steps and tables, where the run had them
model.onnx        the network in fp32; model.int8.onnx: the same with int8 weights
tokenizer.json    of a transformer; vocabulary.json: of a network with its own
model/            of a TF-IDF model instead: JSON and safetensors
model_card.*      `emrobust card`
data_use.json     by what right the records were used, and until when
LICENSES.md       what the parts are licensed under
manifest.json     checksums of all of these; manifest.sha256: the manifest's own
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from emrobust import runs
from emrobust.config import Governance
from emrobust.errors import RunError

FACTS = "package.json"
LABELS = "labels.json"
THRESHOLDS = "thresholds.json"
CALIBRATION = "calibration.json"
CONFORMAL = "conformal.json"
REFERENCE = "reference.json"
ABSTENTION = "abstention.json"
DRIFT = "drift.json"
DRIFT_ARRAYS = "drift.safetensors"
FINDINGS = "findings.json"
DEPARTMENTS = "departments.json"
MEASURED = "measured.json"
CASES = "cases.jsonl"
EXPLANATION = "explanation.json"
SELFTEST = "selftest.json"
SOURCE = "source.json"
DEID = "deid.json"
DATA_USE = "data_use.json"
LICENSES = "LICENSES.md"
NORMALIZER = "normalizer"
FP32 = "model.onnx"
INT8 = "model.int8.onnx"
TOKENIZER = "tokenizer.json"
VOCABULARY = "vocabulary.json"
MODEL = "model"
DIGEST = "manifest.sha256"

WHAT = "emrobust package"
VERSION = 3


def is_package(folder: Path) -> bool:
    """Whether this folder says that it is a package, whole or not."""
    if not (folder / runs.MANIFEST).is_file():
        return False
    try:
        found = runs.read_json(folder / runs.MANIFEST)
    except RunError:
        # A package whose manifest is broken shall be refused as one.
        return (folder / DIGEST).is_file()
    facts = found.get("facts") if isinstance(found, dict) else None
    return (isinstance(facts, dict) and facts.get("what") == WHAT) or (folder / DIGEST).is_file()


def seal(folder: Path, facts: dict[str, Any]) -> None:
    """Write the manifest and its checksum; nothing may be changed afterwards."""
    runs.write_manifest(folder, {"what": WHAT, "version": VERSION, **facts})
    runs.write_text(folder / DIGEST, _digest(folder))


def _digest(folder: Path) -> str:
    return runs.checksum(folder / runs.MANIFEST) + "\n"


def verify(folder: Path, today: dt.date | None = None) -> dict[str, Any]:
    """Check a package's files, version and data-use record; the manifest's facts.

    Args:
        folder: the package.
        today: the day on which its data-use record must still hold; absent: this machine's.

    Raises:
        ConfigError: the last day of the data-use record is over.
        RunError: it does not exist, is no package, is of another version, or a file of it is
            missing or was changed.
    """
    runs.need_folder(folder)
    if not is_package(folder):
        raise RunError(f"{folder} is no package", "Give a folder that `emrobust export` wrote.")
    _verify_manifest(folder)
    found = runs.read_json(folder / runs.MANIFEST)["facts"].get("version")
    if found != VERSION:
        raise RunError(
            f"{folder} is a package of format {found}, this version of emrobust reads {VERSION}",
            "Export the run again with this version, or install the version that wrote it.",
        )
    facts = runs.verify_manifest(folder)
    _refuse_others(folder)
    Governance.model_validate(runs.read_json(folder / DATA_USE)).refuse_expired(today)
    return facts


def days_left(folder: Path, today: dt.date | None = None) -> int | None:
    """Days until the last one on which the training records may be used; None without a record.

    Args:
        folder: a package.
        today: the day that it is; absent: this machine's.
    """
    last = Governance.model_validate(runs.read_json(folder / DATA_USE)).retain_until
    day = today or dt.datetime.now().astimezone().date()
    return None if last is None else (last - day).days


def _verify_manifest(folder: Path) -> None:
    """The manifest vouches for all other files, so something must vouch for it."""
    try:
        expected = (folder / DIGEST).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        expected = ""
    if expected != _digest(folder):
        raise RunError(
            f"{folder / runs.MANIFEST} or {DIGEST} beside it was changed after it was written",
            "Copy the package again from where it came, or export the run again.",
        )


def _refuse_others(folder: Path) -> None:
    """A file that nobody vouches for has no business in a package."""
    known = {runs.MANIFEST, DIGEST, *runs.read_json(folder / runs.MANIFEST)["files"]}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.relative_to(folder).as_posix() not in known:
            raise RunError(
                f"{file} does not belong to the package: its manifest does not name it",
                "Take it out, or copy the package again from where it came.",
            )
