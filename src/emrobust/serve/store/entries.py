"""What the service records: predictions, feedback and events; each becomes rows of the store.

Every field is short and checked, so that no text of a record can slip into a table. The text
itself has a field of its own, which is dropped unless the store was opened with a text key.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import sqlalchemy as sa

from emrobust.errors import InputError
from emrobust.serve.store import clock
from emrobust.serve.store.schema import FEEDBACK, PREDICTIONS
from emrobust.serve.store.texts import Seal

# Control characters, line ends and halves of a surrogate pair; wide blanks are in some labels.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
TRIAGE = "triage"  # a task that tells departments, and nothing of diagnoses
LONGEST = 200  # characters of a name, a label or an id
MOST_LABELS = 5000

# `partial`: somebody confirmed some of the labels, and nobody said anything of the others.
Verdict: TypeAlias = Literal["accepted", "changed", "rejected", "partial"]
Scalar: TypeAlias = str | int | float | bool | None


def new_id() -> str:
    """A UUID of version 7 (RFC 9562), 36 characters: the time, then 74 random bits.

    Ids that grow keep the index's new entries on few pages; random ones would write one each.
    """
    drawn = secrets.randbits(74)
    head = (time.time_ns() // 1_000_000) << 16 | 7 << 12 | drawn >> 62
    return str(uuid.UUID(int=head << 64 | 0b10 << 62 | drawn & ((1 << 62) - 1)))


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One answer of a model.

    Attributes:
        actor: who asked: an API key's prefix, or whom the hospital's sign-in names.
        task: ``diagnose``, ``triage`` …
        model: name and version, ``name@version``.
        record_id: the visit's number where the caller gave one.
        probabilities: label → calibrated probability, of all labels or the likeliest.
        chosen: the labels decided for.
        uncertain: the prediction set.
        abstained: whether the model said that it is not sure.
        beside: the id of what another version told somebody; this is a shadow then, which nobody
            was shown.
        seconds: how long the answer took.
        text: the record's text; kept, sealed, only where a text key is given.
        id: given to the caller, who names it in feedback; the same id twice is recorded once.
    """

    actor: str
    task: str
    model: str
    probabilities: Mapping[str, float]
    record_id: str | None = None
    chosen: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    abstained: bool = False
    beside: str | None = None
    seconds: float = 0.0
    text: str | None = field(default=None, repr=False)
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """What somebody thought of a prediction.

    Attributes:
        actor: by whom.
        prediction: its id.
        verdict: see `Verdict`.
        labels: what is right instead, where it was changed; what is right, where it was accepted in
            part.
        comment: kept, sealed, only where a text key is given.
        id: the same id twice is recorded once.
    """

    actor: str
    prediction: str
    verdict: Verdict
    labels: tuple[str, ...] = ()
    comment: str | None = field(default=None, repr=False)
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Whatever else belongs in the audit log: a refused key, a switched model, a text read.

    Attributes:
        actor: who did it.
        action: what, in a word or two: ``key revoked``.
        detail: short values that say more; never a text.
    """

    actor: str
    action: str
    model: str | None = None
    record_id: str | None = None
    detail: Mapping[str, Scalar] = field(default_factory=dict)
    id: str = field(default_factory=new_id)


Entry: TypeAlias = Prediction | Feedback | Event


@dataclass(frozen=True)
class Rows:
    """An entry as it is written.

    Attributes:
        audit: the row of the audit log, without its place in the chain.
        table: where ``row`` goes; None for an event.
        sealed: the text, encrypted.
    """

    audit: dict[str, Any]
    table: sa.Table | None = None
    row: dict[str, Any] = field(default_factory=dict)
    sealed: bytes | None = None

    @property
    def id(self) -> str:
        """The entry's id."""
        return str(self.audit["event"])


def canonical(value: Any) -> str:
    """JSON in its one way to be written: sorted keys, no blanks, no NaN."""
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def digest(row: Mapping[str, Any]) -> str:
    """SHA-256 of a row's canonical JSON, in hex."""
    return hashlib.sha256(canonical(dict(row)).encode()).hexdigest()


def to_rows(entry: Entry, seal: Seal | None = None) -> Rows:
    """The rows of an entry.

    Raises:
        InputError: a field is no short text of printable characters, or a number is none.
    """
    match entry:
        case Prediction():
            return _of_prediction(entry, seal)
        case Feedback():
            return _of_feedback(entry, seal)
        case Event():
            detail = {short(k, "detail"): _scalar(v) for k, v in entry.detail.items()}
            return Rows(_audit(entry, entry.action, entry.model, entry.record_id, detail))


def _of_prediction(entry: Prediction, seal: Seal | None) -> Rows:
    if len(entry.probabilities) > MOST_LABELS:
        raise InputError(f"a prediction has {len(entry.probabilities)} labels")
    result = {
        "probabilities": {
            short(name, "label"): _number(value) for name, value in entry.probabilities.items()
        },
        "chosen": _labels(entry.chosen),
        "uncertain": _labels(entry.uncertain),
        "abstained": entry.abstained,
        "shadow": entry.beside is not None,
        "beside": None if entry.beside is None else short(entry.beside, "beside", 36),
        "seconds": round(_number(entry.seconds), 6),
    }
    audit = _audit(entry, "predicted", entry.model, entry.record_id, {"task": entry.task})
    row = {
        "id": audit["event"],
        "at": audit["at"],
        "actor": audit["actor"],
        "task": short(entry.task, "task"),
        "model": short(entry.model, "model"),
        "record_id": audit["record_id"],
        "result": canonical(result),
    }
    return _with_text(audit, PREDICTIONS, row, entry.text, seal)


def _of_feedback(entry: Feedback, seal: Seal | None) -> Rows:
    if entry.verdict not in get_args(Verdict):
        raise InputError(f"a verdict is one of {', '.join(get_args(Verdict))}")
    if (entry.verdict in ("changed", "partial")) != bool(entry.labels):
        raise InputError("labels belong to the verdicts changed and partial, and to them alone")
    prediction = short(entry.prediction, "prediction", 36)
    detail = {"prediction": prediction, "verdict": entry.verdict}
    audit = _audit(entry, "feedback", None, None, detail)
    row = {
        "id": audit["event"],
        "at": audit["at"],
        "actor": audit["actor"],
        "prediction": prediction,
        "verdict": entry.verdict,
        "labels": canonical(_labels(entry.labels)),
    }
    return _with_text(audit, FEEDBACK, row, entry.comment, seal)


def _with_text(
    audit: dict[str, Any], table: sa.Table, row: dict[str, Any], text: str | None, seal: Seal | None
) -> Rows:
    audit["digest"] = digest(row)
    if seal is None or text is None:
        return Rows(audit, table, row)
    sealed = seal.close(text, row["id"])
    # The chain vouches for the sealed text, and stays whole when the text is erased.
    detail = {**json.loads(audit["detail"]), "text": hashlib.sha256(sealed).hexdigest()}
    audit["detail"] = canonical(detail)
    return Rows(audit, table, row, sealed)


def _audit(
    entry: Entry,
    action: str,
    model: str | None,
    record_id: str | None,
    detail: Mapping[str, Scalar],
) -> dict[str, Any]:
    return {
        "event": short(entry.id, "id", 36),
        "at": clock.now(),
        "actor": short(entry.actor, "actor"),
        "action": short(action, "action"),
        "model": None if model is None else short(model, "model"),
        "record_id": None if record_id is None else short(record_id, "record_id"),
        "detail": canonical(dict(detail)),
        "digest": None,
    }


def short(value: Any, what: str, longest: int = LONGEST) -> str:
    """A name that fits its column.

    Raises:
        InputError: it is empty, longer than ``longest`` characters, or holds a line end.
    """
    if not isinstance(value, str) or not 0 < len(value) <= longest or _UNFIT.search(value):
        raise InputError(
            f"`{what}` must be 1 to {longest} characters on one line",
            "It names something; a record's text does not belong there.",
        )
    return value


def _labels(labels: Iterable[str]) -> list[str]:
    return [short(label, "label") for label in labels]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError("a probability or a time is not a finite number")
    return float(value)


def _scalar(value: Scalar) -> Scalar:
    if value is None or isinstance(value, bool | int):
        return value
    return _number(value) if isinstance(value, float) else short(value, "detail")
