"""From a run to its case pages: which words a prediction rests on, and whether to believe it.

cases.html         the worst errors with their texts, readable by its owner only
cases.json         the same as places and numbers, without any text
faithfulness.json  how far each method can be believed, measured on test records
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from emrobust import explain as methods
from emrobust import rng, runs
from emrobust.errors import ConfigError, InputError
from emrobust.evaluate import faithfulness
from emrobust.evaluate import run as evaluation
from emrobust.evaluate.faithfulness import FaithfulnessReport, Sample
from emrobust.explain import cases
from emrobust.explain.explainer import Explainer
from emrobust.explain.units import Level
from emrobust.models.estimator import TextClassifier
from emrobust.pipeline.rows import read_splits
from emrobust.report import case_page
from emrobust.train import run as training
from emrobust.train.run import Rows, Run

HTML, JSON, FAITHFULNESS = "cases.html", "cases.json", "faithfulness.json"
# What is shown where nothing is measured: the first that the model allows. On the clinic these two
# were the most comprehensive, in this order: TextCNN 0.60 and 0.57 (at random 0.10), the embedded
# encoder 0.60 and 0.53 (attention 0.48, at random 0.10; 50 records).
_USUAL = ("integrated_gradients", "occlusion")


class Wishes(NamedTuple):
    """What to explain.

    Attributes:
        records: numbers of test records; empty: the worst errors.
        errors: so many false positives and so many false negatives.
        sample: records on which methods are measured (as many validation records choose the one
            that is shown); 0: none.
        method: the one to show; empty: by measurement.
        level: ``word`` or ``character``.
        language: of the page; empty: the project's.
    """

    records: tuple[str, ...] = ()
    errors: int = 10
    sample: int = 100
    method: str = ""
    level: Level = "word"
    language: str = ""


class Explained(NamedTuple):
    """What was written.

    Attributes:
        cases: in the order of the page.
        method: the one that is shown.
        faithfulness: of all methods, if it was measured.
    """

    cases: tuple[cases.Case, ...]
    method: str
    faithfulness: FaithfulnessReport | None


def explain(
    folder: Path, out: Path, wishes: Wishes | None = None, data: Path | None = None
) -> Explained:
    """Write the case pages of a run.

    Args:
        folder: the run.
        out: folder to write.
        wishes: what to explain; absent: the worst errors.
        data: the prepared folder that it was trained on, where it does not lie in the run.

    Raises:
        InputError: a record is not among the test records, or ``data`` holds other records.
        ConfigError: no such method.
        RunError: no finished run, or its prepared folder is not found.
    """
    wishes = wishes or Wishes()
    run = training.load(folder)
    model = run.estimator()
    explainers = _explainers(model, wishes.method)
    parts = read_splits(run, data)
    measured = evaluation.read(run).predictions
    chosen, report = _measure(run, model, explainers, parts, wishes)
    places = _places(parts["test"], measured.truth, measured.predicted, wishes) or cases.pick(
        measured.truth,
        measured.predicted,
        measured.probability,
        measured.thresholds,
        wishes.errors,
    )
    language = wishes.language or run.project.language
    archive = cases.Archive(parts["train"], run.names, run.project.language)
    built = cases.build(
        model,
        explainers[chosen],
        archive,
        parts["test"],
        places,
        probability=measured.probability,
        predicted=measured.predicted,
        thresholds=measured.thresholds,
        names=run.names,
        level=wishes.level,
    )
    plain = {"method": chosen, "level": wishes.level, "cases": [cases.to_json(c) for c in built]}
    runs.write_json(out / JSON, plain)
    if report is not None:
        runs.write_json(out / FAITHFULNESS, report.to_json())
    case_page.write_cases(
        out / HTML,
        built,
        parts["train"].texts,
        case_page.About(run.project.name, chosen, wishes.level, language),
        report,
    )
    return Explained(tuple(built), chosen, report)


def _explainers(model: TextClassifier, method: str) -> dict[str, Explainer]:
    """All methods for this model, the wished one among them.

    Raises:
        ConfigError: no such method, or it cannot explain this model.
    """
    found = methods.available(model)
    if method and method not in found:
        reason = methods.make(method).refuses(model)
        raise ConfigError(
            f"{method} cannot explain this model: {reason}",
            f"Choose among {', '.join(found)}.",
        )
    return found


def _places(
    rows: Rows, truth: np.ndarray, predicted: np.ndarray, wishes: Wishes
) -> list[cases.Place]:
    known = {record_id: row for row, record_id in enumerate(rows.record_id)}
    missing = [record_id for record_id in wishes.records if record_id not in known]
    if missing:
        raise InputError(
            f"{len(missing)} of the records asked for are not among the {len(known)} test records,"
            f" the first being number {wishes.records.index(missing[0]) + 1} of the list",
            "Only test records are explained; predictions.parquet in the run lists them.",
        )
    return [
        place
        for record_id in wishes.records
        for place in cases.of_record(known[record_id], truth, predicted)
    ]


def _measure(
    run: Run,
    model: TextClassifier,
    explainers: Mapping[str, Explainer],
    parts: Mapping[str, Rows],
    wishes: Wishes,
) -> tuple[str, FaithfulnessReport | None]:
    """The method to show, chosen on validation records, and all methods on test records."""
    if not wishes.sample:
        usual = next(name for name in _USUAL if name in explainers)
        return wishes.method or usual, None
    drawn = {
        name: _draw(model, parts[name], wishes.sample, rng.derive(run.project.seed, name))
        for name in ("validation", "test")
    }
    chosen = wishes.method or faithfulness.choose(
        model, explainers, drawn["validation"], wishes.level
    )
    settings = run.project.evaluate
    report = faithfulness.measure(
        model,
        explainers,
        drawn["test"],
        wishes.level,
        chosen=chosen,
        resamples=max(settings.bootstrap, 100),
        confidence=settings.confidence,
        seed=run.project.seed,
    )
    return chosen, report


def _draw(model: TextClassifier, rows: Rows, count: int, seed: int) -> Sample:
    """Records at random, each with the label that the model holds for likeliest."""
    order = rng.generator(seed, "explain", "sample").permutation(len(rows.texts))
    some = rows.take(sorted(order[:count]))
    return Sample(some.texts, _likeliest(model, some.texts), some.patient_id)


def _likeliest(model: TextClassifier, texts: Sequence[str]) -> list[int]:
    return [int(column) for column in model.predict_proba(texts).argmax(1)]
