import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from emrobust.errors import InputError, InUseError, NotFoundError, SourceError
from emrobust.serve import store as room
from emrobust.serve.store import clock, jobs, versions
from emrobust.serve.store.schema import JOBS


@pytest.fixture
def base(opened):
    return opened.database


def queue(base, **given):
    values = {"actor": "k1", "task": "diagnose", "model": "zh@1", "source": "a.csv", "target": "b"}
    return jobs.queue(base, **{**values, **given})


def abandon(base, job):
    """As if the lease had run out."""
    with base.write() as connection:
        over = sa.update(JOBS).where(JOBS.c.id == job.id).values(lease=clock.now(-1))
        connection.execute(over)


def actions(opened):
    return [row["action"] for row in opened.audit()]


def test_a_job_goes_from_queued_to_done(opened, base):
    job = queue(base, total=10)
    assert jobs.get(base, job.id) == job

    def handle(held, beat):
        assert (held.state, held.attempts, held.worker) == ("running", 1, "w")
        beat(10)

    done = jobs.work(base, "w", handle)
    assert (done.state, done.done, done.total) == ("done", 10, 10)
    assert jobs.work(base, "w", handle) is None
    assert actions(opened) == ["job queued", "job started", "job done"]
    room.verify(base)


def test_many_workers_share_jobs_and_none_is_done_twice(base):
    queued = {queue(base).id for _ in range(6)}
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda n: jobs.claim(base, f"w{n}"), range(8)))
    ids = [job.id for job in taken if job]
    assert sorted(ids) == sorted(queued)


def test_the_job_of_a_dead_worker_is_taken_again_where_it_was(base):
    queue(base)
    first = jobs.claim(base, "first", lease=60)
    assert jobs.beat(base, first, 7)
    assert jobs.claim(base, "second") is None
    abandon(base, first)
    second = jobs.claim(base, "second")
    assert (second.done, second.attempts) == (7, 2)
    # The first was only slow; it is told, and changes nothing any more.
    assert not jobs.beat(base, first, 99)
    assert not jobs.finish(base, first)
    assert not jobs.fail(base, first, "late")
    assert jobs.get(base, first.id) == second


def test_a_job_that_outlives_its_workers_is_failed(opened, base):
    job = queue(base)
    for done in range(1, 4):  # who gets on is not to blame
        held = jobs.claim(base, "w")
        jobs.beat(base, held, done)
        abandon(base, held)
    for _ in range(jobs.MOST_STALLS):
        held = jobs.claim(base, "w")
        jobs.beat(base, held, held.done)
        abandon(base, held)
    assert jobs.claim(base, "w") is None
    failed = jobs.get(base, job.id)
    assert (failed.state, failed.done, failed.attempts) == ("failed", 3, 3 + jobs.MOST_STALLS)
    assert "5 workers in a row" in failed.reason
    assert actions(opened)[-1] == "job failed"


def test_errors_fail_a_job_without_the_text(base):
    errors = [SourceError("row 3 is broken"), ValueError("患者三天前")]

    def handle(_, __):
        raise errors.pop()

    for reason in ("an unforeseen ValueError", "row 3 is broken"):
        queue(base)
        failed = jobs.work(base, "w", handle)
        assert (failed.state, failed.reason) == ("failed", reason)


def test_a_cancelled_job_stops_its_worker_and_stays_cancelled(opened, base):
    waiting, running = queue(base), queue(base)
    assert jobs.cancel(base, waiting.id, "dr").state == "cancelled"
    steps = []

    def handle(held, beat):
        beat(1)
        jobs.cancel(base, held.id, "dr")
        beat(2)
        steps.append("too far")

    assert jobs.work(base, "w", handle).state == "cancelled"
    assert not steps
    assert jobs.cancel(base, running.id, "dr").done == 1
    assert actions(opened).count("job cancelled") == 2
    with pytest.raises(NotFoundError):
        jobs.cancel(base, "no", "dr")
    with pytest.raises(InputError):
        queue(base, source="a\nb")


def test_a_lease_runs_out_by_itself(base):
    queue(base)
    started, stop = threading.Event(), threading.Event()

    def dawdle(_, beat):
        started.set()
        stop.wait(10)
        beat(1)

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(jobs.work, base, "slow", dawdle, 0.2)
        assert started.wait(10)
        while jobs.work(base, "quick", lambda held, beat: beat(held.done + 5)) is None:
            time.sleep(0.02)
        stop.set()
        assert slow.result().worker == "quick"
    (job,) = jobs.newest(base)
    assert (job.state, job.done, job.attempts) == ("done", 5, 2)


def test_rows_are_counted_later_and_a_job_can_be_given_back(base):
    queue(base)
    held = jobs.claim(base, "first")
    assert jobs.beat(base, held, 2, total=9)
    assert jobs.beat(base, held, 3, lease=0.0)
    again = jobs.claim(base, "second")
    assert (again.id, again.done, again.total, again.attempts) == (held.id, 3, 9, 2)


def test_a_caller_has_jobs_of_their_own(base):
    mine, other = queue(base, actor="k1", job_id="a-name"), queue(base, actor="k2")
    assert mine.id == "a-name"
    assert [job.id for job in jobs.newest(base, actor="k2")] == [other.id]
    assert (jobs.unfinished(base, "k1"), jobs.unfinished(base, "k3")) == (1, 0)
    jobs.cancel(base, mine.id, "k1")
    assert jobs.unfinished(base, "k1") == 0


def test_a_version_is_not_retired_while_jobs_need_it(base):
    for version in ("1", "2"):
        versions.register(base, name="zh", version=version, checksum="ab", path="/p", actor="x")

    def retire(version, **given):
        return versions.switch(
            base, name="zh", version=version, state="retired", actor="x", **given
        ).state

    queued, running = queue(base), queue(base)
    jobs.claim(base, "w")
    for waiting in (2, 1):
        with pytest.raises(InUseError, match=f"{waiting} unfinished batch job.* need zh@1"):
            retire("1")
        jobs.cancel(base, (queued, running)[waiting - 1].id, "x")
    assert retire("1") == "retired"
    with pytest.raises(NotFoundError, match="retired"):
        queue(base)  # whose table took so long to come
    queue(base, model="zh@2")
    assert retire("2", lost=True) == "retired"
