"""Erases what is kept of a record's texts, as its patient may ask for; the log stays whole."""

from __future__ import annotations

import sqlalchemy as sa

from emrobust.serve.store import chain
from emrobust.serve.store.database import Database
from emrobust.serve.store.entries import Event, to_rows
from emrobust.serve.store.schema import FEEDBACK, PREDICTIONS, TEXTS


def erase(database: Database, record_id: str, actor: str) -> int:
    """Delete the texts of a record's predictions and the comments on them, and log that.

    Predictions and feedback themselves stay: they hold no text.

    Args:
        database: the store's.
        record_id: as the predictions were made with it.
        actor: who does it, for the log.

    Returns:
        how many texts and comments there were.

    Raises:
        InputError: the record's number is not what its column takes.
    """
    told = to_rows(Event(actor=actor, action="texts erased", record_id=record_id))
    predictions = sa.select(PREDICTIONS.c.id).where(PREDICTIONS.c.record_id == record_id)
    comments = sa.select(FEEDBACK.c.id).where(FEEDBACK.c.prediction.in_(predictions))
    of_record = sa.or_(TEXTS.c.id.in_(predictions), TEXTS.c.id.in_(comments))
    with database.write() as connection:
        erased = connection.execute(sa.delete(TEXTS).where(of_record)).rowcount
        if erased:
            chain.append(database, connection, [told.audit])
    return int(erased)
