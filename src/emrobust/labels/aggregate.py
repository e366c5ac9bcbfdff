"""Stage: from the codes of a record to classes, row by row.

No count decides anything here, since the split comes later and label statistics may only
come from training rows; `emrobust.labels.select` takes those decisions after the split.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from emrobust import config, records
from emrobust.errors import LabelError
from emrobust.labels import icd10, names
from emrobust.labels.rows import Verdict, rewrite
from emrobust.labels.table import ClassTable, read
from emrobust.runs import Summary

OTHER = "other"
NO_LABEL = "no label"
NONE_LEFT = "no label left after codes were dropped"
SEVERAL = "more than one class in a single-label task"
TOO_LONG = "a label of more than 100 characters"
DROPPED = "dropped by the class table"
NOT_IN_TABLE = "not in the class table"
MAX_LABEL = 100


class Mapped(NamedTuple):
    """What becomes of one cell: its classes, or what is wrong with it.

    ``lost`` counts codes of the cell that became no class, by reason.
    """

    classes: tuple[str, ...] = ()
    reason: str = ""
    lost: tuple[str, ...] = ()


def aggregate(
    settings: config.Labels, source: Path, target: Path, *, to_learn: bool = True
) -> Summary:
    """Turn the codes of the ingested records into classes.

    Args:
        settings: ``[labels]``; ``top`` and ``min_count`` are left to `select`.
        source: folder of the ingest stage.
        target: empty folder for the records and rejects.csv.
        to_learn: a model will learn from these records; others may have few rows or one class.

    Returns:
        rows, rejects, and notes: ``classes`` (how many), ``dropped`` (reason → codes).

    Raises:
        LabelError: there is nothing to learn: no row is left, or all rows have the same single
            class, or there are fewer rows than classes.
    """
    convert = mapper(settings)
    dropped: Counter[str] = Counter()
    classes: set[str] = set()

    def relabel(cells: Sequence[str]) -> Verdict:
        verdict = _of_row(cells, convert, settings, dropped)
        if not verdict.reason:
            classes.update(verdict.labels)
        return verdict

    done = rewrite(source, target, relabel)
    if to_learn:
        check_classes(len(classes), done.rows_out, "the records")
    records.check(target / records.FILE, names=sorted(classes))
    notes = {"classes": len(classes), "dropped": dict(dropped)}
    return Summary(done.rows_in, done.rows_out, done.rejected, notes)


def check_classes(classes: int, rows: int, what: str) -> None:
    """Refuse label sets from which nothing can be learned.

    Raises:
        LabelError: fewer than two classes, or fewer rows than classes.
    """
    if classes < 2:
        raise LabelError(
            f"{what} have {classes} class(es); a classifier needs two",
            "Raise `top`, lower `min_count`, choose a finer `level`, or widen the class table.",
        )
    if rows < classes:
        raise LabelError(
            f"{what} have {classes} classes but only {rows} rows",
            "Choose a coarser `level` or a class table. Is the labels column really one of labels?",
        )


def mapper(settings: config.Labels) -> Callable[[str], Mapped]:
    """The function from one cell (a code or a plain label) to its classes."""
    table = None if settings.table is None else read(settings.table, settings.kind)
    of_cell = _plain if settings.kind == "plain" else _icd10
    return functools.lru_cache(maxsize=1 << 18)(lambda cell: of_cell(cell, table, settings))


def _icd10(cell: str, table: ClassTable | None, settings: config.Labels) -> Mapped:
    if not cell.strip() or names.means_nothing(cell, settings):
        return Mapped()
    try:
        codes = icd10.parse_combination(cell)
    except LabelError as error:
        return Mapped(reason=error.message)
    if table is None:
        return Mapped(tuple(_at_level(code, settings.level) for code in codes))
    return _looked_up([code.prefixes() for code in codes], table, settings)


def _plain(cell: str, table: ClassTable | None, settings: config.Labels) -> Mapped:
    found = _names(cell.strip(), {} if table is None else table.classes, settings)
    if any(len(name) > MAX_LABEL for name in found):
        return Mapped(reason=TOO_LONG)
    if table is None or not found:
        return Mapped(found)
    return _looked_up([(name,) for name in found], table, settings)


def _names(cell: str, known: Mapping[str, str], settings: config.Labels) -> tuple[str, ...]:
    """The names in a cell; what the class table names is taken as it stands."""
    found = [cell] if cell in known else names.split(cell)
    return tuple(n for n in found if n in known or not names.means_nothing(n, settings))


def _at_level(code: icd10.Code, level: str) -> str:
    if level == "category":
        return code.category
    return code.full if level == "code" else code.subcategory or code.category


def _looked_up(
    codes: Sequence[Sequence[str]], table: ClassTable, settings: config.Labels
) -> Mapped:
    """Classes by the longest prefix in the table; a code outside it counts as rare."""
    outside = OTHER if settings.rare == "other" else None
    found = [next((table.classes[p] for p in of if p in table.classes), outside) for of in codes]
    lost = [DROPPED if name == "" else NOT_IN_TABLE for name in found if not name]
    return Mapped(tuple(name for name in found if name), lost=tuple(lost))


def _of_row(
    cells: Sequence[str],
    convert: Callable[[str], Mapped],
    settings: config.Labels,
    dropped: Counter[str],
) -> Verdict:
    kept: dict[str, None] = {}
    given = False
    for place, cell in enumerate(cells, 1):
        mapped = convert(cell)
        if mapped.reason and settings.invalid == "reject":
            return Verdict((), mapped.reason, f"code {place}")
        given = given or mapped != Mapped()
        dropped.update(mapped.lost)
        if mapped.reason:
            dropped[mapped.reason] += 1
        kept.update(dict.fromkeys(mapped.classes))
    return of_classes(tuple(kept), settings.task, NONE_LEFT if given else NO_LABEL)


def of_classes(classes: Sequence[str], task: str, if_none: str) -> Verdict:
    """The verdict on a row with these classes."""
    if not classes:
        return Verdict((), if_none)
    if task == "single" and len(classes) > 1:
        return Verdict((), SEVERAL)
    return Verdict(classes)
