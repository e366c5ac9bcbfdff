"""A look at a project before anything long starts: what `prepare` or `train` would refuse at once.

Whatever it looks at, it reads with the functions that `prepare` reads it with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from emrobust import deid, ingest, records
from emrobust.config import Columns, Labels, Project
from emrobust.errors import LabelError, SourceError
from emrobust.ingest import header
from emrobust.labels.aggregate import mapper
from emrobust.language import count_foreign, describe_foreign
from emrobust.normalize import names_for
from emrobust.pipeline.prepare import settle
from emrobust.train import estimators

_ROWS = 1000  # that are looked at
_SHOWN = 10  # classes


@dataclass
class _Found:
    """What became of the first rows, label by label, and what their texts are.

    Attributes:
        texts: how many rows with a text there were.
        foreign: those in another language than the project's.
        labels: how many there were.
        faults: reason → labels that cannot be read.
        lost: reason → codes that became no class.
        classes: class → labels of it.
    """

    texts: int = 0
    foreign: int = 0
    labels: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)


def check(project: Project) -> list[str]:
    """Look at a project's source, labels and model without reading or writing much.

    Returns:
        what was found, line by line; never a cell of a record.

    Raises:
        InputError: what `prepare` or `train` would stumble over at once.
    """
    settle(project)
    deid.Deidentifier(project.deid)
    estimators.build(project, ())
    seen = ingest.preview(project.source, _ROWS)
    found = _read(project)
    _refuse_useless(seen, found)
    return [
        *_describe_source(project.source.columns, seen),
        *_describe_language(project.language, found),
        *_describe_labels(project.labels, found),
        *_describe_normalizer(project),
        f"model: {project.model.name}",
        "the project file is sound",
    ]


def _read(project: Project) -> _Found:
    """The first rows; identifiers are looked for, too, as `prepare` does."""
    convert, found = mapper(project.labels), _Found()
    for batch in ingest.batches(project.source, with_known=True):
        first = batch.slice(0, _ROWS)
        found.texts = first.num_rows
        found.foreign = count_foreign(records.join_text(first), project.language)
        for labels in first.column("labels").to_pylist():
            for mapped in map(convert, labels):
                found.labels += 1
                found.faults.update([mapped.reason] if mapped.reason else [])
                found.lost.update(mapped.lost)
                found.classes.update(mapped.classes)
        break
    return found


def _refuse_useless(seen: ingest.Preview, found: _Found) -> None:
    """Refuse a source of whose first rows nothing can be used."""
    if not seen.rows and not seen.rejected:
        raise SourceError(f"{seen.name} has a header but no rows", "Export the table again.")
    if not seen.rows:
        raise SourceError(
            f"none of the first rows of {seen.name} can be used ({_count(seen.rejected)})",
            "Does [source.columns] name the right columns? Look at the first rows of the table.",
        )
    if found.labels and not found.classes:
        raise LabelError(
            f"none of the {found.labels:,} labels of the first rows of {seen.name} can be used "
            f"({_count(found.faults + found.lost)})",
            "Is [source.columns] labels the right column, and [labels] kind the right kind?",
        )


def _describe_source(columns: Columns, seen: ingest.Preview) -> Iterator[str]:
    facts = ", ".join(f"{name} {value}" for name, value in seen.facts.items())
    yield f"source: {seen.name} ({facts})"
    read = set()
    for key, name in _named(columns):
        place = seen.columns.get(name, name)
        read.add(header.key(place))
        yield f"  {key} ← {place}"
    if others := {header.key(name) for name in seen.header} - read:
        yield f"  {len(others)} other columns are never read"
    for reason, rows in seen.rejected.items():
        yield f"  of the first rows refused: {rows} ({reason})"
    for name, cells in seen.unread.items():
        yield f"  of the first rows {cells} cells of {name} are not understood, and left out"
        if name == columns.visit_time:
            yield "    For dates such as 3/15/2024 set date_order in [source]."


def _named(columns: Columns) -> Iterator[tuple[str, str]]:
    """Each key of the column map with a column that it names."""
    for key, value in columns:
        of_key = value if isinstance(value, dict) else {"": value}
        for kind, names in of_key.items():
            for name in (names,) if isinstance(names, str) else names or ():
                yield f"{key}.{kind}" if kind else key, name


def _describe_language(language: str, found: _Found) -> Iterator[str]:
    if warning := describe_foreign(found.foreign, found.texts, language):
        yield f"warning: of the first rows {warning}"
        yield "  Set language at the top of the project file, or name the right text columns."


def _describe_labels(settings: Labels, found: _Found) -> Iterator[str]:
    unread = found.faults.total()
    share = f", {unread / found.labels:.1%} of them unreadable" if found.labels else ""
    yield f"labels of the first rows: {found.labels:,}{share}"
    for reason, labels in (found.faults + found.lost).most_common():
        yield f"  {labels:,}: {reason}"
    # A plain label is a cell of a record, and may hold anything where the column is wrong.
    if settings.kind == "plain" and settings.table is None:
        yield f"  {len(found.classes):,} different ones"
    elif found.classes:
        yield f"  commonest classes: {_count(dict(found.classes.most_common(_SHOWN)))}"


def _describe_normalizer(project: Project) -> Iterator[str]:
    """The steps that are switched on and are not for the texts' language."""
    wanted = project.normalize.model_dump(exclude={"tables", "typos_checkpoint"})
    made = names_for(project.language, wanted)
    others = ", ".join(name for name, on in wanted.items() if on and name not in made)
    if others:
        yield f"normaliser: not for texts in `{project.language}`, and left out: {others}"


def _count(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({number:,})" for name, number in counts.items())
