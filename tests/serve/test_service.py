"""The service under what may go wrong: bad input, overload, an absent store, a switched model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from emrobust import runs
from emrobust.errors import ConfigError, RunError, StorageError
from emrobust.package import layout
from emrobust.serve import app, catalog, service, settings, store
from emrobust.serve.catalog import Wanted

NOTE = "患者胸闷心悸3天，活动后加重，无发热。既往高血压病史10年。"
PRIVATE = "张三丰独家隐情"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"text": ""}, "422 no_text"),
        ({"text": "  \n 。12"}, "422 no_text"),
        ({"text": PRIVATE + "\x00"}, "422 control_character"),
        ({"text": PRIVATE + "\ud800"}, "422 control_character"),
        ({"text": PRIVATE * 5000}, "422 text_too_long"),
        ({"text": NOTE, "fields": {"chief_complaint": PRIVATE}}, "422 invalid"),
        ({"fields": {PRIVATE: NOTE}}, "422 unknown_field"),
        ({"fields": {}}, "422 no_text"),
        ({"text": 5}, "422 invalid"),
        ({"text": NOTE, PRIVATE: 1}, "422 invalid"),
        ({"text": NOTE, "record_id": f"{PRIVATE}\n"}, "422 invalid"),
        ({"text": NOTE, "model": PRIVATE}, "404 not_found"),
        ({"text": NOTE, "model": "clinic@9"}, "404 not_found"),
        ({"text": NOTE, "coverage": 0.77}, "422 input"),
        (b"\x00\x01\xff", "400 no_json"),
        (b"\xff\xfe\x00", "400 no_json"),
        (b"", "422 invalid"),
        (b'{"text": NaN}', "422 invalid"),
        (b"[" * 5000, "400 no_json"),
        (b'{"text":"' + b"a" * 1_100_000 + b'"}', "413 too_large"),
    ],
)
async def test_bad_input_is_told_without_its_text(client, opened, caplog, body, expected):
    caplog.set_level(logging.DEBUG)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/v1/diagnose", content=content, headers=headers)
    assert f"{answer.status_code} {answer.json()['type']}" == expected.replace(
        " ", " urn:emrobust:"
    )
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().keys() <= {"type", "title", "status", "detail", "hint", "errors"}
    assert PRIVATE[:4] not in answer.text + caplog.text
    assert not opened.store.predictions()


async def test_odd_input_is_answered_with_a_warning(client):
    for given, warning in (
        ({"text": "The patient has had a cough and fever for three days."}, "other_language"),
        ({"text": "咳嗽"}, "too_short"),
        ({"text": NOTE * 30}, "too_long"),
        ({"fields": {"chief_complaint": NOTE, "past_history": " "}}, "empty_field"),
    ):
        answer = await client.post("/v1/diagnose", json=given)
        assert answer.status_code == 200, answer.text
        assert warning in answer.json()["warnings"], warning


async def test_what_a_model_leaves_out_is_told_and_weighs_nothing(client):
    fields = {"chief_complaint": "咳嗽" * 40, "past_history": "高血压病史，" * 20}  # 128 are read
    answer = await client.post("/v1/diagnose", json={"fields": fields, "evidence": True})
    told = answer.json()
    (left,) = told["unread"]
    assert left["field"] == "past_history"
    assert (left["start"], left["end"]) == (48, len(fields["past_history"]))
    marks = [mark for label in told["labels"] for mark in label.get("evidence", ())]
    assert marks
    assert not [m for m in marks if m["field"] == "past_history" and m["end"] > left["start"]]
    assert "unread" not in (await client.post("/v1/diagnose", json={"text": NOTE})).json()


async def test_evidence_stands_where_it_was_sent(client):
    fields = {"chief_complaint": "  胸闷心悸3天", "past_history": "高血压病史10年，吸烟"}
    answer = await client.post("/v1/explain", json={"fields": fields, "unit": "clause"})
    assert answer.status_code == 200, answer.text
    (first, *_) = answer.json()["explained"]
    marks = [(m["field"], fields[m["field"]][m["start"] : m["end"]]) for m in first["evidence"]]
    assert marks == [
        ("chief_complaint", "胸闷心悸3天"),
        ("past_history", "高血压病史10年"),
        ("past_history", "吸烟"),
    ]
    assert first["missing"] is not None
    asked = {"text": NOTE, "labels": ["nothing such"]}
    assert (await client.post("/v1/explain", json=asked)).status_code == 422


async def test_departments_follow_from_the_labels(client):
    found = (await client.post("/v1/triage", json={"text": NOTE, "top": 99})).json()["departments"]
    shares = [department["probability"] for department in found]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0, abs=1e-3)


async def test_tensors_are_what_diagnose_says(client, opened):
    text = {"name": "text", "datatype": "BYTES", "shape": [2], "data": [NOTE, "咳嗽咳痰"]}
    answer = await client.post("/v2/models/clinic/infer", json={"inputs": [text]})
    outputs = {one["name"]: one for one in answer.json()["outputs"]}
    assert outputs["probability"]["shape"] == [2, len(outputs["chosen"]["data"]) // 2]
    asked = {"text": NOTE, "top": 1}
    (first,) = (await client.post("/v1/diagnose", json=asked)).json()["labels"]
    size = outputs["probability"]["shape"][1]
    assert max(outputs["probability"]["data"][:size]) == pytest.approx(
        first["probability"], abs=2e-2
    )
    assert [row["task"] for row in opened.store.predictions()] == ["infer", "infer", "diagnose"]
    assert (await client.get("/v2/models/clinic/versions/9")).status_code == 404
    for shape in ([3], [-1], [3, 12297829382473034411]):  # the last is 1 in 64 bits
        odd = {**text, "shape": shape, "data": [NOTE]}
        answer = await client.post("/v2/models/clinic/infer", json={"inputs": [odd]})
        assert answer.json()["type"] == "urn:emrobust:shape"


async def test_an_address_with_a_slash_too_many_is_unknown_and_leads_nowhere(client):
    for path in ("/v1/diagnose/", "/v2/models/clinic/infer/", "/fhir/$diagnose/"):
        answer = await client.post(path, json={"text": NOTE}, headers={"Host": "elsewhere.test"})
        assert answer.status_code == 404
        assert "location" not in answer.headers
    assert (await client.get("/v1/models/")).status_code == 404


async def test_numbers_for_prometheus_name_no_path(client, as_role):
    await client.post("/v1/diagnose", json={"text": NOTE})
    await client.get(f"/v1/{PRIVATE}")
    text = (await client.get("/metrics", headers=as_role("reviewer"))).text
    assert 'emrobust_requests_total{route="/v1/diagnose",status="200"} 1.0' in text
    assert 'emrobust_requests_total{route="none",status="404"} 1.0' in text
    assert PRIVATE not in text


async def test_the_api_describes_itself_without_the_net(client):
    schema = (await client.get("/openapi.json")).json()
    operation = schema["paths"]["/v1/diagnose"]["post"]
    assert {"200", "401", "422", "503"} <= set(operation["responses"])
    posts = [path["post"] for path in schema["paths"].values() if "post" in path]
    slow = [one["responses"] for one in posts if "requestBody" in one]
    assert len(slow) > 5
    assert all("408" in responses for responses in slow)
    assert "Problem" in schema["components"]["schemas"]
    page = await client.get("/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text
    script = await client.get("/docs/swagger-ui-bundle.js")
    assert len(script.content) > 500_000
    assert (await client.get("/docs/../../secrets")).status_code in (401, 404)


class TestPages:
    @pytest.fixture
    def options(self):
        return ["serve.origins=['https://page.test']", "serve.open_metrics=true"]

    async def test_only_named_sites_may_ask_from_a_browser(self, client):
        asked = {"Access-Control-Request-Method": "POST", "Origin": "https://page.test"}
        answer = await client.options("/v1/diagnose", headers=asked)
        assert answer.headers["access-control-allow-origin"] == "https://page.test"
        answer = await client.options("/v1/diagnose", headers={**asked, "Origin": "https://x.test"})
        assert "access-control-allow-origin" not in answer.headers

    async def test_every_answer_is_guarded(self, client):
        for path, status in (("/metrics", 200), ("/v1/me", 200), ("/nothing", 404)):
            answer = await client.get(path, headers={"Origin": "https://x.test"})
            assert answer.status_code == status
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert len(answer.headers["x-request-id"]) == 36
        answer = await client.get("/metrics", headers={"Authorization": ""})
        assert answer.status_code == 200


@pytest.fixture
def two(served_package, tmp_path):
    """A service with two versions of one model, of which the first answers."""
    given = settings.load(
        None,
        [
            f"store.url={tmp_path / 'two.db'}",
            f"serve.model_folders=['{served_package.parent}']",
            "limits.deadline=60",
            "limits.rate=100000",
            "limits.burst=100000",
        ],
    )
    made = service.open_service(given, [Wanted(served_package, "clinic", v) for v in ("1", "2")])
    yield made
    made.store.close()


def client_of(opened, role="administrator", **given):
    token, _ = store.keys.add(opened.store.database, name="t", role=role, actor="test")
    transport = httpx.ASGITransport(app.build(opened))
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=transport, base_url="http://t", headers=headers, **given)


async def test_a_version_is_switched_under_requests_without_a_failure(two, served_package):
    async with client_of(two) as client:
        stop = False
        codes, versions = [], set()

        async def ask():
            while not stop:
                answer = await client.post("/v1/diagnose", json={"text": NOTE})
                codes.append(answer.status_code)
                versions.add(answer.json()["model"]["version"])

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        for version, other in (("2", "1"), ("1", "2"), ("2", "1")):
            await asyncio.sleep(0.1)
            place = f"/v1/models/clinic/versions/{version}"
            assert (await client.put(place, json={"state": "active"})).status_code == 200
            place = f"/v1/models/clinic/versions/{other}"
            assert (await client.put(place, json={"state": "retired"})).status_code == 200
            added = {"path": str(served_package), "name": "clinic", "version": other}
            again = await client.post("/v1/models", json=added)
            assert (again.status_code, again.json()["state"]) == (201, "ready")
        stop = True
        await asyncio.gather(*asking)
        assert set(codes) == {200}
        assert versions == {"1", "2"}
        taken_away = await client.put("/v1/models/clinic/versions/2", json={"state": "retired"})
        assert taken_away.status_code == 409
        outside = await client.post("/v1/models", json={"path": "/etc"})
        assert outside.json()["type"] == "urn:emrobust:outside"
    actions = [row["action"] for row in two.store.audit()]
    assert actions.count("model active") == 4
    await two.close()


async def test_a_request_that_found_a_version_is_answered_by_it_though_it_is_retired(two):
    async with client_of(two) as client:
        held = two.catalog.find("clinic@2")
        gone = await client.put("/v1/models/clinic/versions/2", json={"state": "retired"})
        assert gone.status_code == 200
        asked = {"text": NOTE, "model": "clinic@2"}
        assert (await client.post("/v1/diagnose", json=asked)).status_code == 404
        (own,) = await held.batcher.score([NOTE])
        assert len(own) == len(held.package.names)
    await two.close()


async def test_a_shadow_is_recorded_and_not_shown(two):
    async with client_of(two) as client:
        await client.put("/v1/models/clinic/versions/2", json={"state": "shadow"})
        answer = await client.post("/v1/diagnose", json={"text": NOTE, "record_id": "V7"})
        assert answer.json()["model"]["version"] == "1"
        asked = {"text": NOTE, "record_id": "V8", "model": "clinic@2"}  # a shadow may be asked too
        answer = await client.post("/v1/diagnose", json=asked)
        assert answer.json()["model"]["version"] == "2"
        tensor = {"name": "text", "datatype": "BYTES", "shape": [2], "data": [NOTE, "头痛"]}
        await client.post("/v2/models/clinic/infer", json={"inputs": [tensor]})
        reviewer = {"params": {"model": "clinic@2", "hours": 1}}
        for _ in range(100):
            found = (await client.get("/v1/monitor", **reviewer)).json()
            if found.get("shadow", {}).get("compared") == 3:
                break
            await asyncio.sleep(0.1)
        # It is the same package: what it says is the same.
        assert found["shadow"] == {"compared": 3, "same_first": 1.0, "same": 1.0}
        assert "shadow" not in (await client.get("/v1/monitor")).json()
    await two.close()
    rows = store.open_store(two.settings.store).predictions()
    told = {(row["model"], row["record_id"], json.loads(row["result"])["shadow"]) for row in rows}
    assert len(rows) == 7
    results = {row["id"]: (row["model"], json.loads(row["result"])) for row in rows}
    for model, result in results.values():
        assert result["beside"] is None or (model, results[result["beside"]][0]) == (
            "clinic@2",
            "clinic@1",
        )
    assert told == {
        ("clinic@1", "V7", False), ("clinic@2", "V7", True), ("clinic@2", "V8", False),
        ("clinic@1", None, False), ("clinic@2", None, True),
    }  # fmt: skip


def test_a_restart_goes_on_with_what_answered(two, served_package):
    store.versions.switch(
        two.store.database, name="clinic", version="2", state="active", actor="test"
    )
    two.store.close()
    again = service.open_service(two.settings, [Wanted(served_package, "clinic", "1")])
    assert again.catalog.find().full_name == "clinic@2"
    again.store.close()


def test_the_way_back_outlives_a_restart_and_a_retired_version_does_not(two, tmp_path):
    base = two.store.database
    store.versions.switch(base, name="clinic", version="2", state="active", actor="test")
    two.store.close()
    moved = shutil.copytree(two.catalog.find().package.folder, tmp_path / "moved")
    again = service.open_service(two.settings, [])
    assert {of.full_name: of.version.state for of in again.catalog} == {
        "clinic@1": "ready", "clinic@2": "active",
    }  # fmt: skip
    store.versions.switch(base, name="clinic", version="1", state="retired", actor="test")
    again.store.close()
    with contextlib.closing(service.open_service(two.settings, []).store):
        assert [v.state for v in store.versions.every(base)] == ["retired", "active"]
    last = service.open_service(two.settings, [Wanted(moved, "clinic", "1")])
    found = last.catalog.find("clinic@1").version
    assert (found.state, found.path) == ("ready", str(moved))
    last.store.close()


def test_a_changed_package_is_refused_at_the_start(served_package, tmp_path):
    copy = shutil.copytree(served_package, tmp_path / "copy")
    file = copy / layout.THRESHOLDS
    file.write_bytes(file.read_bytes() + b" ")
    given = settings.load(None, [f"store.url={tmp_path / 's.db'}"])
    with pytest.raises(RunError, match=r"thresholds\.json"):
        service.open_service(given, [Wanted(copy)])
    with pytest.raises(ConfigError, match="letters, digits"):
        service.open_service(given, [Wanted(served_package, "a b", "1")])
    with pytest.raises(ConfigError, match="no model to serve"):
        service.open_service(given, [])
    assert not (tmp_path / "s.db").exists()  # no store is made for what cannot be served
    store.open_store(given.store).close()
    with pytest.raises(ConfigError, match="no model to serve"):
        service.open_service(given, [])
    assert catalog.parse("n@v=/p") == Wanted(catalog.Path("/p"), "n", "v")


@pytest.mark.parametrize(
    ("project", "name"), [("门诊诊断", "model"), ("门诊 clinic 2", "clinic-2"), ("a.b_c", "a.b_c")]
)
def test_a_model_is_called_as_its_project_in_latin_letters(served_package, tmp_path, project, name):
    copy = shutil.copytree(served_package, tmp_path / "copy")
    for sealed in (runs.MANIFEST, layout.DIGEST):
        (copy / sealed).unlink()
    runs.write_json(
        copy / layout.FACTS, {**runs.read_json(copy / layout.FACTS), "project": project}
    )
    layout.seal(copy, {})
    assert catalog.check(Wanted(copy)).name == name
    assert catalog.check(Wanted(copy, "outpatient")).name == "outpatient"


class TestSlowModel:
    @pytest.fixture
    def options(self):
        return ["limits.deadline=2", "limits.queue=4", "limits.batch=2", "limits.wait=60"]

    @pytest.fixture
    def slow(self, opened, monkeypatch):
        """The model, held until it is let go."""
        free = threading.Event()
        batcher = opened.catalog.find().batcher
        answer = batcher._answer
        monkeypatch.setattr(batcher, "_answer", lambda texts: (free.wait(10), answer(texts))[1])
        yield free
        free.set()

    async def test_a_request_is_given_up_at_its_deadline_and_leaves_the_queue(
        self, client, opened, slow
    ):
        await client.get("/v1/me")  # so that the key is known
        asked = [client.post("/v1/diagnose", json={"text": NOTE}) for _ in range(3)]
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} == {504}
        assert opened.catalog.find().batcher.waiting == 0
        slow.set()
        await asyncio.sleep(0.1)
        assert (await client.post("/v1/diagnose", json={"text": NOTE})).status_code == 200
        assert len(opened.store.predictions()) == 1

    async def test_the_surplus_gets_503_and_the_accepted_an_answer(self, client, slow):
        await client.get("/v1/me")
        asked = [
            asyncio.create_task(client.post("/v1/diagnose", json={"text": NOTE})) for _ in range(12)
        ]
        await asyncio.sleep(0.15)
        refused = [task.result() for task in asked if task.done()]
        slow.set()
        answers = [await task for task in asked]
        codes = [answer.status_code for answer in answers]
        assert codes.count(200) == 5  # one was being read, four stood in the queue
        assert len(refused) == codes.count(503) == 7
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)

    def test_who_hangs_up_frees_the_place(self, opened, address, as_role, slow):
        httpx.get(f"{address}/v1/me", headers=as_role("clinician"))
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(
                    f"{address}/v1/diagnose", json={"text": NOTE}, timeout=0.1,
                    headers=as_role("clinician"),
                )  # fmt: skip
        until = time.monotonic() + 5
        while b"emrobust_hung_up_total 2.0" not in opened.metrics.text():
            assert time.monotonic() < until
            time.sleep(0.01)
        assert opened.catalog.find().batcher.waiting == 0
        slow.set()

    def test_the_end_waits_for_the_accepted(self, opened, server, address, as_role, slow):
        headers = as_role("clinician")
        httpx.get(f"{address}/v1/me", headers=headers)
        batcher = opened.catalog.find().batcher

        def ask(_):
            return httpx.post(f"{address}/v1/diagnose", json={"text": NOTE}, headers=headers)

        with ThreadPoolExecutor(3) as pool:
            answers = pool.map(ask, range(3))
            while batcher.waiting < 2:  # one more is being read
                time.sleep(0.01)
            server.should_exit = True  # what SIGTERM sets
            time.sleep(0.1)
            slow.set()
            assert [answer.status_code for answer in answers] == [200] * 3


class TestAwayStore:
    @pytest.fixture
    def options(self):
        return ["store.patience=0.2", "limits.deadline=10"]

    async def test_a_locked_store_gives_503_and_goes_on_by_itself(
        self, client, opened, monkeypatch
    ):
        await client.get("/v1/me")  # so that the key is known
        monkeypatch.setattr(opened.store.doorkeeper, "admit", lambda _: None)
        engine = opened.store.database.engine
        blocking = sqlite3.connect(engine.url.database, isolation_level=None)
        engine.dispose()
        monkeypatch.setattr("emrobust.serve.store.database.BUSY_SECONDS", 0.1)
        with engine.connect() as connection:  # SQLite waits five seconds for others otherwise
            connection.exec_driver_sql("PRAGMA busy_timeout=100")
            connection.commit()
        blocking.execute("BEGIN IMMEDIATE")
        answer = await client.post("/v1/diagnose", json={"text": NOTE})
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:emrobust:unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        blocking.execute("ROLLBACK")
        blocking.close()
        assert (await client.post("/v1/diagnose", json={"text": NOTE})).status_code == 200
        assert len(opened.store.predictions()) == 1

    async def test_a_full_disk_gives_507_and_loses_nothing(self, client, opened):
        first = await client.post("/v1/diagnose", json={"text": NOTE})
        engine = opened.store.database.engine
        with engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        engine.dispose()

        def limit(connection, _):
            connection.execute(f"PRAGMA max_page_count={limits[0]}").close()

        limits = [pages]
        from sqlalchemy import event

        event.listen(engine, "connect", limit)
        codes = []
        while 507 not in codes and len(codes) < 100:
            answer = await client.post("/v1/diagnose", json={"text": NOTE, "top": 1})
            codes.append(answer.status_code)
        assert set(codes) == {200, 507}
        limits[0] = 1_000_000
        engine.dispose()
        assert (await client.post("/v1/diagnose", json={"text": NOTE})).status_code == 200
        assert len(opened.store.predictions()) == codes.count(200) + 2
        assert opened.store.prediction(first.json()["id"])
        assert store.verify(opened.store.database).kept == codes.count(200) + 2

    async def test_a_service_on_a_full_disk_is_not_ready_until_there_is_room(
        self, client, opened, monkeypatch
    ):
        database = opened.store.database
        write = database.write

        @contextlib.contextmanager
        def refuse():
            with write():
                raise StorageError("the store is full")
            yield

        ready = "/v2/health/ready"
        assert (await client.get(ready)).status_code == 200
        monkeypatch.setattr(database, "write", refuse)
        assert (await client.get(ready)).status_code == 200  # nobody knows yet
        assert (await client.post("/v1/diagnose", json={"text": NOTE})).status_code == 507
        for _ in range(2):
            answer = await client.get(ready)
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:emrobust:unavailable")
        monkeypatch.setattr(database, "write", write)
        for _ in range(2):
            assert (await client.get(ready)).status_code == 200
        actions = [row["action"] for row in opened.store.audit()]
        assert actions.count("store writable again") == 1
