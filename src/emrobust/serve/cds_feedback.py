"""What becomes of CDS Hooks cards: a client's feedback → verdicts, as the store has them.

A client tells what was taken, as often as something is, and says nothing of what was ignored, "in
part, because it may later be acted upon" (CDS Hooks 2.0, section "Feedback"). So who takes one of
two recommended diagnoses confirms that one, and does not call the other wrong.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, Field, model_validator

from emrobust.serve.cds import Sent, table
from emrobust.serve.problem import RefusedError
from emrobust.serve.store import Event, Feedback
from emrobust.serve.store.entries import Verdict
from emrobust.serve.suggestions import suggestion_id

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}T")


def _is_written(value: object) -> object:
    """Refuse what pydantic would take for seconds since 1970, as a number or in a string."""
    if not isinstance(value, str) or not _DATE.match(value):
        raise ValueError("it must be a date and time as ISO 8601 writes them")
    return value


Timestamp = Annotated[AwareDatetime, BeforeValidator(_is_written)]


class AcceptedSuggestion(Sent):
    """A suggestion that the user took."""

    id: uuid.UUID


class Reason(Sent):
    """Coding of an override reason."""

    code: str
    system: str = ""


class Override(Sent):
    """Why a card was dismissed."""

    reason: Reason = Reason(code="")
    userComment: str = Field("", max_length=5000)  # noqa: N815


class Outcome(Sent):
    """What became of one card."""

    card: uuid.UUID
    outcome: Literal["accepted", "overridden"]
    acceptedSuggestions: tuple[AcceptedSuggestion, ...] = Field((), max_length=50)  # noqa: N815
    overrideReason: Override = Override()  # noqa: N815
    outcomeTimestamp: Timestamp  # noqa: N815

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.outcome == "accepted") != bool(self.acceptedSuggestions):
            raise ValueError(
                "acceptedSuggestions belong to the outcome `accepted`, and to it alone"
            )
        return self


class Outcomes(Sent):
    """Feedback on some cards."""

    feedback: Annotated[tuple[Outcome, ...], Field(min_length=1, max_length=100)]


def verdict(
    outcome: Outcome, row: Mapping[str, Any], actor: str, *, exclusive: bool
) -> tuple[Feedback, Event | None]:
    """What a client says of a card, as the store has it: the verdict, and the coded reason.

    The same outcome sent twice has the same ids, and is recorded once.

    Args:
        outcome: of one card.
        row: of the prediction, which is the card's.
        actor: who says so.
        exclusive: of the model's labels only one can be right.

    Raises:
        RefusedError: a suggestion that is none of the card's (422).
    """
    card_id = str(outcome.card)
    result = json.loads(row["result"])
    taken = _labels_of(outcome, result, card_id)
    own = outcome.model_dump_json()
    said = _judge(frozenset(taken), frozenset(result["chosen"]), exclusive=exclusive)
    feedback = Feedback(
        actor=actor,
        prediction=card_id,
        verdict=said,
        labels=taken if said in ("changed", "partial") else (),
        comment=outcome.overrideReason.userComment or None,
        id=str(uuid.uuid5(outcome.card, f"{actor} {own}")),
    )
    known = {reason["code"] for reason in table()["override"]["reason"]}
    code = outcome.overrideReason.reason.code
    if not code:
        return feedback, None
    # A client may have reasons of its own; theirs are words that nobody checked.
    detail = {"prediction": card_id, "reason": code if code in known else "of the client"}
    event = Event(
        actor=actor,
        action="card overridden",
        detail=detail,
        id=str(uuid.uuid5(outcome.card, f"{actor} reason {own}")),
    )
    return feedback, event


def _judge(taken: frozenset[str], chosen: frozenset[str], *, exclusive: bool) -> Verdict:
    """What it means that these suggestions were taken, of a card that recommended the chosen."""
    if not taken:
        return "rejected"
    if taken == chosen:
        return "accepted"
    return "changed" if exclusive or taken > chosen else "partial"


def _labels_of(outcome: Outcome, result: Mapping[str, Any], card_id: str) -> tuple[str, ...]:
    names = {suggestion_id(card_id, label): label for label in result["probabilities"]}
    taken = tuple(names.get(str(one.id), "") for one in outcome.acceptedSuggestions)
    if "" in taken:
        raise RefusedError(
            422,
            "unknown_suggestion",
            "an accepted suggestion is none of its card's",
            "Send the uuid of the card's own suggestion.",
        )
    return tuple(dict.fromkeys(taken))
