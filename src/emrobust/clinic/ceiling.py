"""The best possible classifier: the exact Bayes posterior of each label on clean findings.

P(label k is observed | findings' states, duration, age band, sex, month, site, year), by
enumerating the primary d₀ and its comorbid classes C, |C| ≤ 3. All other text is independent
of the classes given these, so no classifier of the notes can have a better posterior.

Let A_f(S) = (1 − λ_f) ∏_{d ∈ S} (1 − r·p_df) be the chance that f is not recorded. Then

    log P(states | S) = Σ_f log A_f(S) + Σ_{f present} log((1 − A_f) / A_f)
                        + Σ_{f denied} log q_f(d₀) + Σ_{f unmentioned} log(1 − q_f(d₀)),

whose first sum is linear in S: only the few findings that are present need the set itself.
Primaries and comorbid classes of negligible mass are left out (`Pruning`): probabilities stay
within 0.001 of the full enumeration's, at about a millisecond a visit.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emrobust.clinic import tables
from emrobust.clinic.model import MOST_COMORBID, SEASON_OF_MONTH, YEARS, Clinic, at_most, build
from emrobust.clinic.style import Rates
from emrobust.errors import RunError, did_you_mean

RATES_KEY = b"clinic_rates"


@dataclass(frozen=True)
class Pruning:
    """How much is enumerated.

    Attributes:
        gap: primary classes whose bound lies further below the best in log posterior are
            dropped.
        comorbid: comorbid classes kept for each primary; the shipped table has no more.
        mass: sets of classes with less posterior mass than this are dropped.
    """

    gap: float = 10.0
    comorbid: int = 10
    mass: float = 1e-5


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of one visit.

    Attributes:
        covariates: sex, age band, season, site, year.
        present, denied: indices of findings.
        duration: index of `tables.DURATIONS`.
    """

    covariates: tuple[int, int, int, int, int]
    present: np.ndarray
    denied: np.ndarray
    duration: int


def ceiling(truth: pa.Table | Path, names: Sequence[str]) -> np.ndarray:
    """P(label observed | clean findings) for each row of the clinic's truth.

    Args:
        truth: rows of ``truth.parquet``, or its path; the rates lie in its metadata.
        names: class names, in the order of the columns wanted.

    Returns:
        probabilities [rows, len(names)], rows in the order of ``truth``.

    Raises:
        RunError: the table is no clinic's truth, or a name is no class of the clinic.
    """
    table = truth if isinstance(truth, pa.Table) else pq.read_table(truth)
    rates = (table.schema.metadata or {}).get(RATES_KEY)
    if rates is None:
        raise RunError(
            "the table is not the truth of a synthetic clinic",
            "Give rows of the truth.parquet that `emrobust clinic` wrote.",
        )
    clinic = build(Rates.model_validate_json(rates))
    known = {name: column for column, name in enumerate(clinic.medicine.classes)}
    for name in names:
        if name not in known:
            raise RunError(f"the clinic has no class {name!r}", did_you_mean(name, known))
    columns = [known[name] for name in names]
    posteriors = [posterior(clinic, visit)[columns] for visit in read_evidence(clinic, table)]
    return np.array(posteriors).reshape(-1, len(columns))


def posterior(clinic: Clinic, visit: Evidence, pruning: Pruning = Pruning()) -> np.ndarray:
    """[K] P(class k is observed | evidence) of one visit."""
    sets, weights = enumerate_sets(clinic, visit, pruning)
    missed = sets @ _missed(clinic)
    found: np.ndarray = weights @ -np.expm1(missed)
    return found


def enumerate_sets(
    clinic: Clinic, visit: Evidence, pruning: Pruning
) -> tuple[np.ndarray, np.ndarray]:
    """The likely sets of classes and their posterior mass: [n, K] of 0 and 1, and [n]."""
    sex, band, _, site, _ = visit.covariates
    fits = clinic.fits[sex, band]
    alone = clinic.absent[site] @ fits
    unexplained = clinic.absent[site][:, visit.present]
    quiet = clinic.quiet[visit.present]
    partners = _partners(clinic, pruning.comorbid)
    joining = clinic.kappa * clinic.fit[sex, band]
    chance = np.take_along_axis(joining, partners, axis=1)
    gain = _log_odds(chance) + alone[partners]
    start = clinic.prior[visit.covariates] + clinic.course[:, visit.duration] + alone
    start += _manner(clinic, visit, fits) + np.log1p(-joining).sum(axis=1)
    pairs = _explain(unexplained[:, None, :] + unexplained[partners] + quiet) + gain
    # One partner bounds a primary's posterior from below; three of them from above, since
    # what each explains alone adds up to no less than what they explain together.
    own = start + _explain(unexplained + quiet)
    gains = np.sort(np.maximum(pairs + start[:, None] - own[:, None], 0.0), axis=1)
    most = own + gains[:, -MOST_COMORBID:].sum(axis=1)
    kept = np.flatnonzero(most >= (own + gains[:, -1]).max() - pruning.gap)
    subsets = _subsets(partners.shape[1])
    score = _explain(subsets @ unexplained[partners[kept]] + (unexplained[kept] + quiet)[:, None])
    score += gain[kept] @ subsets.T + (start[kept] - _tails(joining[kept]))[:, None]
    return _weigh(score, kept, partners[kept], pruning.mass, len(start))


def _weigh(
    score: np.ndarray, primaries: np.ndarray, partners: np.ndarray, least: float, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sets and their mass from log joint probabilities [primaries, subsets of partners]."""
    mass = np.exp(score - score.max())
    mass /= mass.sum()
    primary, subset = np.nonzero(mass > least)
    subsets = _subsets(partners.shape[1])
    sets = np.zeros((len(primary), classes))
    rows, columns = np.nonzero(subsets[subset])
    sets[rows, partners[primary[rows], columns]] = 1.0
    sets[np.arange(len(primary)), primaries[primary]] = 1.0
    weights = mass[primary, subset]
    return sets, weights / weights.sum()


def _manner(clinic: Clinic, visit: Evidence, fits: np.ndarray) -> np.ndarray:
    """[K] log P(what is denied and what is not mentioned | primary)."""
    silent = clinic.silent @ fits - clinic.silent[:, visit.present].sum(axis=1)
    asked: np.ndarray = silent + (clinic.denied - clinic.silent)[:, visit.denied].sum(axis=1)
    return asked


def _explain(absent: np.ndarray) -> np.ndarray:
    """Σ_f log((1 − A_f) / A_f) over the last axis, from log A_f."""
    total: np.ndarray = (np.log(-np.expm1(absent)) - absent).sum(axis=-1)
    return total


def _log_odds(chance: np.ndarray) -> np.ndarray:
    """Log odds of joining, −10⁹ where it is impossible."""
    with np.errstate(divide="ignore"):
        odds: np.ndarray = np.log(chance) - np.log1p(-chance)
    return np.where(chance > 0, odds, -1e9)


def _tails(joining: np.ndarray) -> np.ndarray:
    return np.log([at_most(row) for row in joining])


@functools.lru_cache(maxsize=16)
def _partners(clinic: Clinic, most: int) -> np.ndarray:
    """[K, most] the likeliest comorbid classes of each primary."""
    most = min(most, int((clinic.kappa > 0).sum(axis=1).max()))
    return np.argsort(-clinic.kappa, axis=1, kind="stable")[:, : max(most, 1)]


@functools.lru_cache(maxsize=16)
def _subsets(candidates: int) -> np.ndarray:
    """All subsets of at most three candidates, [n, candidates] of 0 and 1."""
    chosen = [
        members
        for size in range(MOST_COMORBID + 1)
        for members in itertools.combinations(range(candidates), size)
    ]
    matrix = np.zeros((len(chosen), candidates))
    for row, members in enumerate(chosen):
        matrix[row, list(members)] = 1.0
    return matrix


@functools.lru_cache(maxsize=8)
def _missed(clinic: Clinic) -> np.ndarray:
    """[K, K] log P(class k is not observed | the true class is d)."""
    missed: np.ndarray = np.log1p(-np.minimum(clinic.coded, 1 - 1e-12))
    return missed


def read_evidence(clinic: Clinic, truth: pa.Table) -> Iterator[Evidence]:
    """The evidence of each row of a truth table."""
    names = pa.array([finding.name for finding in clinic.medicine.findings])
    sites = {site.name: row for row, site in enumerate(clinic.style.sites)}
    present, denied = (_indices(truth[column], names) for column in ("present", "denied"))
    durations = {name: rank for rank, name in enumerate(tables.DURATIONS)}
    columns = ("sex", "age", "month", "site", "year", "duration")
    for row, values in enumerate(zip(*(truth[c].to_pylist() for c in columns), strict=True)):
        sex, age, month, site, year, duration = values
        yield Evidence(
            covariates=(
                tables.SEXES.index(sex),
                bisect.bisect_right(tables.AGE_EDGES, age),
                int(SEASON_OF_MONTH[month - 1]),
                sites[site],
                YEARS.index(year),
            ),
            present=present[row],
            denied=denied[row],
            duration=durations[duration],
        )


def _indices(column: pa.ChunkedArray, names: pa.Array) -> list[np.ndarray]:
    """A column of lists of names as arrays of their indices."""
    lists = column.combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks)
    ends = np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False))
    flat = pc.index_in(lists.flatten(), value_set=names).to_numpy(zero_copy_only=False)
    return np.split(flat, ends[:-1])
