"""The service under load: milliseconds of a lone request, requests a second, and too much of it.

    bench/serve.py [--package FOLDER] [--size small|base] [--seconds 1200] [--kills 20] [--quick]

A real `emrobust serve` process on loopback, with a durable SQLite store, is asked `/v1/diagnose`
with notes of a made-up clinic of at most 128 tokens, over kept-alive connections. Told are:

* ``ready_seconds`` and ``memory_mb``: from the start of the process until it is ready, and what it
  then holds.
* ``ours``: the median milliseconds of one request after the other; ``p99_ms`` beside it.
* ``capacity``: requests a second that 64 clients get answered; ``broken``: connections that broke.
* ``overload``: for ``--seconds``, requests come at twice that rate, whether answered or not. Each
  is answered with 200, or refused at once with 429 or 503 and Retry-After. In the end the store
  must hold every prediction that was acknowledged, its chain must verify, and the memory at each
  tenth of the time is told.
* ``kills``: the service is ended with ``kill -9`` under load so many times, and started again.

The peer is what is usually put together: FastAPI, `transformers.pipeline` in fp32 in a worker
thread, one row and commit a request in SQLite (the same durability). It is asked the same texts by
the same client, in turns with ours. Without ``--package`` one is trained: one epoch, few visits.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import io
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psutil
import sqlalchemy as sa

from emrobust import clinic, config, package
from emrobust.package import layout, tokens
from emrobust.pipeline.export import export
from emrobust.pipeline.train import train
from emrobust.serve import store
from emrobust.serve.store import keys
from emrobust.serve.store.schema import FEEDBACK, JOBS, PREDICTIONS
from inference import make_network, make_peer, read_texts

MOST_TOKENS = 128
CLIENTS = 64
IDLE = 3.0  # seconds; uvicorn closes a connection that was idle for 5
WAIT = 60.0  # seconds for a service to become ready
ENDING = 300.0  # seconds for a batch job to end
FREE = ("limits.rate=1000000", "limits.burst=1000000")  # one caller stands for all of them
TAKEN = "batch.lease=1"  # soon, where every life lasts a second or two
PEER = "peer"


# ---- a package


def make_package(folder: Path, size: str, visits: int) -> Path:
    """An encoder of a size, fine-tuned for one epoch on few visits of a made-up clinic."""
    clinic.generate(folder / "clinic", visits, 20260101, workers=1, formats=("sqlite",))
    given = ["model.name=transformer", "train.epochs=1", "train.adversary=none",
             "labels.top=40", "evaluate.bootstrap=0", "evaluate.suites=[]",
             "deid.accept_identifiers=true"]  # fmt: skip
    if size == "base":
        network = make_network(None, "base")
        network.encoder.save_pretrained(folder / "base")
        network.tokenizer.save_pretrained(folder / "base")
        given.append(f"model.checkpoint={folder / 'base'}")
    train(config.load(folder / "clinic" / clinic.PROJECT, given), folder / "run")
    export(folder / "run", folder / "package")
    return folder / "package"


def choose_texts(folder: Path, count: int) -> list[str]:
    """Notes that the model reads whole."""
    found = read_texts(None, (), 2 * count)
    if (folder / layout.TOKENIZER).is_file():
        encode = tokens.SubwordEncoder(folder / layout.TOKENIZER, MOST_TOKENS + 1)
        found = [t for t, ids in zip(found, encode(found), strict=True) if len(ids) <= MOST_TOKENS]
    return found[:count]


# ---- a client


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Line:
    """A kept-alive connection; plain HTTP/1.1, so that the client costs little.

    One that was idle for longer than servers keep it is opened anew, as every HTTP client does:
    what breaks then is the service's doing.
    """

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._used = 0.0

    async def post(self, path: str, body: Any) -> Answer:
        """One request, of bytes or JSON; a connection that was closed is opened again before it."""
        sent = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        head = f"POST {path} HTTP/1.1\r\n{self._head}Content-Type: application/json\r\n"
        return await self._ask(
            head.encode() + f"Content-Length: {len(sent)}\r\n\r\n".encode() + sent
        )

    async def get(self, path: str) -> Answer:
        """Likewise."""
        return await self._ask(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())

    async def _ask(self, sent: bytes) -> Answer:
        if time.perf_counter() - self._used > IDLE:
            self.close()
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        assert self._reader is not None  # noqa: S101 - opened together
        try:
            self._writer.write(sent)
            found = await self._read(self._reader)
        except BaseException:
            self.close()
            raise
        self._used = time.perf_counter()
        return found

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        parts = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in parts}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(head[0].split(" ")[1]), headers, body)

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


# ---- processes


@dataclass
class Process:
    """A service that runs."""

    running: subprocess.Popen[str]
    port: int
    token: str
    ready: float

    @property
    def memory(self) -> float:
        """Resident, in MB."""
        return float(psutil.Process(self.running.pid).memory_info().rss) / 1e6

    def stop(self) -> None:
        """By SIGTERM."""
        self.running.terminate()
        self.running.wait(60)


def start(command: Sequence[str], token: str, health: str) -> Process:
    """Start a process that prints its address, and wait until it is ready."""
    began = time.perf_counter()
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert running.stdout is not None  # noqa: S101 - piped
    for line in running.stdout:
        if found := re.match(r"http://127\.0\.0\.1:(\d+)$", line.strip()):
            port = int(found[1])
            asyncio.run(_until_ready(port, token, health, began + WAIT))
            return Process(running, port, token, time.perf_counter() - began)
    raise SystemExit(f"the service ended with {running.wait()}")


async def _until_ready(port: int, token: str, health: str, end: float) -> None:
    line = Line(port, token)
    while time.perf_counter() < end:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if (await line.get(health)).status == 200:
                return line.close()
        await asyncio.sleep(0.02)
    raise SystemExit("the service did not become ready")


def make_key(url: str) -> str:
    """An administrator's key of a store, which is made."""
    with store.open_store(store.StoreSettings(url=url)) as opened:
        return keys.add(opened.database, name="bench", role="administrator", actor="bench")[0]


def start_ours(folder: Path, url: str, token: str) -> Process:
    """`emrobust serve`."""
    settings = [word for one in (*FREE, TAKEN) for word in ("--set", one)]
    command = [sys.executable, "-c", "import sys; from emrobust.cli import main; sys.exit(main())",
               "serve", str(folder), "--store", url, "--port", "0", *settings,
               "--set", f"serve.jobs={Path(url).parent / 'jobs'}"]  # fmt: skip
    return start(command, token, "/v2/health/ready")


def start_peer(url: str, size: str) -> Process:
    """FastAPI around `transformers.pipeline`, in a process of its own."""
    return start([sys.executable, __file__, "--serve-peer", url, "--size", size], "none", "/ready")


def serve_peer(url: str, size: str) -> None:
    """The peer's process. Weights of the same size; how quick it is does not depend on them."""
    import socket  # noqa: PLC0415 - of this process only

    import torch  # noqa: PLC0415
    import uvicorn  # noqa: PLC0415
    from fastapi import Body, FastAPI  # noqa: PLC0415

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    pipe = make_peer(make_network(None, size))
    engine = sa.create_engine(f"sqlite:///{url}", connect_args={"check_same_thread": False})
    with engine.begin() as connection:
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            connection.exec_driver_sql(f"PRAGMA {pragma}")
        connection.exec_driver_sql("CREATE TABLE predictions (id INTEGER PRIMARY KEY, result TEXT)")
    app = FastAPI()

    @app.get("/ready")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/v1/diagnose")
    def diagnose(text: str = Body(embed=True)) -> Any:
        found = pipe([text], truncation=True, max_length=MOST_TOKENS, top_k=10)[0]
        with engine.begin() as connection:
            connection.execute(
                sa.text("INSERT INTO predictions (result) VALUES (:result)"),
                {"result": json.dumps(found)},
            )
        return found

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])


# ---- loads


async def ask_alone(process: Process, texts: Sequence[str]) -> list[float]:
    """Milliseconds of one request after the other."""
    line, spent = Line(process.port, process.token), []
    for text in texts:
        began = time.perf_counter()
        answer = await line.post("/v1/diagnose", {"text": text})
        spent.append((time.perf_counter() - began) * 1e3)
        if answer.status != 200:
            raise SystemExit(f"a lone request got {answer.status}: {answer.body.decode()}")
    line.close()
    return spent


async def fill(process: Process, texts: Sequence[str], seconds: float) -> tuple[float, int]:
    """Requests a second that `CLIENTS` clients get answered, each asking as soon as it may.

    Returns:
        these, and how many connections broke.
    """
    end, done, broken = time.perf_counter() + seconds, 0, 0
    turn = itertools.cycle(texts)

    async def ask() -> None:
        nonlocal done, broken
        line = Line(process.port, process.token)
        while time.perf_counter() < end:
            try:
                answer = await line.post("/v1/diagnose", {"text": next(turn)})
                done += answer.status == 200
            except (OSError, asyncio.IncompleteReadError):
                broken += 1
        line.close()

    await asyncio.gather(*(ask() for _ in range(CLIENTS)))
    return done / seconds, broken


@dataclass
class Seen:
    """What a client saw of a load."""

    statuses: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)  # ids of predictions
    judged: list[str] = field(default_factory=list)  # ids of feedback
    queued: list[str] = field(default_factory=list)  # ids of batch jobs
    without_retry: int = 0
    milliseconds: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)

    def note(self, answer: Answer, spent: float) -> None:
        """One answer to `/v1/diagnose`."""
        self.statuses[str(answer.status)] += 1
        if answer.status == 200:
            self.accepted.append(json.loads(answer.body)["id"])
            self.milliseconds.append(spent * 1e3)
        elif answer.status in (429, 503):
            self.refusals.append(spent * 1e3)
            self.without_retry += "retry-after" not in answer.headers


async def flood(
    process: Process, texts: Sequence[str], rate: float, seconds: float, seen: Seen
) -> None:
    """Requests at a rate, whether those before were answered or not."""
    idle: list[Line] = []
    tasks: set[asyncio.Task[None]] = set()

    async def ask(text: str) -> None:
        line = idle.pop() if idle else Line(process.port, process.token)
        began = time.perf_counter()
        try:
            seen.note(await line.post("/v1/diagnose", {"text": text}), time.perf_counter() - began)
            idle.append(line)
        except (OSError, asyncio.IncompleteReadError) as error:
            seen.statuses[type(error).__name__] += 1

    async for text in pace(texts, rate, seconds):
        task = asyncio.create_task(ask(text))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for line in idle:
        line.close()


async def pace(texts: Sequence[str], rate: float, seconds: float) -> AsyncIterator[str]:
    """Texts at a rate; what the clock has missed is made up for at once."""
    began = time.perf_counter()
    turn = itertools.cycle(texts)
    for number in range(int(rate * seconds)):
        ahead = began + number / rate - time.perf_counter()
        if ahead > 0:
            await asyncio.sleep(ahead)
        yield next(turn)


async def overload(
    process: Process, texts: Sequence[str], rate: float, seconds: float
) -> dict[str, Any]:
    """Twice what it can do, for a while, in ten parts with the memory after each."""
    seen, memory = Seen(), [process.memory]
    for _ in range(10):
        await flood(process, texts, rate, seconds / 10, seen)
        memory.append(process.memory)
    return {
        "seconds": seconds,
        "offered_per_second": round(rate, 1),
        "answered_per_second": round(len(seen.accepted) / seconds, 1),
        "statuses": dict(seen.statuses),
        "refused_without_retry_after": seen.without_retry,
        "accepted_ms": percentiles(seen.milliseconds),
        "refused_ms": percentiles(seen.refusals),
        "memory_mb": [round(one) for one in memory],
        "accepted": seen.accepted,
    }


async def use(process: Process, texts: Sequence[str], seen: Seen, end: float) -> None:
    """Diagnose and judge until the connection breaks."""

    async def ask(turn: Iterator[str]) -> None:
        line = Line(process.port, process.token)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while time.perf_counter() < end:
                seen.note(await line.post("/v1/diagnose", {"text": next(turn)}), 0.0)
                if seen.accepted:
                    given = {"prediction": seen.accepted[-1], "verdict": "rejected"}
                    answer = await line.post("/v1/feedback", given)
                    if answer.status == 201:
                        seen.judged.append(json.loads(answer.body)["id"])

    turn = itertools.cycle(texts)
    await asyncio.gather(*(ask(turn) for _ in range(CLIENTS)))


def kill(
    begin: Callable[[], Process], texts: Sequence[str], table: bytes, url: str, times: int
) -> dict[str, Any]:
    """``kill -9`` under load, again and again; what was acknowledged must be there.

    In each life a table is sent too. Once nothing kills them any more, all jobs must end, each
    with one row for each of the table's.
    """
    seen, random, lost = Seen(), Random(0), 0  # noqa: S311 - moments, no secrets
    for _ in range(times):
        process = begin()

        async def load(process: Process = process) -> None:
            seen.queued.append(await send(process, table))
            end = time.perf_counter() + random.uniform(0.5, 2.0)
            using = asyncio.create_task(use(process, texts, seen, end + 5))
            await asyncio.sleep(end - time.perf_counter())
            os.kill(process.running.pid, signal.SIGKILL)
            await using

        asyncio.run(load())
        process.running.wait()
        lost += missing(url, PREDICTIONS, seen.accepted) + missing(url, FEEDBACK, seen.judged)
    process = begin()
    rows = [asyncio.run(result(process, job)) for job in seen.queued]
    process.stop()
    with store.connect(url).engine.connect() as connection:
        attempts = connection.scalars(sa.select(JOBS.c.attempts)).all()
    whole = table.count(b"\n")
    return {
        "times": times,
        "predictions": len(seen.accepted),
        "feedback": len(seen.judged),
        "lost": lost,
        "jobs": len(rows),
        "jobs_resumed": sum(tried > 1 for tried in attempts),
        "jobs_not_whole": sum(found != whole for found in rows),
        "chain_rows": verify(url),
    }


async def send(process: Process, table: bytes) -> str:
    """The batch job that a table has become."""
    line = Line(process.port, process.token)
    answer = await line.post("/v1/batch?name=table.csv", table)
    line.close()
    if answer.status != 202:
        raise SystemExit(f"a table was refused: {answer.status}")
    return str(json.loads(answer.body)["job"])


async def result(process: Process, job: str) -> int:
    """Lines of a job's result, once it has ended; each record once."""
    line = Line(process.port, process.token)
    end = time.perf_counter() + ENDING
    while (state := json.loads((await line.get(f"/v1/batch/{job}")).body)["state"]) != "done":
        if state == "failed" or time.perf_counter() > end:
            return 0
        await asyncio.sleep(0.2)
    found = (await line.get(f"/v1/batch/{job}/result")).body.decode()
    line.close()
    return len({row[0] for row in csv.reader(io.StringIO(found)) if row})


def write_table(folder: Path, texts: Sequence[str]) -> bytes:
    """A CSV table with the columns that a package reads, one note a row."""
    source = json.loads((folder / layout.SOURCE).read_text(encoding="utf-8"))
    columns = source["columns_of"]["columns"]
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow([columns["record_id"], *columns["text"]])
    empty = [""] * (len(columns["text"]) - 1)
    rows.writerows([f"r{n}", text.replace("\n", " "), *empty] for n, text in enumerate(texts))
    return written.getvalue().encode()


def missing(url: str, table: sa.Table, ids: Sequence[str]) -> int:
    """How many of the ids a table of the store does not have."""
    with store.connect(url).engine.connect() as connection:
        known = set(connection.scalars(sa.select(table.c.id)))
    return len(set(ids) - known)


def verify(url: str) -> int:
    """Rows of the audit log, whose chain must hold."""
    with store.open_store(store.StoreSettings(url=url)) as opened:
        return store.verify(opened.database).rows


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Of milliseconds."""
    if len(values) < 2:
        return {}
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--package", type=Path)
    parser.add_argument("--size", choices=("small", "base"), default="small")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--serve-peer", metavar="STORE")
    given = parser.parse_args()
    if given.serve_peer:
        serve_peer(given.serve_peer, given.size)
        return
    requests = given.requests or (40 if given.quick else 500)
    rounds = 1 if given.quick else 5
    seconds = given.seconds if given.seconds is not None else (3.0 if given.quick else 60.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packed = given.package or make_package(folder, given.size, 120 if given.quick else 400)
        texts = choose_texts(packed, requests)
        url = str(folder / "store.db")
        token = make_key(url)

        def begin() -> Process:
            return start_ours(packed, url, token)

        ours, peer = begin(), start_peer(str(folder / "peer.db"), given.size)
        memory = ours.memory
        spent: dict[str, list[float]] = {"ours": [], PEER: []}
        for process in (ours, peer):
            asyncio.run(ask_alone(process, texts[:20]))
        for part in range(rounds):
            share = texts[part::rounds]
            spent["ours"] += asyncio.run(ask_alone(ours, share))
            spent[PEER] += asyncio.run(ask_alone(peer, share))
        rates = {
            side: asyncio.run(fill(process, texts, 1.0 if given.quick else 10.0))
            for side, process in (("ours", ours), (PEER, peer))
        }
        peer.stop()
        flooded = asyncio.run(overload(ours, texts, 2 * rates["ours"][0], seconds))
        flooded["lost"] = missing(url, PREDICTIONS, flooded.pop("accepted"))
        ours.stop()
        flooded["chain_rows"] = verify(url)
        table = write_table(packed, texts)
        killed = kill(begin, texts, table, url, given.kills) if given.kills else None
        facts = package.load(packed, single=True).report
    of = {side: percentiles(values) for side, values in spent.items()}
    print(
        json.dumps(
            {
                "name": "serve",
                "ours": of["ours"]["p50"],
                "peer": of[PEER]["p50"],
                "ratio": round(of[PEER]["p50"] / of["ours"]["p50"], 2),
                "unit": "ms, median of a lone request",
                "p99_ms": {side: one["p99"] for side, one in of.items()},
                "ready_seconds": round(ours.ready, 2),
                "memory_mb": round(memory),
                "capacity": {side: round(rate, 1) for side, (rate, _) in rates.items()},
                "broken": {side: broken for side, (_, broken) in rates.items()},
                "overload": flooded,
                **({"kills": killed} if killed else {}),
                "precision": facts.precision,
                "size": given.size,
                "requests": len(texts),
                "processors": len(os.sched_getaffinity(0)),
            }
        )
    )


if __name__ == "__main__":
    main()
