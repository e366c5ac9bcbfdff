"""Batch jobs: what becomes of a table's rows, and of a worker that is killed among them."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import errno
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest

from emrobust.errors import LostLeaseError
from emrobust.package import layout
from emrobust.package import load as load_package
from emrobust.serve import jobs as room
from emrobust.serve import store
from emrobust.serve.jobs import worker
from emrobust.serve.jobs.task import Task
from emrobust.serve.store import jobs as queue
from emrobust.serve.store.entries import new_id

pytestmark = pytest.mark.anyio
FINDINGS = ("胸闷心悸", "咳嗽咳痰", "腹痛腹泻", "头晕头痛", "发热咽痛", "尿频尿急", "关节肿痛")
FILE_NAME = "王小明的父亲"


def note(number):
    first, second = FINDINGS[number % 7], FINDINGS[number // 7 % 7]
    return f"患者{first}{number % 29 + 1}天，伴{second}，编号{number}。"


@pytest.fixture(scope="module")
def columns(served_package):
    saved = json.loads((served_package / layout.SOURCE).read_text(encoding="utf-8"))
    return saved["columns_of"]["columns"]


@pytest.fixture(scope="module")
def write_table(columns):
    """Rows → a CSV with the columns that the package reads."""

    def write(rows, *, without=()):
        single = [
            columns.get(k) for k in ("patient_id", "visit_time", "site", "department", "sex", "age")
        ]
        header = [columns["record_id"], *filter(None, single), *columns["text"]]
        header = [name for name in dict.fromkeys(header) if name not in without]
        text = io.StringIO()
        table = csv.DictWriter(text, header)
        table.writeheader()
        for number in rows:
            row = dict.fromkeys(header, "")
            record = "" if number is None else f"V{number:06}"
            given = {columns["record_id"]: record, columns["text"][0]: note(number or 0)}
            if columns.get("patient_id"):
                given[columns["patient_id"]] = f"P{number or 0}"
            row.update({name: value for name, value in given.items() if name in header})
            table.writerow(row)
        return text.getvalue().encode()

    return write


def read_csv(text):
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


async def upload(client, content, name="table.csv", **more):
    return await client.post("/v1/batch", params={"name": name, **more}, content=content)


async def wait_for(look, seconds=60.0):
    """Ask until there is an answer."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (found := await look()) is not None:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen in time")


async def finish(client, job):
    async def look():
        found = (await client.get(f"/v1/batch/{job}")).json()
        return found if found["state"] not in ("queued", "running") else None

    return await wait_for(look)


def check_rows(rows, numbers, package):
    """Each row once, in order, with what the package says of it."""
    assert [row["record_id"] for row in rows] == [f"V{n:06}" for n in numbers]
    assert len({row["prediction"] for row in rows}) == len(rows)
    expected = package.calibrate(package.predict_proba([note(n) for n in numbers])).max(1)
    found = [float(row["likeliest_probability"]) for row in rows]
    assert np.allclose(found, expected, atol=0.01)


async def test_a_table_becomes_predictions_that_are_recorded(
    client, opened, write_table, served_package
):
    numbers = range(700)
    told = await upload(client, write_table([*numbers, None, 3]), name=f"{FILE_NAME}.csv")
    assert told.status_code == 202, told.text
    job = told.json()["job"]
    assert told.headers["location"] == f"/v1/batch/{job}"
    shown = await finish(client, job)
    assert (shown["state"], shown["done"], shown["total"]) == ("done", 700, 700), shown
    result = await client.get(f"/v1/batch/{job}/result")
    rows = read_csv(result.text)
    check_rows(rows, numbers, load_package(served_package, precision="fp32"))
    rejected = read_csv((await client.get(f"/v1/batch/{job}/rejects")).text)
    assert [int(row["row"]) for row in rejected] == [701, 702]
    kept = opened.store.predictions(most=1000)
    assert {row["id"]: row["record_id"] for row in kept} == {
        row["prediction"]: row["record_id"] for row in rows
    }
    assert {row["task"] for row in kept} == {"batch"}
    (folder,) = opened.settings.serve.jobs.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["rejects.csv", "result.csv"]
    assert stat.S_IMODE((folder / "result.csv").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    everything = [*opened.store.audit(most=5000), *map(vars, queue.newest(opened.store.database))]
    assert FILE_NAME not in str(everything)
    assert FINDINGS[0] not in str(everything)


async def test_others_see_nothing_of_a_job_and_administrators_all(client, as_role, write_table):
    job = (await upload(client, write_table(range(5)))).json()["job"]
    await finish(client, job)
    other = as_role("reviewer")
    for path in (f"/v1/batch/{job}", f"/v1/batch/{job}/result"):
        assert (await client.get(path, headers=other)).status_code == 404
        assert (await client.get(path, headers=as_role("administrator"))).status_code == 200
    assert (await client.get("/v1/batch", headers=other)).json() == {"jobs": []}
    assert [one["id"] for one in (await client.get("/v1/batch")).json()["jobs"]] == [job]
    assert (await client.delete(f"/v1/batch/{job}", headers=other)).status_code == 404


async def test_an_erased_result_is_called_so(client, opened, write_table):
    job = (await upload(client, write_table(range(5)))).json()["job"]
    done = await finish(client, job)
    assert "until" in done
    told = (await client.delete(f"/v1/batch/{job}")).json()
    assert told == {**{k: v for k, v in done.items() if k != "until"}, "state": "erased"}
    assert (await client.get(f"/v1/batch/{job}")).json() == told
    assert (await client.get(f"/v1/batch/{job}/result")).status_code == 404
    assert (await client.delete(f"/v1/batch/{job}")).json() == told, "as erased as before"
    assert not list(opened.settings.serve.jobs.iterdir())
    assert [row["action"] for row in opened.store.audit()].count("job erased") == 1


async def test_a_wrong_method_is_told_all_right_ones(client):
    told = await client.patch("/v1/batch/some-job")
    assert (told.status_code, told.headers["allow"]) == (405, "DELETE, GET, HEAD")


async def test_a_job_can_be_cancelled_and_leaves_nothing(client, opened, write_table):
    job = (await upload(client, write_table(range(20_000)))).json()["job"]
    early = await client.get(f"/v1/batch/{job}/result")
    assert early.status_code == 409
    assert (await client.delete(f"/v1/batch/{job}")).json()["state"] == "cancelled"

    async def look():
        return None if list(opened.settings.serve.jobs.iterdir()) else True

    assert await wait_for(look)
    assert (await client.get(f"/v1/batch/{job}/result")).status_code == 404


async def test_columns_that_no_model_reads_may_be_absent(client, write_table, columns):
    told = (await upload(client, write_table(range(3), without=(columns["patient_id"],)))).json()
    assert told["absent_columns"] == [columns["patient_id"]]
    assert "absent_columns" not in (await upload(client, write_table(range(3)))).json()


async def test_what_is_no_table_is_refused_at_once(client, opened, write_table, columns):
    good = write_table(range(3))
    lacking = write_table(range(3), without=(columns["record_id"],))
    for content, name, status in (
        (good, "notes.pdf", 415),
        (good, "hospital.db", 415),
        (good, "", 415),
        (b"", "a.csv", 422),
        (lacking, "a.csv", 422),
        (b"\x00\xff\x00\xfe" * 100, "a.xlsx", 422),
        (os.urandom(4096), "a.parquet", 422),
    ):
        told = await upload(client, content, name)
        assert told.status_code == status, (name, told.text)
        assert str(opened.settings.serve.jobs) not in told.text
    told = (await upload(client, lacking)).json()
    assert told["type"] == "urn:emrobust:columns"
    assert [one["where"] for one in told["errors"]] == [columns["record_id"]]
    assert (await upload(client, good, model="other")).status_code == 404
    folder = opened.settings.serve.jobs
    assert not folder.exists() or not list(folder.iterdir())
    assert (await client.get("/v1/batch")).json() == {"jobs": []}


async def test_a_full_disk_is_told_without_the_folder(client, opened, write_table, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    told = await upload(client, write_table(range(3)))
    assert told.status_code == 507, told.text
    assert told.headers["retry-after"]
    assert str(opened.settings.serve.jobs) not in told.text
    assert not list(opened.settings.serve.jobs.iterdir())


async def test_a_table_of_which_no_row_can_be_used_fails_with_the_reason(client, write_table):
    job = (await upload(client, write_table([None, None]))).json()["job"]
    shown = await finish(client, job)
    assert shown["state"] == "failed"
    assert shown["cause"] == "no_usable_rows"
    assert "record number missing" in shown["reason"]
    assert (await client.get(f"/v1/batch/{job}/result")).status_code == 404


class TestFew:
    @pytest.fixture
    def options(self):
        return ["batch.waiting=1", "batch.keep_days=0"]

    async def test_a_caller_has_few_jobs_at_once_and_results_for_some_days(
        self, client, opened, write_table
    ):
        job = (await upload(client, write_table(range(20_000)))).json()["job"]
        refused = await upload(client, write_table(range(3)))
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        await client.delete(f"/v1/batch/{job}")
        job = (await upload(client, write_table(range(3)))).json()["job"]
        assert (await finish(client, job))["state"] in ("done", "erased")
        assert (await client.get(f"/v1/batch/{job}/result")).status_code == 404
        await asyncio.to_thread(worker.sweep, opened)
        assert (await client.get(f"/v1/batch/{job}")).json()["state"] == "erased"


class TestTwoVersions:
    @pytest.fixture
    def options(self, served_package):
        return [f"serve.model_folders=['{served_package.parent}']"]

    async def test_a_version_is_retired_when_its_jobs_are_done(
        self, client, as_role, write_table, served_package
    ):
        administrator = {"headers": as_role("administrator")}

        async def switch(version, state):
            place = f"/v1/models/clinic/versions/{version}"
            return await client.put(place, json={"state": state}, **administrator)

        added = {"path": str(served_package), "name": "clinic", "version": "2"}
        assert (await client.post("/v1/models", json=added, **administrator)).status_code == 201
        jobs = [(await upload(client, write_table(range(900)))).json()["job"] for _ in range(2)]
        assert (await switch("2", "active")).status_code == 200
        refused = await switch("1", "retired")
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:emrobust:in_use")
        assert "cancel" in refused.json()["hint"]
        for job in jobs:
            shown = await finish(client, job)
            assert (shown["state"], shown["done"], shown["model"]) == ("done", 900, "clinic@1")
        assert (await switch("1", "retired")).status_code == 200


def queue_by_hand(opened, content, model="clinic@1"):
    job_id = new_id()
    files = room.Files(opened.settings.serve.jobs / job_id)
    files.make()
    files.upload(".csv").write_bytes(content)
    return queue.queue(
        opened.store.database, actor="k1", task="batch", model=model,
        source=str(files.upload(".csv")), target=str(files.result), job_id=job_id,
    ), files  # fmt: skip


async def test_a_worker_that_ends_gives_its_job_back(opened, write_table, served_package):
    numbers = range(4000)
    job, files = queue_by_hand(opened, write_table(numbers))

    def now():
        return queue.get(opened.store.database, job.id)

    async def begun():
        return True if now().done else None

    async def ended():
        return True if now().state != "running" else None

    loop = asyncio.get_running_loop()
    first = room.Worker(opened, loop)
    await wait_for(begun)
    await asyncio.to_thread(first.stop)
    held = now()
    assert (held.state, held.done < held.total) == ("running", True)
    second = room.Worker(opened, loop)
    await wait_for(ended)
    await asyncio.to_thread(second.stop)
    assert (now().state, now().attempts) == ("done", 2)
    rows = read_csv(files.result.read_text(encoding="utf-8"))
    check_rows(rows, numbers, load_package(served_package, precision="fp32"))


async def test_a_worker_whose_job_is_another_s_writes_no_part(opened, write_table):
    """Parts of two workers begin at the same row and end at others: the second would hide rows."""
    job, files = queue_by_hand(opened, write_table(range(12)))

    def beat(done, total=None):
        if total is None:
            raise LostLeaseError(f"job {job.id} is somebody else's after {done} rows")

    task = Task(opened, asyncio.get_running_loop(), job, beat, lambda: False)
    with pytest.raises(LostLeaseError):
        await asyncio.to_thread(task.run)
    assert not list(files.folder.glob("parts/*"))


async def test_a_job_keeps_its_lease_while_requests_go_first(opened, write_table, monkeypatch):
    job, _ = queue_by_hand(opened, write_table(range(4)))
    served = opened.catalog.find()
    beats, free = [], asyncio.Event()
    score = served.batcher.score

    async def waits(texts, *, patient=False):
        await free.wait()
        return await score(texts, patient=patient)

    def beat(done, total=None):
        beats.append(done)
        if len(beats) == 3:
            loop.call_soon_threadsafe(free.set)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(served.batcher, "score", waits)
    monkeypatch.setattr("emrobust.serve.jobs.task._PART_SECONDS", 0.01)
    task = Task(opened, loop, job, beat, lambda: False)
    await asyncio.wait_for(asyncio.to_thread(task.run), 20)
    assert len(beats) > 3


async def test_a_job_that_failed_has_a_word_for_its_cause(opened, write_table):
    database = opened.store.database
    queue_by_hand(opened, write_table([]))
    for _ in range(queue.MOST_STALLS):
        assert queue.claim(database, "killed", lease=-1.0)
    queue_by_hand(opened, write_table([]))
    queue_by_hand(opened, write_table([None]))
    queue_by_hand(opened, write_table([1]), model="gone@1")
    _, files = queue_by_hand(opened, b"")
    files.erase()

    async def ended():
        found = queue.newest(database)
        return found if {job.state for job in found} == {"failed"} else None

    working = room.Worker(opened, asyncio.get_running_loop())
    found = await wait_for(ended)
    await asyncio.to_thread(working.stop)
    causes = [room.cause_of(job) for job in reversed(found)]
    assert causes == ["stalled", "no_rows", "no_usable_rows", "no_model", "no_table"]


@contextlib.contextmanager
def serving(folder, package):
    """A real process; its address, its first key if it made one, and the process."""
    command = [
        sys.executable, "-c", "from emrobust.cli import main; main()", "serve",
        f"clinic@1={package}", "--port", "0", "--store", str(folder / "store.db"),
        "--set", f"serve.jobs={folder / 'jobs'}",
        "--set", "batch.lease=1", "--set", "serve.threads=1", "--set", "serve.precision=fp32",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        said = ""
        while "http://" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        key = re.search(r"emr_\w+\S+", said)
        yield re.search(r"http://\S+", said)[0], key and key[0], process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_a_killed_service_goes_on_with_its_jobs(tmp_path, write_table, served_package):
    numbers = range(4000)
    with serving(tmp_path, served_package) as (address, key, process):
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as client:
            job = (await upload(client, write_table(numbers))).json()["job"]

            async def begun():
                found = (await client.get(f"/v1/batch/{job}")).json()
                assert found["state"] in ("queued", "running")
                return found["done"] or None

            done = await wait_for(begun)
        os.kill(process.pid, signal.SIGKILL)
    with serving(tmp_path, served_package) as (address, _, _):
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as client:
            shown = await finish(client, job)
            rows = read_csv((await client.get(f"/v1/batch/{job}/result")).text)
    assert (shown["state"], shown["done"]) == ("done", 4000)
    assert 0 < done < 4000
    check_rows(rows, numbers, load_package(served_package, precision="fp32"))
    with store.open_store(store.StoreSettings(url=str(tmp_path / "store.db"))) as opened:
        kept = opened.predictions(most=10_000)
        assert {row["id"] for row in kept} == {row["prediction"] for row in rows}
        assert len(kept) == 4000
        assert store.verify(opened.database).kept == 4000
        actions = [row["action"] for row in opened.audit(most=10_000)]
        assert actions.count("job started") == 2
