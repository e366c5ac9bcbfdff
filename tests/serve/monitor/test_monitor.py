"""A running service sees what its model is used on, keeps sums alone, and tells a reviewer."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from emrobust.package import layout
from emrobust.package.drift import Reference
from emrobust.serve.monitor import sketch
from emrobust.serve.monitor.alarms import Alarms, Check
from emrobust.serve.store import Prediction
from emrobust.serve.store.schema import SKETCHES

pytestmark = pytest.mark.anyio
NOTE = "咳嗽{}天，无发热，胸闷。既往体健。"


@pytest.fixture
def options():
    return ["monitor.least=20", "monitor.seconds=3600", "monitor.sample=10000", "limits.burst=1000"]


async def ask(client, notes):
    for note in notes:
        assert (await client.post("/v1/diagnose", json={"text": note})).status_code == 200


def stored(opened):
    with opened.store.database.read() as connection:
        return [dict(row) for row in connection.execute(sa.select(SKETCHES)).mappings()]


async def test_drift_is_seen_and_no_record_is_kept(client, opened, as_role):
    reviewer = as_role("reviewer")
    assert (await client.get("/v1/monitor")).status_code == 403
    quiet = (await client.get("/v1/monitor", headers=reviewer)).json()
    assert quiet["level"] == "unknown"
    assert quiet["alarms"] == []
    await ask(client, [NOTE.format(n) for n in range(9)])
    opened.monitor.look()
    assert not stored(opened), "nine records are too few to be written down"
    few = (await client.get("/v1/monitor", headers=reviewer)).json()
    assert few["level"] == "unknown", "quick answers alone are no good sign"
    await ask(client, ["fever 39.5 since 2 days 12345678" for _ in range(60)])
    opened.monitor.look()
    (row,) = stored(opened)
    assert row["rows"] == 69
    assert "fever" not in row["sums"]
    found = (await client.get("/v1/monitor", headers=reviewer, params={"hours": 1})).json()
    assert found["level"] == "alarm"
    assert {"input.latin", "input.text"} <= {of["check"] for of in found["alarms"]}
    assert found["load"]["requests"] == 69
    assert found["history"][0]["requests"] == 69
    latin = next(of for of in found["input"]["features"] if of["feature"] == "latin")
    assert sum(of["observed"] for of in latin["bins"]) == pytest.approx(1, abs=1e-4)
    assert found["feedback"] == {"level": "watch", "predictions": 69, "answered": 0, "rate": 0.0}
    assert opened.monitor.levels()["clinic@1", "input.text"] == "alarm"
    assert b'emrobust_alarm_level{check="input.text",model="clinic@1"} 2.0' in opened.metrics.text()
    gone = await client.get("/v1/monitor", headers=reviewer, params={"model": "nobody"})
    assert gone.status_code == 404


async def test_a_note_counts_once_and_a_job_neither_hides_nor_rings(client, opened, as_role):
    for number in range(25):
        note = {"text": NOTE.format(number)}
        diagnosed = (await client.post("/v1/diagnose", json=note)).json()
        for further in ("/v1/explain", "/v1/triage"):
            assert (await client.post(further, json=note)).status_code == 200
        said = {"prediction": diagnosed["id"], "verdict": "accepted"}
        assert (await client.post("/v1/feedback", json=said)).status_code == 201
    rows = [
        Prediction(actor="a", task="batch", model="clinic@1", probabilities={"x": 1.0}, chosen=())
        for _ in range(300)
    ]
    for waiting in [opened.store.submit(row) for row in rows]:
        waiting.result()
    opened.monitor.look()
    found = (await client.get("/v1/monitor", headers=as_role("reviewer"))).json()
    assert found["load"]["requests"] == found["history"][0]["requests"] == 25
    assert found["load"]["p50"] > 0.0005, "a job's rows take no seconds"
    assert found["feedback"]["predictions"] == found["feedback"]["answered"] == 25
    assert found["feedback"]["level"] == "calm"
    assert found["input"]["records"] == 25
    assert found["labels"]["records"] == 325


async def test_an_alarm_that_is_not_over_yet_says_what_was_found_now(client, opened, as_role):
    alarms = Alarms(opened.store.database)
    alarms.update("clinic@1", [Check("input.unknown", "watch")])
    found = (await client.get("/v1/monitor", headers=as_role("reviewer"))).json()
    (alarm,) = found["alarms"]
    assert (alarm["level"], alarm["now"]) == ("watch", "unknown")
    assert found["level"] == "watch", "all together are no calmer than an alarm that is on"


@pytest.mark.parametrize("found", [(None, "unknown"), (30, "calm"), (29, "watch"), (-1, "alarm")])
async def test_the_end_of_the_data_use_record_is_told_in_time(opened, monkeypatch, found):
    days, level = found
    monkeypatch.setattr(layout, "days_left", lambda _: days)
    opened.monitor.look()
    assert opened.monitor.levels()["clinic@1", "data_use"] == level
    rings = level in {"watch", "alarm"}
    told = opened.monitor.report(None, 1)
    assert [of.check for of in told.alarms] == ["data_use"] * rings
    assert told.level == (level if rings else "unknown"), "a right to the records is no good sign"


async def test_a_sketch_outlives_its_process_and_leaves_strangers_out(opened):
    (served,) = opened.catalog
    reference: Reference = served.package.drift
    texts = [NOTE.format(n) for n in range(12)]
    made = sketch.Sketch()
    made.add(reference.describe(texts, served.package.predict_proba(texts)), reference)
    again = sketch.read(made.rows, made.to_json())
    assert sketch.total([again, made], reference).rows == 24
    del again.counts["latin"]
    assert sketch.total([again, made], reference).rows == 12
    assert len(json.loads(made.to_json())["sums"]) == 2
