"""What doctors said of each record: the last word counts, and where words differ a list says so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from emrobust.errors import ConfigError
from emrobust.serve.store import Database
from emrobust.serve.store.entries import TRIAGE
from emrobust.serve.store.schema import AUDIT, FEEDBACK, PREDICTIONS

# A prediction without a record id is a record of its own, if its text was kept.
_NAMELESS = "feedback-"


@dataclass(frozen=True)
class Word:
    """One feedback.

    Attributes:
        record_id: of the prediction, or made of its id where it has none.
        prediction: its id.
        model: that predicted.
        at: when it was said.
        actor: by whom.
        verdict: accepted, changed, rejected, or partial.
        labels: what is right by it; empty where it was rejected.
    """

    record_id: str
    prediction: str
    model: str
    at: str
    actor: str
    verdict: str
    labels: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether it tells all that is right, so that it may stand for the record's labels."""
        return self.verdict in ("accepted", "changed")


@dataclass(frozen=True)
class Verdict:
    """What is known of a record.

    Attributes:
        last: the word that counts.
        words: all of them, the first said first.
    """

    last: Word
    words: tuple[Word, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """What doctors say is right; empty where the last word does not tell all of it."""
        return self.last.labels if self.last.is_whole else ()

    @property
    def disputed(self) -> bool:
        """Whether words differ, or the last one does not tell all that is right."""
        said = {(word.is_whole, frozenset(word.labels)) for word in self.words}
        return len(said) > 1 or not self.last.is_whole


def read(database: Database, model: str | None = None) -> dict[str, Verdict]:
    """The verdict on each record that any doctor answered, by record id.

    Args:
        database: with the feedback.
        model: its name, without a version; absent: the only one that has any.

    Raises:
        ConfigError: several models have feedback, whose labels may be of different kinds.
    """
    found: dict[str, dict[str, list[Word]]] = {}
    for word in _words(database):
        of_model = found.setdefault(word.model.rpartition("@")[0], {})
        of_model.setdefault(word.record_id, []).append(word)
    if model is None and len(found) > 1:
        names = ", ".join(f"`{name}`" for name in sorted(found))
        raise ConfigError(f"the store has feedback on several models: {names}", "Give --model.")
    words = found.get(model, {}) if model else next(iter(found.values()), {})
    return {record: Verdict(of[-1], tuple(of)) for record, of in words.items()}


def _words(database: Database) -> Iterator[Word]:
    """Every word, the first said first; triage told departments, and nothing of diagnoses."""
    told = (FEEDBACK.c.prediction, FEEDBACK.c.verdict, FEEDBACK.c.labels, FEEDBACK.c.at)
    asked = (
        sa.select(
            *told, FEEDBACK.c.actor, PREDICTIONS.c.record_id, PREDICTIONS.c.model,
            PREDICTIONS.c.result,
        )
        .join(PREDICTIONS, PREDICTIONS.c.id == FEEDBACK.c.prediction)
        .join(AUDIT, AUDIT.c.event == FEEDBACK.c.id)
        .where(PREDICTIONS.c.task != TRIAGE)
        .order_by(AUDIT.c.seq)
    )  # fmt: skip
    with database.snapshot() as connection:
        for row in connection.execute(asked):
            yield Word(
                row.record_id or f"{_NAMELESS}{row.prediction}",
                row.prediction,
                row.model,
                row.at,
                row.actor,
                row.verdict,
                _labels(row.verdict, row.labels, row.result),
            )


def _labels(verdict: str, labels: str, result: str) -> tuple[str, ...]:
    if verdict in ("changed", "partial"):
        return tuple(json.loads(labels))
    return tuple(json.loads(result)["chosen"]) if verdict == "accepted" else ()


def list_disputed(verdicts: dict[str, Verdict]) -> Sequence[Verdict]:
    """Those that somebody should look at, by record id."""
    return [of for _, of in sorted(verdicts.items()) if of.disputed]
