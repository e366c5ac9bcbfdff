"""Excel workbooks (.xlsx, .xlsm, .xlsb, .xls) and OpenDocument sheets.

The sheet is held in memory by the reader, as compact as its cells; Excel ends at 1,048,576
rows. Rows that are blank altogether are no rows, but they count in the numbers, so that row
n of the messages stands n below the header.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import python_calamine as calamine
from openpyxl.utils import get_column_letter

from emrobust.config import Source
from emrobust.errors import SourceError, did_you_mean
from emrobust.ingest.table import TOP_ROWS, Batch, Table, gather, to_cell

SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")

Corner = tuple[int, int]  # row and column, from 0


def open_table(settings: Source, path: Path) -> Table:
    """Open the sheet that ``[source] table`` names, or the only one that is not empty.

    Raises:
        SourceError: not a workbook, no or several sheets to choose from, a merged header.
    """
    try:
        workbook = calamine.CalamineWorkbook.from_path(path)
        sheet = _choose(workbook, settings.table, path)
        above = settings.header_row - 1
        top, header = next(
            (
                (place, row)
                for place, row in enumerate(sheet.iter_rows())
                if place >= above and not _blank(row)
            ),
            (0, []),
        )
        first = [_texts(row) for row in islice(sheet.iter_rows(), TOP_ROWS)]
    except (calamine.CalamineError, OSError, ValueError):
        raise SourceError(
            f"{path.name} is not an Excel workbook, or is damaged or protected by a password",
            "Text that was only named .xls opens once it is renamed to .csv; otherwise save it "
            "again in Excel as .xlsx without a password.",
        ) from None
    if not header:
        below = f" from row {settings.header_row} on" if above else ""
        raise SourceError(f"the sheet `{sheet.name}` of {path.name} is empty{below}")
    _refuse_merged(sheet, path, range(len(header)), top, top)
    return Table(
        f"{path.name}, sheet `{sheet.name}`",
        _texts(header),
        partial(_read, sheet, path, len(header), top),
        {"format": "Excel", "sheet": sheet.name},
        first,
    )


def _texts(row: Sequence[Any]) -> list[str]:
    return [to_cell(cell) or "" for cell in row]


def _choose(
    workbook: calamine.CalamineWorkbook, wanted: str | None, path: Path
) -> calamine.CalamineSheet:
    names = workbook.sheet_names
    if wanted is not None:
        if wanted not in names:
            raise SourceError(f"{path.name} has no sheet `{wanted}`", did_you_mean(wanted, names))
        return workbook.get_sheet_by_name(wanted)
    sheets = [workbook.get_sheet_by_name(name) for name in names]
    filled = [sheet for sheet in sheets if sheet.height > 0] or sheets[:1]
    if len(filled) != 1:
        raise SourceError(
            f"{path.name} has {len(filled)} sheets: {', '.join(s.name for s in filled)}",
            'Name the one to read: table = "…" in [source].',
        )
    return filled[0]


def _blank(row: Sequence[Any]) -> bool:
    return all(cell is None or cell == "" for cell in row)


def _refuse_merged(
    sheet: calamine.CalamineSheet, path: Path, columns: Sequence[int], first: int, last: int | None
) -> None:
    """Refuse ranges over these columns that reach into the rows from ``first`` to ``last``."""
    left = sheet.start[1] if sheet.start else 0
    read = {left + column for column in columns}
    for (top, west), (bottom, east) in sheet.merged_cell_ranges or ():
        below = last is not None and top > last
        if bottom >= first and not below and not read.isdisjoint(range(west, east + 1)):
            raise SourceError(
                f"{path.name}, sheet `{sheet.name}`, has merged cells at "
                f"{_name((top, west))}:{_name((bottom, east))}: only the first of them has a value",
                "Unmerge them in Excel (Home, Merge & Center), fill every cell, and keep one "
                "header row; where a title stands above it, set header_row in [source].",
            )


def _name(corner: Corner) -> str:
    return f"{get_column_letter(corner[1] + 1)}{corner[0] + 1}"


def _read(
    sheet: calamine.CalamineSheet, path: Path, width: int, top: int, positions: Sequence[int]
) -> Iterator[Batch]:
    _refuse_merged(sheet, path, positions, top, None)
    return gather(
        (place - top, [row[column] for column in positions])
        for place, row in enumerate(sheet.iter_rows())
        if place > top and not _blank(row[:width])
    )
