"""Outcomes as they come, in a file that a stopped attack goes on from.

The first line tells which attack it is; each further line is one record. A line that was cut off
by a crash is dropped. Without examples no line holds a character of a record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emrobust import runs
from emrobust.attack.attempt import Outcome, State
from emrobust.errors import RunError
from emrobust.perturb import Edit


class Entry(NamedTuple):
    """One record's line.

    Attributes:
        record_id: its number.
        state: what became of it.
        queries: texts that the model was asked about.
        changes: number of edits; 0 unless it is a success.
        touched: characters that they touch.
        after: probabilities [K] of the attacked text; None unless it is a success.
        edits: themselves, if they are kept.
        tried: whether any change was allowed.
    """

    record_id: str
    state: State
    queries: int
    changes: int
    touched: int
    after: list[float] | None
    edits: tuple[Edit, ...] | None
    tried: bool = True


def entry(outcome: Outcome, touched: int, *, with_edits: bool) -> Entry:
    """The line of an outcome."""
    success = outcome.state == "success"
    return Entry(
        outcome.record_id,
        outcome.state,
        outcome.queries,
        len(outcome.edits),
        touched,
        np.asarray(outcome.after).tolist() if success else None,
        outcome.edits if with_edits and success else None,
        outcome.tried,
    )


def read(path: Path, facts: Mapping[str, Any]) -> dict[str, Entry]:
    """What is done already, by record; the file is cut behind its last whole line.

    Raises:
        RunError: it belongs to another attack.
    """
    if not path.is_file():
        return {}
    whole = path.read_bytes()
    whole = whole[: whole.rfind(b"\n") + 1]
    lines = whole.decode("utf-8").splitlines()
    if not lines:
        path.unlink()
        return {}
    if json.loads(lines[0]) != json.loads(json.dumps(facts)):
        raise RunError(
            f"{path} belongs to an attack with other settings or another model",
            "Give another folder with --out, or delete this file.",
        )
    with path.open("r+b") as file:
        file.truncate(len(whole))
    found = [Entry(**json.loads(line)) for line in lines[1:]]
    return {of.record_id: of._replace(edits=_edits(of.edits)) for of in found}


def _edits(given: Any) -> tuple[Edit, ...] | None:
    return None if given is None else tuple(Edit(*edit) for edit in given)


class Writer:
    """Appends lines; each is flushed, so that a killed process loses none."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, value: Any) -> None:
        """Append one line of JSON."""
        self._file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()


@contextmanager
def append(path: Path, facts: Mapping[str, Any]) -> Iterator[Writer]:
    """Open the file for more lines; a new one gets its first line. Its owner's alone.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    with runs.storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with path.open("a", encoding="utf-8") as file:
            writer = Writer(file)
            if not path.stat().st_size:
                writer.write(facts)
            yield writer
