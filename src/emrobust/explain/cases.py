"""Records where the model is wrong, each with all that helps to see why.

A case is one label of one record: added though it is not there (false positive), missed though it
is (false negative), or rightly found, where a reader asked for that record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import torch

from emrobust.explain.evidence import Evidence, Finding
from emrobust.explain.explainer import Explainer, Explanation, explain, network_of
from emrobust.explain.units import Level
from emrobust.models.estimator import TextClassifier
from emrobust.models.similarity import Similarity
from emrobust.models.transformer import Transformer
from emrobust.train import batches
from emrobust.train.run import Rows

Kind = Literal["false_positive", "false_negative", "true_positive"]
# So many of one label are shown at most, or the commonest label would fill the page.
_PER_LABEL = 2
_MISSING = 6
_NEAREST, _NEAREST_WITH_LABEL = 3, 2
# Candidates by TF-IDF that an encoder puts into order.
_CANDIDATES = 30
_SEPARATOR = {"zh": "，", "en": ", "}


class Place(NamedTuple):
    """One label of one record: its row among the predictions, its column, and what it is."""

    row: int
    column: int
    kind: Kind


class Missing(NamedTuple):
    """A typical finding that the note does not state.

    Attributes:
        finding: what the training notes say about it.
        probability: of the label, had the note begun with it.
    """

    finding: Finding
    probability: float


class Neighbour(NamedTuple):
    """A training note that is near.

    Attributes:
        row: its place among the training rows.
        record_id: its number.
        similarity: cosine of the encoder's states, or of TF-IDF where there is no encoder.
        labels: its labels.
    """

    row: int
    record_id: str
    similarity: float
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """One label of one record, explained.

    Attributes:
        record_id: the record's number.
        kind: what went wrong, if anything.
        label: the label in question.
        probability: the model's.
        threshold: from which it is predicted; None for a single-label model.
        true: the record's labels.
        predicted: predicted label → probability, the likeliest first.
        text: the note; in no message and no JSON.
        explanation: units and scores.
        missing: what typically speaks for the label and is not stated.
        neighbours: the nearest training notes, then the nearest with the label.
    """

    record_id: str
    kind: Kind
    label: str
    probability: float
    threshold: float | None
    true: tuple[str, ...]
    predicted: dict[str, float]
    text: str = field(repr=False)
    explanation: Explanation = field(repr=False)
    missing: tuple[Missing, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()


def pick(
    truth: np.ndarray,
    predicted: np.ndarray,
    probability: np.ndarray,
    thresholds: np.ndarray | None,
    count: int,
) -> list[Place]:
    """The worst errors: so many false positives, then so many false negatives.

    Worst is what lies furthest on the wrong side of its threshold; at most two of a label.

    Args:
        truth: 0 and 1 [rows, labels].
        predicted: 0 and 1 [rows, labels].
        probability: [rows, labels].
        thresholds: [labels]; None for a single-label model.
        count: of each kind.
    """
    cut = np.zeros(truth.shape[1]) if thresholds is None else thresholds
    margin = probability - cut
    found: list[Place] = []
    wrong: list[tuple[Kind, np.ndarray, np.ndarray]] = [
        ("false_positive", (predicted == 1) & (truth == 0), margin),
        ("false_negative", (predicted == 0) & (truth == 1), -margin),
    ]
    for kind, where, badness in wrong:
        rows, columns = np.nonzero(where)
        taken: Counter[int] = Counter()
        for place in np.argsort(-badness[rows, columns], kind="stable"):
            row, column = int(rows[place]), int(columns[place])
            if taken[column] < _PER_LABEL and taken.total() < count:
                taken[column] += 1
                found.append(Place(row, column, kind))
    return found


def of_record(row: int, truth: np.ndarray, predicted: np.ndarray) -> list[Place]:
    """All labels that a record has or was given, the errors first."""
    kinds: dict[tuple[int, int], Kind] = {
        (0, 1): "false_positive",
        (1, 0): "false_negative",
        (1, 1): "true_positive",
    }
    pairs = zip(truth[row].tolist(), predicted[row].tolist(), strict=True)
    found = [Place(row, k, kinds[pair]) for k, pair in enumerate(pairs) if pair in kinds]
    return sorted(found, key=lambda place: (place.kind == "true_positive", place.column))


class Archive:
    """The training notes, to be asked what is typical and what is near.

    Args:
        rows: the training rows.
        names: the label set.
        language: of the notes.
    """

    def __init__(self, rows: Rows, names: Sequence[str], language: str) -> None:
        self.rows = rows
        self.language = language
        self.evidence = Evidence(rows.texts, rows.labels, names)
        self._similarity = Similarity(rows.texts, language=language)
        self._of_label = {
            name: np.array([name in labels for labels in rows.labels]) for name in names
        }

    def near(self, model: TextClassifier, text: str, label: str) -> tuple[Neighbour, ...]:
        """The nearest training notes, then the nearest with the label that are not among them."""
        everything = self._similarity.nearest([text], len(self.rows.texts))
        ranked, cosine = everything.rows[0], everything.cosine[0]
        with_label = np.flatnonzero(self._of_label[label][ranked])[:_CANDIDATES]
        chosen = np.union1d(np.arange(min(_CANDIDATES, len(ranked))), with_label)
        rows, near = ranked[chosen], cosine[chosen]
        network = network_of(model)
        if isinstance(network, Transformer):
            states = _states(model, network, [text, *(self.rows.texts[row] for row in rows)])
            near = states[1:] @ states[0]
        order = np.argsort(-near, kind="stable")
        first = order[:_NEAREST]
        fitting = [k for k in order[_NEAREST:] if self._of_label[label][rows[k]]]
        return tuple(
            Neighbour(
                int(rows[k]),
                self.rows.record_id[rows[k]],
                float(near[k]),
                tuple(self.rows.labels[rows[k]]),
            )
            for k in (*first, *fitting[:_NEAREST_WITH_LABEL])
        )


def _states(model: TextClassifier, network: Transformer, texts: Sequence[str]) -> np.ndarray:
    """Pooled states of norm 1, float32 [texts, width]."""
    longest: int = model.max_length
    read = list(texts) if model.normalizer is None else model.normalizer(texts)
    packed = batches.pack(network.encode(read, longest))
    ids, mask = batches.pad(packed, np.arange(len(texts)), network.pad)
    device = network.head.weight.device
    with torch.inference_mode():
        states = network.features(network.embed(ids.to(device)), mask.to(device))
        return np.asarray(torch.nn.functional.normalize(states, dim=-1).cpu().numpy())


def build(
    model: TextClassifier,
    explainer: Explainer,
    archive: Archive,
    rows: Rows,
    places: Sequence[Place],
    *,
    probability: np.ndarray,
    predicted: np.ndarray,
    thresholds: np.ndarray | None,
    names: Sequence[str],
    level: Level = "word",
) -> list[Case]:
    """Explain these labels of these records.

    Args:
        model: fitted.
        explainer: the method to show.
        archive: of the training notes.
        rows: the records that were predicted.
        places: which label of which of them.
        probability: [rows, labels].
        predicted: 0 and 1 [rows, labels].
        thresholds: [labels]; None for a single-label model.
        names: the label set.
        level: of the units.
    """
    texts = [rows.texts[place.row] for place in places]
    explained = explain(explainer, model, texts, [place.column for place in places], level)
    return [
        Case(
            record_id=rows.record_id[row],
            kind=kind,
            label=names[column],
            probability=float(probability[row, column]),
            threshold=None if thresholds is None else float(thresholds[column]),
            true=tuple(rows.labels[row]),
            predicted=_chosen(probability[row], predicted[row], names),
            text=text,
            explanation=explanation,
            missing=_missing(model, archive, text, names[column], column),
            neighbours=archive.near(model, text, names[column]),
        )
        for (row, column, kind), text, explanation in zip(places, texts, explained, strict=True)
    ]


def _chosen(
    probability: np.ndarray, predicted: np.ndarray, names: Sequence[str]
) -> dict[str, float]:
    ranked = np.argsort(-probability, kind="stable")
    return {names[k]: float(probability[k]) for k in ranked if predicted[k]}


def _missing(
    model: TextClassifier, archive: Archive, text: str, label: str, column: int
) -> tuple[Missing, ...]:
    """What is not stated, and what the model would say if it were.

    It is put in front, since the end of a long note may lie beyond what the model reads.
    """
    findings = archive.evidence.missing(label, text, _MISSING)
    if not findings:
        return ()
    separator = _SEPARATOR[archive.language]
    given = model.predict_proba([f"{finding.term}{separator}{text}" for finding in findings])
    return tuple(Missing(f, float(p)) for f, p in zip(findings, given[:, column], strict=True))


def to_json(case: Case) -> dict[str, object]:
    """Plain values without any text of the record or of its neighbours."""
    return {
        "record_id": case.record_id,
        "kind": case.kind,
        "label": case.label,
        "probability": round(case.probability, 6),
        "threshold": case.threshold,
        "true": list(case.true),
        "predicted": {name: round(p, 6) for name, p in case.predicted.items()},
        "units": [
            [start, end, round(float(score), 6)]
            for (start, end), score in zip(
                case.explanation.units, case.explanation.scores, strict=True
            )
        ],
        "missing": [
            {**of.finding._asdict(), "probability": round(of.probability, 6)} for of in case.missing
        ],
        "neighbours": [
            {
                "record_id": of.record_id,
                "similarity": round(of.similarity, 4),
                "labels": list(of.labels),
            }
            for of in case.neighbours
        ],
    }
