"""The store under load: rows appended a second, and what is left after ``kill -9``.

* ours: `emrobust.serve.store` as the service uses it: many requests hand over predictions, one
  transaction takes a group of them with their rows of the audit log's chain, then all are
  acknowledged.
* peer: the plain way, one SQLAlchemy session and commit a row, with the same chain, the same tables
  and the same durability (SQLite in WAL mode with synchronous=FULL), eight threads.

``--kills N`` instead loads the store from a process of its own, ends that with ``kill -9`` at a
random moment N times, and looks each time for every prediction and feedback that was acknowledged,
verifies the chain, and in the end has all batch jobs done. ``--url`` names a database (PostgreSQL,
say); without it an SQLite file in a temporary folder is used.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from emrobust.serve import store
from emrobust.serve.store import chain, jobs
from emrobust.serve.store.entries import to_rows
from emrobust.serve.store.schema import FEEDBACK, JOBS, PREDICTIONS

THREADS = 8
OUTSTANDING = 64  # requests of a thread that wait at once
LEASE = 1.0
JOB_ROWS = 150
LABELS = {f"I{number:02d}": round(0.9 / (1 + number), 4) for number in range(20)}


def prediction(number: int) -> store.Prediction:
    """One of twenty labels, as a service would record it."""
    return store.Prediction(
        actor="bench",
        task="diagnose",
        model="zh-small@1",
        record_id=f"V{number:07d}",
        probabilities=LABELS,
        chosen=("I00",),
        uncertain=("I00", "I01"),
        seconds=0.004,
    )


def alone(url: str, requests: int) -> tuple[float, float]:
    """Median and 99th percentile of the milliseconds that a lone request waits for the disk."""
    waited = []
    with store.open_store(store.StoreSettings(url=url)) as opened:
        for number in range(requests):
            began = time.perf_counter()
            opened.record(prediction(number))
            waited.append(1000 * (time.perf_counter() - began))
    cuts = statistics.quantiles(waited, n=100)
    return cuts[49], cuts[98]


def in_threads(rows: int, run: Callable[[range], None]) -> float:
    """Rows a second of a function that `THREADS` threads call with their share."""
    shares = [range(start, rows, THREADS) for start in range(THREADS)]
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, shares))
    return rows / (time.perf_counter() - began)


def ours(url: str, rows: int) -> float:
    """Rows a second with group commit."""
    with store.open_store(store.StoreSettings(url=url)) as opened:

        def run(share: range) -> None:
            waiting: deque[Future[None]] = deque()
            for number in share:
                waiting.append(opened.submit(prediction(number)))
                if len(waiting) == OUTSTANDING:
                    waiting.popleft().result()
            for future in waiting:
                future.result()

        return in_threads(rows, run)


def peer(url: str, rows: int) -> float:
    """Rows a second with one session and commit a row."""
    database = store.connect(url)
    store.upgrade(database)
    writing = database.engine.execution_options(immediate=True)

    def run(share: range) -> None:
        for number in share:
            made = to_rows(prediction(number))
            with Session(writing) as session:
                session.execute(sa.insert(PREDICTIONS), [made.row])
                chain.append(database, session.connection(), [made.audit])
                session.commit()

    rate = in_threads(rows, run)
    database.close()
    return rate


def load(url: str, seed: int) -> None:
    """Write for ever; a line on stdout for everything that was acknowledged."""
    with store.open_store(store.StoreSettings(url=url, patience=60)) as opened:
        worker = threading.Thread(target=work, args=(url, f"worker {os.getpid()}"), daemon=True)
        worker.start()

        def run(share: range) -> None:
            random = Random(f"{seed} {share.start}")  # noqa: S311 - no secret
            for number in share:
                made = prediction(number)
                opened.record(made)
                say("p", made.id)
                if random.random() < 0.5:
                    said = store.Feedback(actor="dr", prediction=made.id, verdict="accepted")
                    opened.record(said)
                    say("f", said.id)

        in_threads(1 << 40, run)


def work(url: str, name: str, *, until_done: bool = False) -> None:
    """Do batch jobs whose every row takes a moment."""
    database = store.connect(url)

    def handle(job: jobs.Job, beat: jobs.Beat) -> None:
        for done in range(job.done + 1, JOB_ROWS + 1):
            time.sleep(0.002)
            beat(done)
            say("j", f"{job.id} {done}")

    while not (until_done and is_done(database)):
        if jobs.work(database, name, handle, LEASE) is None:
            time.sleep(0.05)


def is_done(database: store.Database) -> bool:
    """Whether no job is left."""
    return all(job.state not in ("queued", "running") for job in jobs.newest(database))


def say(kind: str, what: str) -> None:
    """One line in one write, so that a kill cannot tear it."""
    os.write(1, f"{kind} {what}\n".encode())


def kill_often(url: str, kills: int, folder: Path) -> dict[str, Any]:
    """Load, kill, look; the figures."""
    database = store.connect(url)
    store.upgrade(database)
    for _ in range(3 + kills // 4):
        jobs.queue(
            database, actor="bench", task="diagnose", model="zh-small@1",
            source="in.csv", target="out.csv", total=JOB_ROWS,
        )  # fmt: skip
    random = Random(kills)  # noqa: S311 - when to kill is no secret
    heard: dict[str, set[str]] = {"p": set(), "f": set()}
    reported: dict[str, int] = {}
    lost = behind = 0
    for turn in range(kills):
        said = load_and_kill(url, turn, folder / f"{turn}.txt", random.uniform(0.1, 0.8))
        for kind, what in said:
            if kind == "j":
                job, done = what.split()
                reported[job] = max(int(done), reported.get(job, 0))
            else:
                heard[kind].add(what)
        lost += missing(database, heard)
        behind += sum(jobs.get(database, job).done < done for job, done in reported.items())
        store.verify(database)
    with (folder / "end.txt").open("wb") as out:
        subprocess.run(
            [sys.executable, __file__, "--finish", "--url", url],
            stdout=out,
            check=True,
            timeout=300,
        )
    finished = [job for job in jobs.newest(database) if job.state == "done"]
    verified = store.verify(database)
    figures = {
        "kills": kills,
        "acknowledged": len(heard["p"]) + len(heard["f"]),
        "lost": lost,
        "jobs": count(database, JOBS),
        "jobs_done": len(finished),
        "jobs_taken_again": sum(job.attempts - 1 for job in finished),
        "jobs_behind": behind,
        "audit_rows": verified.rows,
        "removed": verified.removed,
    }
    database.close()
    return figures


def load_and_kill(url: str, turn: int, path: Path, seconds: float) -> list[tuple[str, str]]:
    """What a process said before it was killed, some seconds after its first word."""
    with path.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, __file__, "--load", str(turn), "--url", url], stdout=out
        )
    until = time.monotonic() + 60
    while not path.stat().st_size and time.monotonic() < until and process.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    if process.poll() is not None:
        raise SystemExit("the process under load ended by itself")
    process.send_signal(signal.SIGKILL)
    process.wait()
    lines = path.read_text().splitlines()
    return [(line[0], line[2:]) for line in lines]


def missing(database: store.Database, heard: dict[str, set[str]]) -> int:
    """Acknowledged rows that are not there."""
    with database.read() as connection:
        kept = {
            kind: set(connection.execute(sa.select(table.c.id)).scalars())
            for kind, table in (("p", PREDICTIONS), ("f", FEEDBACK))
        }
    return sum(len(ids - kept[kind]) for kind, ids in heard.items())


def count(database: store.Database, table: sa.Table) -> int:
    """Rows of a table."""
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def measure(*, quick: bool) -> dict[str, Any]:
    """Both sides, interleaved, each time on a new database."""
    rows, few, repeats = (4000, 120, 3) if quick else (40_000, 1000, 5)
    rates: dict[str, list[float]] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(repeats):
            rates["ours"].append(ours(f"{folder}/ours{turn}.db", rows))
            rates["peer"].append(peer(f"{folder}/peer{turn}.db", few))
        median, worst = alone(f"{folder}/alone.db", few * 2)
        database = store.connect(f"{folder}/ours0.db")
        began = time.perf_counter()
        verified = store.verify(database)
        seconds = time.perf_counter() - began
        database.close()
    one, other = statistics.median(rates["ours"]), statistics.median(rates["peer"])
    return {
        "name": "store",
        "ours": round(one, 1),
        "peer": round(other, 1),
        "ratio": round(one / other, 2),
        "unit": "rows/s",
        "alone_ms_p50": round(median, 2),
        "alone_ms_p99": round(worst, 2),
        "verified_per_second": round(verified.rows / seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--url")
    parser.add_argument("--load", type=int, help="what --kills starts")
    parser.add_argument("--finish", action="store_true", help="what --kills starts last")
    given = parser.parse_args()
    if given.load is not None:
        load(given.url, given.load)
    elif given.finish:
        work(given.url, f"worker {os.getpid()}", until_done=True)
    elif given.kills:
        with tempfile.TemporaryDirectory() as folder:
            url = given.url or f"{folder}/store.db"
            figures = kill_often(url, given.kills, Path(folder))
        print(json.dumps(figures))
        if figures["lost"] or figures["jobs_behind"] or figures["jobs_done"] < figures["jobs"]:
            raise SystemExit(1)
    else:
        print(json.dumps(measure(quick=given.quick)))


if __name__ == "__main__":
    main()
