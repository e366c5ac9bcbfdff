"""Makes suites of a test table, once, and writes them down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emrobust import config, records, rng, runs
from emrobust.errors import InputError
from emrobust.evaluate.suites import plan
from emrobust.evaluate.suites.plan import Language
from emrobust.perturb import Edit, perturb
from emrobust.perturb.edits import join

WRITTEN, ATTACK = "written", "attack"
INDEX = "suites.json"
Kind = Literal["noise", "length", "attack", "shift"]
_CLAUSE_ENDS = "，。；！？,;!?\n"


class Settings(config.Section):
    """What suites are made of a table: a function of these and of its texts only.

    Attributes:
        seed: of everything random in them.
        language: of the texts.
        records: most test records in a suite; whole patients, drawn at random. None: all of them.
        kinds: ``noise`` and ``length``.
    """

    seed: int
    language: Language
    records: int | None = 2000
    kinds: tuple[Literal["noise", "length"], ...] = ("noise", "length")


class Suite(NamedTuple):
    """A suite on disk."""

    name: str
    kind: Kind
    path: Path
    about: Mapping[str, Any]


# A text field's values of one record, first to last, to what a suite makes of them.
Change = Callable[[list[str], str], list[str]]


def write(settings: Settings, source: Path, target: Path) -> runs.Summary:
    """A stage: suites of the test rows of ``source / records.parquet`` into ``target``.

    Rows without a split are all test rows.

    Raises:
        InputError: there is no test row.
    """
    table = records.read(source / records.FILE)
    tested = table.filter(pc.equal(pc.fill_null(table["split"], "test"), "test"))
    if not tested.num_rows:
        raise InputError(
            f"a suite needs test records, but {source.name} has none",
            "Look into rejects.csv for the reasons, or give another table.",
        )
    chosen = tested.take(pa.array(_choose(tested, settings)))
    index = [
        {"name": name, "kind": kind, **_write_one(chosen, change, target / f"{name}.parquet")}
        for name, kind, change in _suites(settings)
    ]
    runs.write_json(target / INDEX, index)
    return runs.Summary(tested.num_rows, chosen.num_rows, notes={"suites": len(index)})


def find(folder: Path) -> list[Suite]:
    """The suites of a folder: written ones in their order, then those of attacks."""
    written = folder / WRITTEN
    index = runs.read_json(written / INDEX) if (written / INDEX).is_file() else []
    found = [Suite(of["name"], of["kind"], written / f"{of['name']}.parquet", of) for of in index]
    attacks = sorted((folder / ATTACK).glob("*.parquet"))
    return found + [Suite(f"attack-{path.stem}", "attack", path, {}) for path in attacks]


def _choose(table: pa.Table, settings: Settings) -> np.ndarray:
    """Places of the records that suites take: whole patients until there are enough."""
    if settings.records is None or table.num_rows <= settings.records:
        return np.arange(table.num_rows)
    patient = table["patient_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    order = rng.generator(settings.seed, "suite patients").permutation(int(patient.max()) + 1)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    ranked = np.argsort(place[patient], kind="stable")[: settings.records]
    return np.sort(ranked)


def _suites(settings: Settings) -> Iterator[tuple[str, Kind, Change]]:
    if "noise" in settings.kinds:
        for severity in plan.load().severity:
            yield f"noise-{severity}", "noise", _noise(severity, settings)
    if "length" in settings.kinds:
        for name, change in (("short", _shorten), ("long", _lengthen), ("empty", _blank)):
            yield name, "length", change(settings)


def _write_one(table: pa.Table, change: Change, path: Path) -> dict[str, Any]:
    """Write one suite; what share of its records and characters differs."""
    names = [records.TEXT_PREFIX + field for field in records.text_fields(table.schema)]
    before = list(zip(*(table[name].to_pylist() for name in names), strict=True))
    ids = table["record_id"].to_pylist()
    after = [change(list(texts), str(key)) for texts, key in zip(before, ids, strict=True)]
    records.write(path, table.schema, _with_texts(table, after).to_batches())
    changed = [list(old) != texts for old, texts in zip(before, after, strict=True)]
    size = [sum(map(len, texts)) for texts in after]
    return {
        "records": len(after),
        "changed": round(float(np.mean(changed)), 4),
        "characters": round(float(np.mean(size)), 1),
        "checksum": runs.checksum(path),
    }


def _with_texts(table: pa.Table, texts: Sequence[Sequence[str]]) -> pa.Table:
    """The table with other texts: those of each record's fields in order."""
    for place, field in enumerate(records.text_fields(table.schema)):
        at = table.schema.get_field_index(records.TEXT_PREFIX + field)
        column = pa.array([of[place] for of in texts], pa.string())
        table = table.set_column(at, table.schema.field(at), column)
    return table


def edit(table: pa.Table, edits: Sequence[Sequence[Edit]]) -> pa.Table:
    """The table with edited texts.

    Args:
        table: records.
        edits: of each record's joined text, in order and without overlaps. None lies in two text
            fields: no word does.
    """
    metadata = table.schema.metadata or {}
    gap = len(metadata.get(b"separator", b"\n").decode())
    names = [records.TEXT_PREFIX + field for field in records.text_fields(table.schema)]
    columns = [pc.utf8_trim_whitespace(table[name]).to_pylist() for name in names]
    rows = zip(zip(*columns, strict=True), edits, strict=True)
    return _with_texts(table, [_edit_fields(texts, of, gap) for texts, of in rows])


def _edit_fields(texts: Sequence[str], edits: Sequence[Edit], gap: int) -> list[str]:
    """Each field after its own edits; fields that are empty take no place in the joined text."""
    found, place = [], 0
    for text in texts:
        end = place + len(text)
        own = [
            Edit(e.start - place, e.end - place, e.text) for e in edits if place <= e.start < end
        ]
        found.append(join(text, own))
        place = end + gap if text else place
    return found


def _noise(severity: str, settings: Settings) -> Change:
    made = plan.perturbations(severity, settings.language)

    def change(texts: list[str], key: str) -> list[str]:
        return [
            perturb(text, made, settings.seed, f"suite/{severity}/{place}/{key}").text
            for place, text in enumerate(texts)
        ]

    return change


def _shorten(_settings: Settings) -> Change:
    least = plan.load().short.characters

    def change(texts: list[str], _key: str) -> list[str]:
        first = _first(texts)
        text = texts[first].strip()
        ends = (at for at, character in enumerate(text) if character in _CLAUSE_ENDS)
        cut = next((at for at in ends if at >= least), len(text))
        return [text[:cut] if place == first else "" for place in range(len(texts))]

    return change


def _lengthen(settings: Settings) -> Change:
    table = plan.load().long
    sentences = table.zh if settings.language == "zh" else table.en

    def change(texts: list[str], key: str) -> list[str]:
        stream = rng.generator(settings.seed, "suite long", key)
        front, order = "", stream.permutation(len(sentences))
        for place in order:
            if len(front) >= table.characters:
                break
            front += sentences[place]
        first = _first(texts)
        return [front + text if place == first else text for place, text in enumerate(texts)]

    return change


def _blank(settings: Settings) -> Change:
    table = plan.load().empty
    words = table.zh if settings.language == "zh" else table.en

    def change(texts: list[str], key: str) -> list[str]:
        word = words[int(rng.generator(settings.seed, "suite empty", key).integers(len(words)))]
        return [word if place == 0 else "" for place in range(len(texts))]

    return change


def _first(texts: list[str]) -> int:
    """The first text field with something in it."""
    return next((place for place, text in enumerate(texts) if text.strip()), 0)
