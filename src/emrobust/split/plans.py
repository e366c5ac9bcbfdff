"""Which part each row goes to: by patient, by text, by time or by site."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from emrobust import config
from emrobust.errors import SplitError, did_you_mean
from emrobust.records import SPLITS
from emrobust.split import texts
from emrobust.split.stratify import stratify
from emrobust.split.visits import Visits, keys

TRAIN, VALIDATION, TEST = range(3)
NO_TIME = "no visit time, and the split is by time"
CROSSES = "the patient also visited a held-out site"
_EPOCH = dt.date(1970, 1, 1)


class Settings(config.Split):
    """``[split]`` with the project's seed, so that a change of the seed makes the split anew."""

    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """A part for every row.

    Attributes:
        parts: index into `SPLITS`, or the fold; -1 for refused rows, int64 [rows].
        column: the column that is at fault in refused rows.
        reason: why they are refused.
        facts: what was decided on the way: first days, sites.
    """

    parts: np.ndarray
    column: str = ""
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def plan(settings: Settings, visits: Visits, path: Path) -> Plan:
    """Divide the visits as the settings ask.

    Raises:
        SplitError: a part would be empty, or a day, a site or a column is wrong.
    """
    if settings.by == "time":
        made = _by_time(settings, visits)
    elif settings.by == "site":
        made = _by_site(settings, visits)
    else:
        made = _by_group(settings, visits, path)
    if (visits.given >= 0).any():
        made = _keep_given(settings, visits, made)
    names = SPLITS if settings.folds is None else [f"fold {n}" for n in range(settings.folds)]
    rows = np.bincount(made.parts[made.parts >= 0], minlength=len(names))
    if not rows.all():
        raise SplitError(
            f"{names[int(rows.argmin())]} would have no rows "
            f"({len(visits)} rows of {len(visits.patient_ids)} patients, by {settings.by})",
            "Ask for a larger share or fewer folds, or give more records.",
        )
    return made


def _keep_given(settings: Settings, visits: Visits, made: Plan) -> Plan:
    """Rows whose split the source gives keep it, and so do their patients' other rows.

    A patient with rows in two splits goes wholly to the later one (test after validation after
    train), but for a split by time, where a patient may move forwards.
    """
    if settings.folds is not None:
        raise SplitError(
            "the source gives some rows a split, and [split] asks for folds",
            "Take `split` out of [source.columns], or `folds` out of [split].",
        )
    last = np.full(len(visits.patient_ids), -1)
    np.maximum.at(last, visits.patients, visits.given)
    of_patient = last[visits.patients]
    fixed = visits.given if settings.by == "time" else of_patient
    parts = np.where(fixed >= 0, fixed, made.parts)
    facts = {**made.facts, "given": int((visits.given >= 0).sum())}
    return dataclasses.replace(made, parts=parts, facts=facts)


def shares(settings: Settings) -> np.ndarray:
    """The wanted share of each part."""
    if settings.folds is not None:
        return np.full(settings.folds, 1.0 / settings.folds)
    return np.array([1.0 - settings.validation - settings.test, settings.validation, settings.test])


def by_groups(
    labels: sparse.csr_array, groups: np.ndarray, wanted: np.ndarray, group_keys: np.ndarray
) -> np.ndarray:
    """Divide rows by stratification that keeps their groups whole.

    Args:
        labels: 0 or 1, [rows, labels].
        groups: number of each row's group, from 0 without gaps, [rows].
        wanted: share of each part, [parts].
        group_keys: `keys` of the groups.

    Returns:
        the part of each row, int64 [rows].
    """
    rows = np.arange(len(groups))
    shape = (len(group_keys), len(groups))
    member = sparse.csr_array((np.ones(len(groups)), (groups, rows)), shape=shape)
    sizes = np.bincount(groups, minlength=len(group_keys))
    of_groups = stratify(sparse.csr_array(member @ labels), sizes, wanted, group_keys)
    parts: np.ndarray = of_groups[groups]
    return parts


def _by_group(settings: Settings, visits: Visits, path: Path) -> Plan:
    groups, group_keys = visits.patients, keys(visits.patient_ids, settings.seed)
    facts: dict[str, Any] = {}
    if settings.by == "text":
        groups, group_keys = _joined_by_text(groups, group_keys, texts.digests(path))
        facts["groups"] = len(group_keys)
    return Plan(by_groups(visits.labels, groups, shares(settings), group_keys), facts=facts)


def _joined_by_text(
    patients: np.ndarray, patient_keys: np.ndarray, digests: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Patients who share a text, directly or through others, become one group."""
    _, text = np.unique(digests, return_inverse=True)
    count = len(patient_keys)
    nodes = count + int(text.max()) + 1
    edges = sparse.csr_array(
        (np.ones(len(text), np.int8), (patients, count + text)), shape=(nodes, nodes)
    )
    found, component = csgraph.connected_components(edges, directed=False)
    group_keys = np.full(found, np.iinfo(np.uint64).max)
    np.minimum.at(group_keys, component[:count], patient_keys)
    return component[patients].astype(np.int64), group_keys


def _by_time(settings: Settings, visits: Visits) -> Plan:
    if not visits.timed.any():
        raise SplitError(
            "a split by time needs visit times, and no row has one",
            "Map `visit_time` in [source.columns], or split by patient. Where it is mapped, "
            "`emrobust check` tells whether its dates are understood (date_order in [source]).",
        )
    days = visits.days[visits.timed]
    test = _first_day(settings.test_from, "test_from", days, settings.test * len(days))
    rows = settings.validation * len(days)
    validation = _first_day(settings.validation_from, "validation_from", days[days < test], rows)
    if validation >= test:
        raise SplitError(
            f"validation would begin on {_date(validation)}, test on {_date(test)}",
            "validation_from must be before test_from.",
        )
    parts = (visits.days >= validation).astype(np.int64) + (visits.days >= test)
    facts = {"validation_from": _date(validation), "test_from": _date(test)}
    return Plan(np.where(visits.timed, parts, -1), "visit_time", NO_TIME, facts)


def _first_day(given: str | None, key: str, days: np.ndarray, rows: float) -> int:
    """The day that is given, or else the one from which on there are about so many rows."""
    if given is not None:
        try:
            return (dt.date.fromisoformat(given) - _EPOCH).days
        except ValueError:
            raise SplitError(
                f"[split] {key} is not a day: {given!r}", "Write it as 2022-01-01."
            ) from None
    if not len(days):
        raise SplitError(f"no visit is left for [split] {key}", "Choose a later test_from.")
    present, counts = np.unique(days, return_counts=True)
    from_then_on = counts[::-1].cumsum()[::-1]
    return int(present[np.abs(from_then_on - rows).argmin()])


def _date(day: int) -> str:
    return (_EPOCH + dt.timedelta(days=day)).isoformat()


def _by_site(settings: Settings, visits: Visits) -> Plan:
    if settings.folds is not None:
        return _site_folds(settings, visits, settings.folds)
    held_out = np.isin(visits.sites, _site_numbers(settings.test_sites, visits.site_names))
    rest = ~held_out
    crossing = rest & np.isin(visits.patients, np.unique(visits.patients[held_out]))
    rest &= ~crossing
    parts = np.where(held_out, TEST, -1)
    if rest.any():
        numbers, groups = np.unique(visits.patients[rest], return_inverse=True)
        wanted = np.array([1.0 - settings.validation, settings.validation])
        group_keys = keys([visits.patient_ids[n] for n in numbers], settings.seed)
        parts[rest] = by_groups(visits.labels[rest], groups, wanted, group_keys)
    facts = {"test_sites": list(settings.test_sites)}
    return Plan(parts, "site", CROSSES, facts)


def _site_numbers(wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    for site in wanted:
        if site not in names:
            known = [name for name in names if name]
            hint = did_you_mean(site, known) or "Map `site` in [source.columns]."
            raise SplitError(f"no record is of the site {site!r} in [split] test_sites", hint)
    return [names.index(site) for site in wanted]


def _site_folds(settings: Settings, visits: Visits, folds: int) -> Plan:
    """Whole sites to folds; a patient counts with the site that he visited most."""
    if settings.test_sites:
        raise SplitError("[split] has both test_sites and folds", "Keep one of the two.")
    visited = sparse.csr_array(
        (np.ones(len(visits)), (visits.patients, visits.sites)),
        shape=(len(visits.patient_ids), len(visits.site_names)),
    )
    order = np.argsort(np.array(visits.site_names))
    home = order[np.asarray(visited[:, order].argmax(axis=1)).ravel()]
    groups = home[visits.patients]
    present, groups = np.unique(groups, return_inverse=True)
    if len(present) < folds:
        raise SplitError(
            f"{folds} folds by site need as many sites; the records have {len(present)}",
            f"Ask for folds = {max(len(present), 2)}, or map `site` in [source.columns].",
        )
    site_keys = keys([visits.site_names[n] for n in present], settings.seed)
    away = int((visits.sites != home[visits.patients]).sum())
    parts = by_groups(visits.labels, groups, shares(settings), site_keys)
    return Plan(parts, facts={"visits_away_from_the_patients_usual_site": away})
