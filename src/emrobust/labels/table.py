"""The class table: a CSV that the hospital edits, from codes to the classes that are learned.

Columns ``code,class`` and optionally ``title_zh`` and ``title_en``, or ``title`` where one does for
both languages; further columns are ignored. A code may be a category, a subcategory or a full
code: the longest that fits a diagnosis decides. An empty class drops the code. Spreadsheet
programs may save it as UTF-8 with a mark, or GB18030.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

from emrobust.errors import LabelError, did_you_mean
from emrobust.labels import icd10

COLUMNS = ("code", "class")
LANGUAGES = ("zh", "en")


@dataclass(frozen=True)
class ClassTable:
    """The class table as read.

    Attributes:
        classes: canonical code (or plain label) → class; an empty class drops the code.
        titles: class → language → title, where the table has one.
    """

    classes: dict[str, str]
    titles: dict[str, dict[str, str]] = field(default_factory=dict)


def read(path: Path, kind: str) -> ClassTable:
    """Read a class table.

    Args:
        path: the CSV.
        kind: ``icd10``: the codes are parsed; ``plain``: they are taken as they stand.

    Raises:
        LabelError: the file or a column is missing, a code is no code, a code is given two
            classes; names the line.
    """
    lines = csv.DictReader(_decode(path).splitlines())
    header = [name.strip() for name in lines.fieldnames or ()]
    for column in COLUMNS:
        if column not in header:
            raise LabelError(
                f"the class table {path} has no column `{column}`",
                f"Its first line must name `code` and `class`. {did_you_mean(column, header)}",
            )
    lines.fieldnames = header
    table = ClassTable({})
    seen: dict[str, int] = {}
    for row in lines:
        _add(table, seen, row, kind, f"line {lines.line_num} of {path}")
        seen.setdefault(_canonical(row["code"] or "", kind, ""), lines.line_num)
    if not set(table.classes.values()) - {""}:
        raise LabelError(f"the class table {path} names no class", "Fill in the column `class`.")
    return table


def _add(
    table: ClassTable, seen: dict[str, int], row: dict[str, str], kind: str, where: str
) -> None:
    code, name = _canonical(row["code"] or "", kind, where), (row["class"] or "").strip()
    if table.classes.setdefault(code, name) != name:
        raise LabelError(
            f"{where} gives {code} another class than line {seen[code]} does",
            "Delete one of the two lines.",
        )
    for language in LANGUAGES:
        if title := (row.get(f"title_{language}") or row.get("title") or "").strip():
            table.titles.setdefault(name, {}).setdefault(language, title)


def _canonical(code: str, kind: str, where: str) -> str:
    if kind == "plain":
        if not code.strip():
            raise LabelError(f"{where} has an empty code", "Delete the line or fill it in.")
        return code.strip()
    try:
        return icd10.parse(code).full
    except LabelError as error:
        raise LabelError(
            f"the code in {where} cannot be used: {error.message}", error.hint
        ) from None


def _decode(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise LabelError(
            f"the class table {path} does not exist", "Correct `table` in [labels], or remove it."
        ) from None
    except OSError as error:
        raise LabelError(
            f"the class table {path} cannot be read ({error.strerror})",
            "Name a CSV file that you may read.",
        ) from None
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise LabelError(
        f"the class table {path} is neither UTF-8 nor GB18030", "Save it as CSV in UTF-8."
    )
