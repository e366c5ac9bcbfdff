"""The sheet that a clinician corrects, and what it exports, checked.

The HTML sheet exports JSON; the CSV sheet is filled in with a spreadsheet and given back as it
is. Neither export holds a text: only record numbers and labels.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from emrobust.errors import InputError, LabelError, did_you_mean

VERSION = 1
SEPARATOR = ";"
COLUMNS = (
    "record_id", "split", "labels", "drop", "add", "score", "confident", "corrected", "text",
)  # fmt: skip
# What makes a spreadsheet take a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Entry(NamedTuple):
    """A record on the sheet.

    Attributes:
        record_id: its number.
        split: where it lies.
        labels: as given.
        drop: the label that is least likely, or empty.
        add: the likeliest that is lacking, or empty.
        likely: the likeliest labels with their probabilities.
        score: see `mislabels`.
        confident: likewise.
        text: the note.
    """

    record_id: str
    split: str
    labels: tuple[str, ...]
    drop: str
    add: str
    likely: tuple[tuple[str, float], ...]
    score: float
    confident: bool
    text: str

    def to_json(self) -> dict[str, Any]:
        """Plain values without the text."""
        plain = {**self._asdict(), "likely": [list(of) for of in self.likely]}
        del plain["text"]
        return plain


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Corrected(_Strict):
    """One record as a clinician left it."""

    record_id: str
    reviewed: bool
    labels: tuple[str, ...]


class Corrections(_Strict):
    """What the sheet exports; ``data`` is the checksum of the records that it was made from."""

    version: Literal[1]
    data: str
    records: tuple[Corrected, ...]


def to_csv(entries: Sequence[Entry]) -> str:
    """The sheet for a spreadsheet, with a byte-order mark; ``corrected`` is left empty."""
    handle = io.StringIO(newline="")
    writer = csv.writer(handle)
    writer.writerow(COLUMNS)
    for of in entries:
        labels = SEPARATOR.join(of.labels)
        cells = (of.record_id, of.split, labels, of.drop, of.add)
        numbers = (f"{of.score:.3f}", "yes" if of.confident else "", "")
        writer.writerow([*map(_cell, cells), *numbers, _cell(of.text)])
    return "\ufeff" + handle.getvalue()


def _cell(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA) else value


def read(
    path: Path,
    data: str,
    known: Mapping[str, Sequence[str]],
    names: Collection[str],
    *,
    single: bool,
) -> dict[str, list[str]]:
    """Reviewed record → its labels, from a sheet's JSON or a filled-in CSV.

    Args:
        path: of the corrections.
        data: checksum of the records that are to be corrected.
        known: record → its labels, of these.
        names: the label set.
        single: whether a record has exactly one label.

    Raises:
        InputError: the file is no corrections, belongs to other records, names a record twice, or
            none is reviewed.
        LabelError: a label is not in the label set, or a single-label record has not one.
    """
    found = list(_read_csv(path, known) if path.suffix == ".csv" else _read_json(path, data))
    corrected: dict[str, list[str]] = {}
    for number, (record_id, labels) in enumerate(found, start=1):
        if record_id in corrected:
            raise InputError(f"{path} names a record twice (entry {number})")
        _check(path, number, labels, names, single=single)
        corrected[record_id] = list(dict.fromkeys(labels))
    if not corrected:
        raise InputError(
            f"no record of {path} is reviewed",
            "Tick each record once it is read, or fill in the column `corrected`.",
        )
    return corrected


def _check(
    path: Path, number: int, labels: Sequence[str], names: Collection[str], *, single: bool
) -> None:
    for label in labels:
        if label not in names:
            raise LabelError(
                f"{path}, entry {number}: a label is not in the label set of {len(names)}",
                did_you_mean(label, names),
            )
    if single and len(labels) != 1:
        raise LabelError(
            f"{path}, entry {number}: a single-label record has {len(labels)} labels",
            "Give it exactly one.",
        )


def _read_json(path: Path, data: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    try:
        given = Corrections.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(
            f"{path} is not what a quality sheet exports: {where}: {first['msg']}",
            "Export it again with the button on the sheet.",
        ) from None
    if given.data != data:
        raise _other_records(path)
    yield from ((of.record_id, of.labels) for of in given.records if of.reviewed)


def _other_records(path: Path) -> InputError:
    return InputError(
        f"{path} was made from other records than these",
        "Give the prepared folder that the sheet was made from.",
    )


def _read_csv(
    path: Path, known: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            missing = {"record_id", "labels", "corrected"} - set(reader.fieldnames or ())
            if missing:
                raise InputError(
                    f"{path} lacks the column(s) {', '.join(sorted(missing))}",
                    "Give back the sheet with its header as it was.",
                )
            for row in reader:
                corrected, given = (_labels(row[name]) for name in ("corrected", "labels"))
                if not corrected:
                    continue
                number = (row["record_id"] or "").strip().removeprefix("'")
                # Tables that count from 1 share their numbers, and not their labels.
                if number in known and sorted(known[number]) != sorted(given):
                    raise _other_records(path)
                yield number, corrected
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path} is not UTF-8 CSV", "Save it as “CSV UTF-8”.") from None


def _labels(cell: str | None) -> tuple[str, ...]:
    cleaned = (label.strip().removeprefix("'") for label in (cell or "").split(SEPARATOR))
    return tuple(filter(None, cleaned))
