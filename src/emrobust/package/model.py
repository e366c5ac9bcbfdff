"""A package as it is used: texts in, calibrated probabilities, decisions and sets out."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from scipy.special import expit, softmax

from emrobust import registry, runs
from emrobust.config import Deid
from emrobust.errors import ConfigError, InputError
from emrobust.evaluate.calibration import Calibrator, Guarantee, restore
from emrobust.evaluate.calibration.abstention import certainty
from emrobust.evaluate.calibration.conformal import sets
from emrobust.normalize import Normalizer, Scorer
from emrobust.onnx import engine
from emrobust.package import drift, knowledge, layout, selftest, tokens
from emrobust.package.drift import Reference
from emrobust.package.knowledge import Cases, Departments, Missing, Similar, find_missing
from emrobust.package.tokens import Reader

Precision = Literal["auto", "fp32", "int8"]
PRECISIONS = ("auto", "fp32", "int8")


@dataclass(frozen=True)
class Package:
    """A loaded and self-tested package.

    Attributes:
        folder: where it lies.
        facts: of ``package.json``.
        labels: of each label, in column order: ``name``, ``codes`` (ICD-10) and ``titles``.
        thresholds: float64 [labels] on the model's own scores; None for a single-label model.
        calibrator: maps the model's probabilities; None where nothing was calibrated.
        guarantees: of prediction sets, by target.
        report: what the self-test found.
        answer: the model's own probabilities of texts.
        cut: of certainty: what is below is left to the doctor; None where none was chosen.
        findings: label → what typically speaks for it, the surest first.
        departments: where the records of each label were seen; None where that is unknown.
        cases: training records that may be shown; None where there are none.
        drift: what validation records were like; None where the package does not say.
        reader: how a network reads texts; None where the model reads all of any text.
    """

    folder: Path
    facts: Mapping[str, Any]
    labels: tuple[Mapping[str, Any], ...]
    thresholds: np.ndarray | None
    calibrator: Calibrator | None
    guarantees: Mapping[float, Guarantee]
    report: selftest.Report
    answer: Callable[[Sequence[str]], np.ndarray]
    cut: float | None = None
    findings: Mapping[str, Sequence[Mapping[str, float | str]]] = field(default_factory=dict)
    departments: Departments | None = None
    cases: Cases | None = None
    drift: Reference | None = None
    reader: Reader | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, in column order."""
        return tuple(label["name"] for label in self.labels)

    @property
    def task(self) -> Literal["multi", "single"]:
        """``multi`` or ``single``."""
        return cast("Literal['multi', 'single']", self.facts["task"])

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """The model's own probabilities [texts, labels], as the run's model gives them."""
        return self.answer(texts)

    def decide(self, probability: np.ndarray) -> np.ndarray:
        """What the model decides on its own probabilities: 0 and 1, uint8 [texts, labels]."""
        if self.thresholds is not None:
            return (probability >= self.thresholds).astype(np.uint8)
        decided = np.zeros(probability.shape, dtype=np.uint8)
        decided[np.arange(len(decided)), probability.argmax(1)] = 1
        return decided

    def calibrate(self, probability: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [texts, labels]."""
        return probability if self.calibrator is None else self.calibrator.apply(probability)

    def sets(self, own: np.ndarray, target: float) -> np.ndarray:
        """The labels that hold the true ones as often as promised, uint8 [texts, labels].

        Args:
            own: the model's own probabilities, as of `predict_proba`.
            target: one of ``guarantees``.

        Raises:
            InputError: the package promises no such share.
        """
        self.check_coverage(target)
        return sets(own, self.guarantees[target], self.task)

    def check_coverage(self, target: float) -> None:
        """Refuse a coverage that nothing is promised for.

        Raises:
            InputError: the package promises no such share.
        """
        if target not in self.guarantees:
            known = ", ".join(map(str, self.guarantees)) or "none: validation records were too few"
            raise InputError(
                f"the package has no prediction sets for {target}", f"Known are: {known}."
            )

    def abstain(self, probability: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Whether the model is too uncertain of a record to decide it, bool [texts].

        Args:
            probability: calibrated, [texts, labels].
            chosen: what was decided, 0 and 1.
        """
        if self.cut is None:
            return np.zeros(len(probability), dtype=bool)
        return np.asarray(certainty(probability, chosen, self.task) < self.cut)

    def refer(self, probability: np.ndarray) -> np.ndarray | None:
        """How likely each department is, [texts, departments]; None where none is known."""
        return None if self.departments is None else self.departments.refer(probability)

    def missing(self, label: str, text: str, most: int = 5) -> list[Missing]:
        """Typical findings of a label that a text does not state."""
        return find_missing(self.findings.get(label, ()), text, most)

    def extent(self, text: str) -> int:
        """Characters that the model reads of a text, from the first on; mostly all of them."""
        return len(text) if self.reader is None else self.reader.extent(text)

    def similar(self, text: str, most: int = 5) -> list[Similar]:
        """The cases that are most like a text."""
        return [] if self.cases is None else self.cases.similar(text, most)

    def deid(self) -> Deid:
        """How texts are de-identified before the model reads them."""
        return Deid.model_validate(runs.read_json(self.folder / layout.DEID)["settings"])


def load(
    folder: Path,
    *,
    threads: int | None = None,
    precision: Precision = "auto",
    single: bool = False,
    today: dt.date | None = None,
) -> Package:
    """Verify, load and self-test a package.

    A warning says so where int8 differs too much from fp32 on this machine and is not used.

    Args:
        folder: the package.
        threads: absent: all processors of this process.
        precision: ``auto``: int8 where it agrees with fp32 and is quicker here.
        single: texts come one at a time: all threads compute inside one batch, which answers one
            text sooner; else they compute several batches at once, which answers many sooner.
        today: the day on which its data-use record must still hold; absent: this machine's.

    Raises:
        ConfigError: the data-use record is over, or wrong threads or precision.
        RunError: a file is missing or was changed, the package is of another version, or fp32
            does not give on this machine the probabilities that it carries.
    """
    if precision not in PRECISIONS:
        raise ConfigError(
            f"there is no precision {precision!r}", f"Known: {', '.join(PRECISIONS)}."
        )
    count = engine.count_threads(threads)
    layout.verify(folder, today)
    facts = runs.read_json(folder / layout.FACTS)
    reader = _open_reader(folder, facts)
    fp32, int8 = _answers(folder, facts, reader, count, single=single, precision=precision)
    report = selftest.run(
        runs.read_json(folder / layout.SELFTEST),
        fp32,
        int8,
        wanted=precision,
        largest=facts["int8_tolerance"],
    )
    if report.warning:
        warnings.warn(f"{folder}: {report.warning}", RuntimeWarning, stacklevel=2)
    tuned = runs.read_json(folder / layout.THRESHOLDS)
    saved = runs.read_json(folder / layout.CALIBRATION)
    labels = tuple(runs.read_json(folder / layout.LABELS))
    names = [label["name"] for label in labels]
    return Package(
        folder=folder,
        facts=facts,
        labels=labels,
        thresholds=None if tuned is None else np.array(tuned),
        calibrator=None if saved is None else restore(saved),
        guarantees=_guarantees(runs.read_json(folder / layout.CONFORMAL)),
        report=report,
        answer=int8 if int8 is not None and report.precision == "int8" else fp32,
        cut=_cut(folder),
        findings=knowledge.read_findings(folder),
        departments=knowledge.read_departments(folder, names),
        cases=knowledge.read_cases(folder, facts["language"]),
        drift=drift.read(folder, facts),
        reader=reader,
    )


def _cut(folder: Path) -> float | None:
    path = folder / layout.ABSTENTION
    if not path.is_file():
        return None
    found: float | None = runs.read_json(path)["cut"]
    return found


def _guarantees(saved: Mapping[str, Any]) -> dict[float, Guarantee]:
    """By target; a cut that JSON cannot hold was written as null: all labels."""
    return {
        row["target"]: Guarantee(
            row["target"],
            -np.inf if row["cut"] is None else row["cut"],
            row["patients"],
            row["method"],
        )
        for row in saved["sets"]
    }


def _open_reader(folder: Path, facts: Mapping[str, Any]) -> Reader | None:
    if facts["kind"] == "tfidf":
        return None
    normalizer = None
    if (folder / layout.NORMALIZER).is_dir():
        normalizer = Normalizer.load(folder / layout.NORMALIZER, _make_scorer)
    return Reader(tokens.open_encoder(folder, facts["max_length"]), normalizer)


def _answers(
    folder: Path,
    facts: Mapping[str, Any],
    reader: Reader | None,
    threads: int,
    *,
    single: bool,
    precision: str,
) -> tuple[selftest.Answer, selftest.Answer | None]:
    """From texts to probabilities, in fp32 and, where it is there and wanted, in int8."""
    if reader is None:
        component = cast("Any", registry.get("model", "tfidf"))
        return cast("selftest.Answer", component.load(folder / layout.MODEL).predict_proba), None
    pool = None if single or threads == 1 else ThreadPoolExecutor(threads, "emrobust-batch")

    def open_answer(name: str) -> selftest.Answer:
        session = engine.Session(folder / name, facts["pad"], threads if single else 1)
        return _Network(session, reader, pool, facts["task"])

    both = precision != "fp32" and (folder / layout.INT8).is_file()
    return open_answer(layout.FP32), open_answer(layout.INT8) if both else None


@dataclass(frozen=True, eq=False)
class _Network:
    """Texts → probabilities by one graph."""

    session: engine.Session
    reader: Reader
    pool: ThreadPoolExecutor | None
    task: str

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Probabilities float32 [texts, labels]."""
        logits = engine.compute(self.session, self.reader(texts), self.pool)
        return np.asarray(softmax(logits, axis=1) if self.task == "single" else expit(logits))


def _make_scorer(name: str) -> Scorer:
    """The language model of a normaliser that mends typing errors."""
    from emrobust.encoder.scoring import CharacterScorer  # noqa: PLC0415 - torch loads slowly

    return CharacterScorer(name)
