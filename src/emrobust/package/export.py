"""A finished run → a package."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emrobust import labels, rng, runs
from emrobust.config import Project
from emrobust.errors import ConfigError, InputError, LabelError, ModelError
from emrobust.evaluate import run as evaluation
from emrobust.labels import table as class_table
from emrobust.models.estimator import TextClassifier
from emrobust.models.network import Network, WordNetwork
from emrobust.models.transformer import Transformer
from emrobust.onnx import graph, probe
from emrobust.package import decisions, drift, layout, lessons, measured, model, selftest
from emrobust.report import card
from emrobust.train import run as training
from emrobust.train.run import Run

# Validation records of the drift reference.
_LEAST_REFERENCE, _MOST_REFERENCE = 50, 5000
_LOST = "the records that the run was trained on were not found"
_WHERE = "Give the folder that `emrobust prepare` wrote with --data."


class Exported(NamedTuple):
    """What was written.

    Attributes:
        folder: the package.
        report: its self-test on this machine.
        notes: what it lacks and why, sentence by sentence.
    """

    folder: Path
    report: selftest.Report
    notes: tuple[str, ...]


def export(
    folder: Path,
    out: Path,
    today: dt.date | None = None,
    *,
    taught: Path | None = None,
    cases: int = 0,
    least: int = lessons.LEAST_PATIENTS,
    report: Path | None = None,
) -> Exported:
    """Write the package of a run, all or nothing, and load it once.

    Args:
        folder: a finished run.
        out: folder to write; a package that lies there is replaced.
        today: the day on which the data-use record must still hold; absent: this machine's.
        taught: the records file that the run was trained on; without it the package has no
            findings, departments, cases and drift reference (`emrobust.pipeline.export` finds it).
        cases: training records to show as similar cases, where the project lets it.
        least: patients that must share what the package tells of training records.
        report: a folder that `emrobust evaluate` wrote of the run, for robustness and groups.

    Raises:
        ConfigError: the data-use record is over, or ``out`` holds something else, or cases are
            wanted that may not be shown, or the report is of another run.
        ModelError: the model cannot be written as ONNX.
        RunError: no finished run, or a cross-validated one, which has no single model.
        StorageError: ``out`` cannot be written.
    """
    run = training.load(folder, today)
    fitted = run.estimator()
    if out.exists() and not layout.is_package(out) and (out.is_file() or any(out.iterdir())):
        raise ConfigError(
            f"{out} exists and is no package, so it is not overwritten",
            "Give a new folder with --out.",
        )
    notes: list[str] = []
    with runs.atomic_folder(out) as partial:
        facts = _write_model(fitted, partial)
        decisions.write(run, partial, notes)
        _write_surroundings(run, partial, notes)
        _write_measures(run, partial, notes, report=report, least=least)
        _write_selftest(fitted, partial)
        _write_lessons(run, partial, facts, notes, taught=taught, cases=cases, least=least)
        runs.write_json(partial / layout.FACTS, {**_about(run), **facts, "notes": notes})
        layout.seal(partial, {"run": run.facts.get("data", ""), "kind": facts["kind"]})
    return Exported(out, model.load(out, today=today).report, tuple(notes))


def _about(run: Run) -> dict[str, Any]:
    return {
        "project": run.project.name,
        "language": run.project.language,
        "task": run.project.labels.task,
        "model": run.project.model.name,
        "int8_tolerance": probe.INT8_LARGEST,
    }


def _write_model(fitted: TextClassifier, target: Path) -> dict[str, Any]:
    """The network as ONNX, or a TF-IDF model as it is saved; what is needed to open it."""
    network = getattr(fitted, "network_", None)
    if not isinstance(network, Network):
        if fitted.kind != "tfidf":
            raise ModelError(f"there is no way to pack a model of the kind {fitted.kind!r}")
        fitted.save(target / layout.MODEL)
        return {"kind": "tfidf"}
    network = network.cpu().eval()
    graph.write_fp32(network, target / layout.FP32)
    graph.write_int8(target / layout.FP32, target / layout.INT8)
    if fitted.normalizer is not None:
        fitted.normalizer.save(target / layout.NORMALIZER)
    longest = cast("Any", fitted).max_length
    _write_tokens(network, target)
    if isinstance(network, Transformer):
        longest = network.limit(longest)
    return {"kind": "onnx", "pad": network.pad, "max_length": longest}


def _write_tokens(network: Network, target: Path) -> None:
    if isinstance(network, WordNetwork):
        runs.write_json(target / layout.VOCABULARY, network.vocabulary.tokens)
        return
    tokenizer = getattr(network, "tokenizer", None)
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            "this checkpoint's tokenizer is of the slow kind, which only its own program runs",
            "Give the checkpoint a tokenizer.json and train again, or use the run folder.",
        )
    cast("Any", tokenizer).backend_tokenizer.save(str(target / layout.TOKENIZER))


def _write_surroundings(run: Run, target: Path, notes: list[str]) -> None:
    """Labels, columns, de-identification, data use, licences and card: all but the model."""
    project = run.project
    runs.write_json(target / layout.LABELS, _label_table(run, notes))
    kept = {
        *("encoding", "delimiter", "separator", "label_separator"),
        *("columns", "table", "header_row", "date_order"),
    }
    source = project.source.model_dump(mode="json", include=kept, exclude_none=True)
    path = project.source.path
    runs.write_json(
        target / layout.SOURCE,
        {"columns_of": source, "suffix": "" if path is None else path.suffix},
    )
    # The key stays at home, and where it lay is nobody's business.
    settings = project.deid.model_dump(mode="json", exclude={"key_file"}, exclude_none=True)
    runs.write_json(
        target / layout.DEID,
        {"settings": settings, "needs_key": project.deid.key_file is not None},
    )
    runs.write_json(target / layout.DATA_USE, project.governance.public())
    template = resources.files(__package__).joinpath("licences.md").read_text(encoding="utf-8")
    runs.write_text(target / layout.LICENSES, template.format(origin=_origin(project)))


def _origin(project: Project) -> str:
    settings = project.model.settings()
    if project.model.name not in ("transformer", "embedding"):
        return "random weights; nothing of others is in it."
    named = settings.get("checkpoint", "emrobust/zh-small")
    if named == "emrobust/zh-small":
        return (
            "emrobust/zh-small, weights by this project, Apache-2.0; its README tells its sources."
        )
    return f"the checkpoint {Path(named).name}; its own licence holds for what was made of it."


def _label_table(run: Run, notes: list[str]) -> list[dict[str, Any]]:
    """Name, ICD-10 codes and titles of each label; no counts, which could tell of few people."""
    codes: dict[str, list[str]] = {name: [] for name in run.names}
    try:
        for code, name in _codes(run.project, run.names):
            if name in codes:
                codes[name].append(code)
    except (LabelError, OSError):
        notes.append("No codes in the label table: the project's class table cannot be read.")
    titles = run.label_set.titles
    return [
        {"name": name, "codes": sorted(codes[name]), "titles": titles.get(name, {})}
        for name in run.names
    ]


def _codes(project: Project, names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of an ICD-10 code and its class."""
    if project.labels.kind != "icd10":
        return []
    if project.labels.table is not None:
        return list(class_table.read(project.labels.table, project.labels.kind).classes.items())
    found = []
    for name in names:
        try:
            labels.parse(name)
        except LabelError:
            continue  # `other` has no code
        found.append((name, name))
    return found


def _write_lessons(
    run: Run,
    target: Path,
    facts: dict[str, Any],
    notes: list[str],
    *,
    taught: Path | None,
    cases: int,
    least: int,
) -> None:
    """What can be told of the records: findings, departments, cases, and the drift reference."""
    if taught is None:
        if cases:
            raise ConfigError("cases need the training records", _WHERE)
        notes.append(f"No findings, departments and drift reference: {_LOST}.")
        return
    project = run.project
    learned = lessons.read(taught, "train")
    known_as = {name: run.label_set.titles.get(name, {}).values() for name in run.names}
    notes += lessons.write(target, project, known_as, learned, least=least, cases=cases)
    known = lessons.read(taught, "validation")
    texts, own = _align(run, known)
    if len(texts) < _LEAST_REFERENCE:
        notes.append(f"No drift reference: {len(texts)} validation records are too few.")
        return
    about = {**facts, "language": project.language}
    drift.write(target, texts, own, facts=about, seed=project.seed)


def _align(run: Run, known: lessons.Taught) -> tuple[list[str], np.ndarray]:
    """Validation texts and the model's own probabilities of them, at most so many, at random."""
    text_of = dict(zip(known.record_ids, known.texts, strict=True))
    table = pq.read_table(run.folder / training.PREDICTIONS)
    table = table.filter(pc.equal(table["split"], "validation"))
    drawn = rng.generator(run.project.seed, "drift").permutation(table.num_rows)
    table = table.take(np.sort(drawn[:_MOST_REFERENCE]))
    own = np.array(table["probability"].to_pylist(), dtype=np.float64)
    return [text_of[of] for of in table["record_id"].to_pylist()], own.reshape(-1, len(run.names))


def _write_measures(
    run: Run, target: Path, notes: list[str], *, report: Path | None, least: int
) -> None:
    """The card, and what was measured of the model."""
    language = run.project.language
    try:
        found = evaluation.evaluate(run)
    except InputError as error:
        notes.append(f"No model card: {error.message}.")
        return
    card.write_card(target, card.fill(run, found, {}, language), language)
    runs.write_json(target / layout.MEASURED, measured.summarise(found, report, least))


def _write_selftest(fitted: TextClassifier, target: Path) -> None:
    """Made-up texts with the run's own answers; and the text that explanations start from."""
    texts = probe.texts()
    found = fitted.predict_proba(texts)
    runs.write_json(
        target / layout.SELFTEST,
        {"texts": texts, "probability": found.astype(np.float64).round(7).tolist()},
    )
    network = getattr(fitted, "network_", None)
    number = getattr(getattr(network, "tokenizer", None), "mask_token_id", None)
    runs.write_json(
        target / layout.EXPLANATION,
        {
            "method": "occlusion",
            "text": "",
            "mask_token": number,
            "probability": fitted.predict_proba([""])[0].astype(np.float64).round(7).tolist(),
        },
    )
