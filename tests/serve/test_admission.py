"""Who is let in: as many as are answered in time; the rest is refused before anything is done."""

from __future__ import annotations

import asyncio
import http.client
import inspect
import threading
import time

import httpx
import pytest

from emrobust.serve import app
from emrobust.serve.admission import Admission

NOTE = "患者胸闷心悸3天，活动后加重，无发热。既往高血压病史10年。"


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


def keep_full(admission, clock, *, rate, seconds):
    """Requests come without end and are answered at a rate."""
    for _ in range(int(rate * seconds)):
        while not admission.is_full:
            admission.enter()
        clock.now += 1 / rate
        admission.leave(answered=True)


@pytest.mark.parametrize(("rate", "room"), [(200, 100), (60, 30), (5, 16), (10_000, 256)])
def test_as_many_are_let_in_as_are_answered_within_the_wait(rate, room):
    clock = Clock()
    admission = Admission([], wait=0.5, least=16, most=256, clock=clock)
    assert admission.room == 256  # nothing was measured yet
    keep_full(admission, clock, rate=rate, seconds=5 + 400 / rate)  # first those 256
    assert admission.room == pytest.approx(room, rel=0.05)
    assert admission.retry == pytest.approx(admission.room / rate, rel=0.1)


def test_refusals_and_lone_requests_tell_nothing_of_how_much_there_is_room_for():
    clock = Clock()
    admission = Admission([], wait=0.5, least=16, most=256, clock=clock)
    for _ in range(100):
        admission.enter()
        clock.now += 1.0
        admission.leave(answered=True)
    assert admission.room == 256
    for _ in range(100):
        while not admission.is_full:
            admission.enter()
        clock.now += 0.1
        admission.leave(answered=False)
    assert admission.room == 16  # nobody was answered, so no more than a batch is let in
    while admission.is_full:
        admission.leave(answered=False)
    keep_full(admission, clock, rate=200, seconds=20)
    assert admission.room == pytest.approx(100, rel=0.05)


def test_every_endpoint_that_asks_a_model_is_counted(opened):
    routes = app.build(opened).state.routes
    admission = Admission(routes, wait=1, least=1, most=1)
    for route in routes:
        source = inspect.getsource(route.endpoint)
        asks = "await consult(" in source or "batcher.score(" in source
        scope = {"method": "POST", "path": route.path.replace("{", "").replace("}", "")}
        assert (admission.find(scope) is not None) == asks, route.path
        assert admission.find({**scope, "method": "GET"}) is None


@pytest.fixture
def options():
    return ["limits.deadline=10", "limits.queue=2", "limits.batch=1", "limits.wait=60"]


def test_a_refusal_reads_no_body_and_keeps_the_connection(opened, address, as_role, monkeypatch):
    free = threading.Event()
    batcher = opened.catalog.find().batcher
    answer = batcher._answer
    monkeypatch.setattr(batcher, "_answer", lambda texts: (free.wait(10), answer(texts))[1])
    headers = as_role("clinician") | {"Content-Type": "application/json"}
    httpx.get(f"{address}/v1/me", headers=headers)

    async def fill():
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=20) as client:
            inside = [
                asyncio.create_task(client.post("/v1/diagnose", json={"text": NOTE}))
                for _ in range(3)
            ]
            async with asyncio.timeout(8):
                while batcher.waiting < 2:
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(refused)
            free.set()
            return [(await task).status_code for task in inside]

    def refused():
        line = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
        line.putrequest("POST", "/v1/diagnose")
        line.putheader("Content-Length", "900000")  # no key, no type
        line.endheaders(b"a" * 300_000)
        time.sleep(0.1)  # it is answered before the body is whole
        line.send(b"a" * 600_000)
        told = line.getresponse()
        assert told.status == 503
        assert int(told.headers["Retry-After"]) >= 1
        assert told.headers["Content-Type"] == "application/problem+json"
        assert b"urn:emrobust:queue_full" in told.read()
        line.request("POST", "/fhir/$diagnose", b"{}", {"Content-Type": "application/fhir+json"})
        outcome = line.getresponse()
        assert outcome.status == 503
        assert b'"transient"' in outcome.read()
        paths = ("/v2/health/ready", "/v1/me", "/cds-services", "/v2/models/clinic/ready", "/")
        for path in paths:  # what asks no model is answered, on the same connection
            line.request("GET", path, headers=headers)
            answer = line.getresponse()
            assert (answer.status, bool(answer.read())) == (200, True), path
        line.close()

    assert asyncio.run(fill()) == [200] * 3
    told = opened.metrics.text().decode()
    assert 'emrobust_requests_total{route="/v1/diagnose",status="503"} 1.0' in told
    assert 'emrobust_requests_total{route="/fhir/$diagnose",status="503"} 1.0' in told
