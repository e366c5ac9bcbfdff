"""What a report may show beside the scores; every part may be missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from emrobust.evaluate import Comparison, Evaluation
from emrobust.evaluate.evidence import Evidence


@dataclass(frozen=True)
class OtherModel:
    """Another model on the same records.

    Attributes:
        name: what to call it.
        evaluation: its scores.
        comparison: from it to the reported model (`compare(other, reported)`).
    """

    name: str
    evaluation: Evaluation
    comparison: Comparison | None = None


@dataclass(frozen=True)
class LengthHistogram:
    """Lengths of texts in characters.

    Attributes:
        edges: of the bins, one more than there are bins; the last bin holds all longer texts.
        counts: split → texts in each bin.
        medians: split → median length.
    """

    edges: tuple[float, ...]
    counts: Mapping[str, tuple[int, ...]]
    medians: Mapping[str, float]


def count_lengths(lengths: Mapping[str, ArrayLike], bins: int = 30) -> LengthHistogram:
    """Histogram of text lengths by split; the longest 1 % share the last bin."""
    arrays = {split: np.asarray(of_split) for split, of_split in lengths.items()}
    arrays = {split: of_split for split, of_split in arrays.items() if len(of_split)}
    pooled = np.concatenate(list(arrays.values())) if arrays else np.zeros(1)
    width = max(1, int(np.ceil(float(np.quantile(pooled, 0.99)) / bins)))
    edges = np.arange(bins + 1) * width
    return LengthHistogram(
        edges=tuple(float(edge) for edge in edges),
        counts={
            split: tuple(
                int(n) for n in np.histogram(np.minimum(of_split, edges[-1] - 0.5), edges)[0]
            )
            for split, of_split in arrays.items()
        },
        medians={split: float(np.median(of_split)) for split, of_split in arrays.items()},
    )


@dataclass(frozen=True)
class ReportContext:
    """The parts of a report beside the evaluation; none is needed, and no record text is in any.

    Attributes:
        title: of the page; empty for a standard one.
        language: of the interface; class names stay as they are.
        titles: class → title in that language, shown beside its name.
        model: what to call the reported model.
        others: models to show beside it; the first is the baseline of the summary.
        split: the facts of ``split.json`` (rows, patients, labels, leakage).
        label_counts: label → split → records; taken from ``split`` where absent.
        history: one mapping an epoch with ``epoch``, ``loss`` and ``macro_f1`` (validation,
            None where there was no validation), and ``fold`` under cross-validation.
        lengths: of the texts, see `count_lengths`.
        rejects: stage → reason → rows.
        rows_read: rows of the source, to give refused rows as a share.
        configuration: the resolved project file.
        attacks: the contents of ``attack.json`` of this run; None: it was not attacked.
        governance: the data-use record, by the keys of ``[governance]``; empty: none was given.
        evidence: calibration, suites, groups and what else there is beyond the scores.
        facts: seeds, versions, checksums; nested mappings are flattened.
        notes: sentences to add to what the reader should watch out for.
    """

    title: str = ""
    language: Literal["zh", "en"] = "zh"
    titles: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    others: tuple[OtherModel, ...] = ()
    split: Mapping[str, Any] | None = None
    label_counts: Mapping[str, Mapping[str, int]] | None = None
    history: Sequence[Mapping[str, float | None]] = ()
    lengths: LengthHistogram | None = None
    rejects: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    rows_read: int | None = None
    configuration: str = ""
    governance: Mapping[str, str | int] = field(default_factory=dict)
    evidence: Evidence | None = None
    attacks: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Label → split → records, or nothing."""
        if self.label_counts is not None:
            return self.label_counts
        counted: Mapping[str, Mapping[str, int]] = (self.split or {}).get("labels", {})
        return counted
