"""One question to a model, from the text to the row on disk; every path that diagnoses asks so."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from emrobust.errors import EmrobustError
from emrobust.package import diagnosis
from emrobust.package.diagnosis import Diagnosis
from emrobust.serve import reading
from emrobust.serve.catalog import Served
from emrobust.serve.gate import Caller
from emrobust.serve.reading import Reading
from emrobust.serve.service import ANSWERING, Service
from emrobust.serve.store import Prediction
from emrobust.serve.store.entries import LONGEST, new_id

_LOG = logging.getLogger("emrobust.serve")
# A row has the labels that matter: the likeliest, and all that are not next to impossible.
_FIRST, _LEAST = 20, 1e-3
_DIGITS = 6
_EXAMPLE = "胸闷、心悸3天，活动后加重，无发热。高血压病史10年。"

Name = Annotated[str, Field(min_length=1, max_length=2 * LONGEST)]


class Asked(BaseModel):
    """A note: whole as ``text``, or by ``fields`` as the project's table has them."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(None, description="the note", examples=[_EXAMPLE])
    fields: dict[str, str] | None = Field(None, description="its fields by name")
    record_id: str | None = Field(
        None, min_length=1, max_length=LONGEST, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
    )
    model: Name | None = Field(None, description="name or name@version")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.text is None) == (self.fields is None):
            raise ValueError("give either text or fields")
        return self

    @property
    def given(self) -> str | Mapping[str, str]:
        """The text or the fields."""
        return self.text if self.text is not None else self.fields or {}


class About(NamedTuple):
    """Who asked, what for, and of which record."""

    actor: str
    task: str
    record_id: str | None


@dataclass(frozen=True)
class Consultation:
    """A question and its answer, which is on disk.

    Attributes:
        id: of the prediction.
        served: which model.
        reading: what it read.
        diagnosis: what it said.
        seconds: from the question to the disk.
    """

    id: str
    served: Served
    reading: Reading
    diagnosis: Diagnosis
    seconds: float


async def consult(
    service: Service,
    caller: Caller,
    asked: Asked,
    *,
    task: str = "diagnose",
    coverage: float | None = None,
) -> Consultation:
    """Ask a model, and record its answer before anybody sees it.

    Args:
        service: the service.
        caller: who asks.
        asked: the note.
        task: as the store calls it.
        coverage: of the prediction set; absent: the service's own.

    Raises:
        RefusedError: the text is none, or the queue is full.
        NotFoundError: no such model.
        EmrobustError: the store could not record it; nobody is told the answer then.
    """
    start = time.perf_counter()
    served = service.catalog.find(asked.model)
    read = await read_for(service, served, asked)
    (own,) = await served.batcher.score([read.text])
    service.monitor.observe(served, task, read.text, own)
    [found] = decide(service, served, own[None], coverage)
    about = About(caller.actor, task, asked.record_id)
    entry = entry_of(served, found, about, start, text=read.text)
    await service.record(entry)
    service.look_aside(shadow(service, served, asked, about, entry.id))
    return Consultation(entry.id, served, read, found, time.perf_counter() - start)


def decide(
    service: Service, served: Served, own: np.ndarray, coverage: float | None = None
) -> list[Diagnosis]:
    """What the model's own probabilities [texts, labels] mean, by the service's settings.

    Whoever asks, a model abstains by the same rule, or shares of abstention could not be compared.
    """
    if coverage is None:
        coverage = diagnosis.default_coverage(served.package, service.settings.serve.coverage)
    return diagnosis.diagnose(
        served.package, own, coverage=coverage, widest=service.settings.limits.set_labels
    )


async def read_for(service: Service, served: Served, asked: Asked) -> Reading:
    """The text of a question as a version reads it."""
    read = _reader(service, served)
    # What is quick is quicker than another thread.
    return await asyncio.to_thread(read, asked.given) if served.form.is_slow else read(asked.given)


async def read_many(service: Service, served: Served, texts: Sequence[str]) -> list[str]:
    """Whole texts as a version reads them; together they are too slow for the event loop."""
    read = _reader(service, served)
    return await asyncio.to_thread(lambda: [read(text).text for text in texts])


def _reader(service: Service, served: Served) -> Callable[[str | Mapping[str, str]], Reading]:
    ANSWERING.set(served.full_name)
    return functools.partial(
        reading.read,
        form=served.form,
        language=str(served.package.facts["language"]),
        longest=service.settings.limits.characters,
    )


async def shadow(service: Service, served: Served, asked: Asked, about: About, beside: str) -> None:
    """Let the shadow versions of a model answer too, for the record alone.

    A shadow is patient: it reads when no request waits, so it never makes one slower for long.

    Args:
        service: the service.
        served: the model that answered.
        asked: what it was asked.
        about: likewise.
        beside: the id of its answer.
    """
    for other in service.catalog.shadows(served):
        start = time.perf_counter()
        try:
            read = await read_for(service, other, asked)
            (own,) = await other.batcher.score([read.text], patient=True)
            [found] = decide(service, other, own[None])
            await service.record(entry_of(other, found, about, start, beside=beside))
        except EmrobustError as error:
            _LOG.warning("shadow %s: %s", other.full_name, type(error).__name__)


def entry_of(
    served: Served,
    found: Diagnosis,
    about: About,
    start: float,
    *,
    text: str | None = None,
    beside: str | None = None,
) -> Prediction:
    """What the store records of an answer."""
    names = served.package.names
    ranked = found.ranked()
    told = [
        int(k)
        for place, k in enumerate(ranked)
        if place < _FIRST or found.chosen[k] or found.probability[k] >= _LEAST
    ]
    inside = () if found.inside is None else tuple(names[k] for k in ranked if found.inside[k])
    return Prediction(
        actor=about.actor,
        task=about.task,
        model=served.full_name,
        record_id=about.record_id,
        probabilities={names[k]: round(float(found.probability[k]), _DIGITS) for k in told},
        chosen=tuple(names[k] for k in ranked if found.chosen[k]),
        uncertain=inside,
        abstained=found.abstained,
        beside=beside,
        seconds=time.perf_counter() - start,
        text=text,
        id=new_id(),
    )
