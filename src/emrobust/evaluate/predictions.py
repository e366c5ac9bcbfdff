"""What a model said about records whose labels are known: the input of every measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emrobust.errors import InputError

Task = Literal["multi", "single"]

# Rows of a single-label model sum to one up to float32 rounding over many classes.
_ROW_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Predictions:
    """Truth and probabilities of the same records; made and checked by `gather`.

    Attributes:
        task: several labels a record (``multi``) or exactly one (``single``).
        names: the K labels, in column order.
        truth: uint8 [n, K], 1 where the record has the label.
        probability: float64 [n, K], from 0 to 1.
        predicted: uint8 [n, K]: ``probability >= threshold``, or the argmax of a single-label
            row (the first of equals).
        thresholds: float64 [K], or None for a single-label task and where each fold has its own.
        patient: int64 [n], numbers of the patients, 0 … patients - 1.
        patients: how many different patients there are.
    """

    task: Task
    names: tuple[str, ...]
    truth: NDArray[np.uint8]
    probability: NDArray[np.float64]
    predicted: NDArray[np.uint8]
    thresholds: NDArray[np.float64] | None
    patient: NDArray[np.int64]
    patients: int

    @property
    def n(self) -> int:
        """The number of records."""
        return len(self.truth)

    def patients_in(self, rows: NDArray[np.bool_]) -> int:
        """How many different patients some records are of; ``rows``: [n]."""
        return len(np.unique(self.patient[rows]))


def gather(
    truth: ArrayLike,
    probability: ArrayLike,
    thresholds: ArrayLike | None,
    names: Sequence[str],
    patients: Sequence[str] | ArrayLike,
    *,
    task: Task = "multi",
) -> Predictions:
    """Check the parts against each other and decide every label.

    Args:
        truth: [n, K] of 0 and 1.
        probability: [n, K], from 0 to 1; single-label rows sum to one.
        thresholds: [K], one for all, or None for 0.5; not used for a single-label task.
        names: K label names.
        patients: n patient identifiers, of any sortable kind.
        task: ``multi`` or ``single``.

    Raises:
        InputError: says which part does not fit and where.
    """
    known = _matrix("the truth", truth, names)
    given = _matrix("the probabilities", probability, names).astype(np.float64)
    owners = np.asarray(patients)
    if not len(known) == len(given) == len(owners):
        raise InputError(
            f"{len(known)} rows of truth, {len(given)} of probabilities and {len(owners)} "
            "patients do not belong together",
            "Predict the same records that the truth was read from.",
        )
    _check_truth(known, task)
    _check_probability(given, task)
    _, patient = np.unique(owners, return_inverse=True)
    count = int(patient.max(initial=-1)) + 1
    if count < 2:
        raise InputError(
            f"the evaluation needs records of at least 2 patients, there are {count}",
            "Intervals resample patients; evaluate on a larger table.",
        )
    cut = None if task == "single" else _check_thresholds(thresholds, len(names))
    return Predictions(
        task=task,
        names=tuple(names),
        truth=known.astype(np.uint8),
        probability=given,
        predicted=_argmax(given) if cut is None else (given >= cut).astype(np.uint8),
        thresholds=cut,
        patient=patient.astype(np.int64),
        patients=count,
    )


def _matrix(what: str, values: ArrayLike, names: Sequence[str]) -> NDArray[np.generic]:
    matrix: NDArray[np.generic] = np.asarray(values)
    if matrix.ndim != 2 or matrix.shape[1] != len(names):
        raise InputError(
            f"{what} have the shape {matrix.shape}, but there are {len(names)} labels",
            "The shape must be (records, labels), in the order of the run's label set.",
        )
    return matrix


def _check_truth(truth: NDArray[np.generic], task: Task) -> None:
    if not np.isin(truth, (0, 1)).all():
        raise InputError("the truth has values other than 0 and 1")
    if task == "single":
        wrong = np.flatnonzero(truth.sum(axis=1) != 1)
        if len(wrong):
            raise InputError(
                f"row {wrong[0]} has {int(truth[wrong[0]].sum())} labels, but the task is "
                f"single-label ({len(wrong)} such rows)",
                'Set [labels] task = "multi", or mend the rows.',
            )


def _check_probability(probability: NDArray[np.float64], task: Task) -> None:
    # NaN fails both comparisons.
    wrong = np.argwhere(~((probability >= 0.0) & (probability <= 1.0)))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"the probability in row {row}, column {column} is {probability[row, column]}, "
            f"outside 0 to 1 ({len(wrong)} such values)",
            "Give probabilities, not logits; NaN means that training diverged.",
        )
    if task == "single":
        uneven = np.flatnonzero(np.abs(probability.sum(axis=1) - 1.0) > _ROW_SUM_TOLERANCE)
        if len(uneven):
            raise InputError(
                f"the probabilities of row {uneven[0]} sum to "
                f"{probability[uneven[0]].sum():.4f}, not to 1 ({len(uneven)} such rows)",
                "A single-label model ends in a softmax.",
            )


def _check_thresholds(thresholds: ArrayLike | None, labels: int) -> NDArray[np.float64]:
    cut = np.asarray(0.5 if thresholds is None else thresholds, dtype=np.float64)
    if cut.shape not in {(), (labels,)}:
        raise InputError(f"{cut.size} thresholds do not fit {labels} labels")
    if np.isnan(cut).any():
        raise InputError("a threshold is NaN", "Tune the thresholds on validation data again.")
    return np.broadcast_to(cut, (labels,)).copy()


def _argmax(probability: NDArray[np.float64]) -> NDArray[np.uint8]:
    chosen = np.zeros(probability.shape, dtype=np.uint8)
    chosen[np.arange(len(probability)), probability.argmax(axis=1)] = 1
    return chosen
