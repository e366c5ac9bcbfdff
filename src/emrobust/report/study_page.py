"""A study's tables, ours beside the paper's, as one HTML file without a script and as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from emrobust.report import shell
from emrobust.report.tables import flatten
from emrobust.report.words import Words

STRINGS = "study_strings.toml"
Facts = Mapping[str, Any]


class Cell(NamedTuple):
    """A measure of a row.

    Attributes:
        ours: mean and deviation; empty where there is none.
        difference: to the row's base, with its interval.
        paper: as the paper prints it.
    """

    ours: str
    difference: str
    paper: str


class Measure(NamedTuple):
    """A measure of a table.

    Attributes:
        name: in the reader's language.
        in_paper: whether the paper prints it for a row of this table; without, it has no column.
    """

    name: str
    in_paper: bool


class Line(NamedTuple):
    """A row of a table."""

    name: str
    cells: list[Cell]
    minutes: str


class Shown(NamedTuple):
    """A table."""

    key: str
    title: str
    measures: list[Measure]
    lines: list[Line]


def html(facts: Facts, language: str = "zh") -> str:
    """The page.

    Args:
        facts: the content of ``study.json``.
        language: ``zh`` or ``en``.
    """
    w = Words(language, STRINGS)
    return shell.fill(
        "study.html.j2",
        w=w,
        title=facts["zh" if language == "zh" else "title"],
        tables=_tables(facts, w),
        base=facts["base"],
        notes=_notes(facts, w),
        missing=_missing(facts),
        failed=sorted(facts["failed"].items()),
        about=list(flatten(facts["about"])),
    )  # fmt: skip


def markdown(facts: Facts, language: str = "en") -> str:
    """The tables as Markdown, with the same notes."""
    w = Words(language, STRINGS)
    parts = [f"# {facts['zh' if language == 'zh' else 'title']}", "", *_notes(facts, w)]
    for table in _tables(facts, w):
        named = [
            Cell(measure.name, w("difference", base=facts["base"]), w("paper"))
            for measure in table.measures
        ]
        head = [w("row"), *_texts(table, named), w("minutes")]
        parts += ["", f"## {table.title}", "", _join(head), _join(["---"] * len(head))]
        for line in table.lines:
            parts.append(_join([line.name, *_texts(table, line.cells), line.minutes]))
    for title, lines in ((w("missing"), _missing(facts)), (w("failed"), facts["failed"].items())):
        if lines:
            parts += ["", f"{title}:", "", *(f"- {name}: {why}" for name, why in lines)]
    return "\n".join(parts) + "\n"


def _texts(table: Shown, cells: Sequence[Cell]) -> list[str]:
    """The cells' texts, without the paper's column where a measure has none."""
    pairs = zip(table.measures, cells, strict=True)
    return [text for measure, cell in pairs for text in (cell if measure.in_paper else cell[:2])]


def _join(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _notes(facts: Facts, w: Words) -> list[str]:
    of = facts["about"]
    values = {"seeds": of["seeds"], "level": of["level"], "confidence": f"{of['confidence']:.0%}"}
    quick = [w("quick")] if of["quick"] else []
    paper = [w("levels")] if any(row["paper"] for row in facts["rows"].values()) else []
    return [*quick, w("about", **values), w("noise"), *paper]


def _missing(facts: Facts) -> list[tuple[str, str]]:
    return [(row["name"], row["missing"]) for row in facts["rows"].values() if row["missing"]]


def _tables(facts: Facts, w: Words) -> list[Shown]:
    return [
        Shown(
            table["key"],
            table["zh" if w.language == "zh" else "en"],
            [Measure(w.known(key), _in_paper(facts, table, key)) for key in table["measures"]],
            [_line(facts, facts["rows"][key], table["measures"], w) for key in table["rows"]],
        )
        for table in facts["tables"]
    ]


def _in_paper(facts: Facts, table: Facts, measure: str) -> bool:
    return any(measure in facts["rows"][key]["paper"] for key in table["rows"])


def _line(facts: Facts, row: Facts, measures: Sequence[str], w: Words) -> Line:
    cells = [
        Cell(
            spread(row["scores"].get(measure, ())) or w("not_available"),
            _difference(facts, row["key"], measure),
            " ± ".join(f"{value:g}" for value in row["paper"].get(measure, ())),
        )
        for measure in measures
    ]
    minutes = "" if row["seconds"] is None else f"{row['seconds'] / 60:.1f}"
    return Line(row["name"], cells, minutes)


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation in percent; empty where there is no value."""
    if not values:
        return ""
    mean = f"{100 * statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.1f}"


def _difference(facts: Facts, row: str, measure: str) -> str:
    for claim in facts["claims"]:
        if (claim["second"], claim["measure"]) == (row, measure):
            low, high = (100 * bound for bound in claim["interval"])
            star = "*" if claim["significant"] else ""
            return f"{100 * claim['difference']:+.1f}{star} [{low:+.1f}, {high:+.1f}]"
    return ""
