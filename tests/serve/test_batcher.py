"""Micro-batching: nobody waits for company, nobody is lost, and who leaves frees the place."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from emrobust.serve.batcher import Batcher
from emrobust.serve.problem import RefusedError


class Model:
    """Answers each text with its own number; holds a batch until it is let go."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[str]] = []
        self.free = threading.Event()
        if not held:
            self.free.set()

    def __call__(self, texts):
        self.batches.append(list(texts))
        assert self.free.wait(10)
        if "broken" in texts:
            raise ValueError("broken")
        return np.array([[float(text)] for text in texts])


def batcher(model, queue=10, most=4):
    return Batcher(model, queue=queue, most=most, watch=lambda *_: None)


async def start(of, text, **given):
    task = asyncio.create_task(of.score([text], **given))
    await asyncio.sleep(0)
    return task


async def test_what_came_while_the_model_was_busy_is_read_together():
    model = Model(held=True)
    of = batcher(model)
    tasks = [await start(of, str(number)) for number in range(7)]
    model.free.set()
    assert [float(found[0, 0]) for found in await asyncio.gather(*tasks)] == list(range(7))
    assert [len(batch) for batch in model.batches] == [1, 4, 2]
    await of.drain()


async def test_many_texts_of_one_request_are_read_in_pieces_that_others_pass_between():
    model = Model(held=True)
    of = batcher(model, queue=20)
    many = asyncio.create_task(of.score([str(number) for number in range(10)]))
    await asyncio.sleep(0)
    model.free.set()
    assert (await many)[:, 0].tolist() == list(range(10))
    assert max(map(len, model.batches)) == 4
    await of.drain()


async def test_the_surplus_is_refused_at_once_and_the_accepted_are_answered():
    model = Model(held=True)
    of = batcher(model, queue=3)
    accepted = [await start(of, str(number)) for number in range(4)]  # one is being read
    with pytest.raises(RefusedError, match="wait already") as refused:
        await of.score(["9"])
    assert refused.value.status == 503
    assert int(refused.value.headers["Retry-After"]) >= 1
    patient = await start(of, "8", patient=True)
    model.free.set()
    await asyncio.gather(*accepted, patient)
    assert of.waiting == 0
    assert model.batches[-1] == ["8"]  # it let the others pass
    await of.drain()


async def test_who_leaves_takes_no_patient_text_with_them():
    """Who left in the very turn in which a batch ended still stands in the queue."""
    model = Model(held=True)
    of = batcher(model)
    tasks = [await start(of, "0"), await start(of, "1", patient=True)]
    gone = of._wait(["2"], patient=False)
    gone.done.cancel()
    (taken,) = of._take()
    assert taken.texts == ["1"]
    of._patient.append(taken)
    model.free.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    await of.drain()


async def test_a_model_that_was_put_away_says_so():
    of = batcher(Model())
    await of.drain()
    with pytest.raises(RefusedError, match="put away") as refused:
        await of.score(["1"])
    assert refused.value.status == 503


async def test_who_leaves_frees_the_place_and_is_not_read():
    model = Model(held=True)
    of = batcher(model, queue=2)
    first = await start(of, "0")
    gone = [await start(of, "1"), await start(of, "2")]
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    assert of.waiting == 0
    stays = [await start(of, "3"), await start(of, "4")]
    model.free.set()
    await asyncio.gather(first, *stays)
    assert model.batches == [["0"], ["3", "4"]]
    await of.drain()


async def test_a_batch_that_fails_fails_alone_and_shows_no_text():
    model = Model()
    of = batcher(model)
    with pytest.raises(RefusedError, match="ValueError") as refused:
        await of.score(["broken"])
    assert refused.value.status == 500
    assert "broken" not in str(refused.value)
    assert (await of.score(["5"]))[0, 0] == 5
    await of.drain()
