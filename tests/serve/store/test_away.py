"""The service on a PostgreSQL that is away and comes back: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest
from typer.testing import CliRunner

from emrobust.cli import app as cli
from emrobust.serve import app, service, settings
from emrobust.serve import store as room
from emrobust.serve.catalog import Wanted
from emrobust.serve.store import keys

NOTE = "患者胸闷心悸3天，活动后加重，无发热。既往高血压病史10年。"


class Network:
    """The way to a server; it can be cut, and mended at the same address."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open: list[socket.socket] = []
        self._listening: socket.socket | None = None
        self.port = 0
        self.mend()

    def mend(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def cut(self) -> None:
        """Refuse who comes, and break what is open, in the middle of whatever it was."""
        for one in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                target.sendall(part)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def network(postgres_url):
    parts = urlsplit(postgres_url)
    made = Network(parts.hostname, parts.port)
    yield made
    made.cut()


@pytest.fixture
def served(network, postgres_url, served_package, tmp_path):
    parts = urlsplit(postgres_url)
    url = postgres_url.replace(f":{parts.port}/", f":{network.port}/")
    given = [f"store.url={url}", "store.patience=0.3", f"serve.jobs={tmp_path / 'jobs'}",
             "serve.threads=1", "monitor.seconds=3600"]  # fmt: skip
    made = service.open_service(settings.load(None, given), [Wanted(served_package, "clinic", "1")])
    yield made
    made.store.close()


class Ward:
    """Doctors who diagnose and answer, and remember what was acknowledged."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._home = False
        self.predictions: list[str] = []
        self.feedback: list[str] = []
        self.refused: list[httpx.Response] = []

    async def work(self) -> None:
        while not self._home:
            asked = {"text": NOTE, "record_id": "V1"}
            answer = await self._client.post("/v1/diagnose", json=asked)
            if not self._note(answer, self.predictions):
                await asyncio.sleep(0.02)
                continue
            given = {"prediction": answer.json()["id"], "verdict": "accepted"}
            self._note(await self._client.post("/v1/feedback", json=given), self.feedback)

    def _note(self, answer: httpx.Response, taken: list[str]) -> bool:
        done = answer.status_code in (200, 201)
        if done:
            taken.append(answer.json()["id"])
        else:
            self.refused.append(answer)
        return done

    def go_home(self) -> None:
        self._home = True


async def reach(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(opened):
    """A client with a clinician's key, and the headers of a reviewer's."""
    given = {
        role: {"Authorization": f"Bearer {token}"}
        for role in ("clinician", "reviewer")
        for token, _ in [keys.add(opened.store.database, name=role, role=role, actor="test")]
    }
    application = app.build(opened)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(application),
            base_url="http://t",
            headers=given["clinician"],
        ) as client,
    ):
        yield client, given["reviewer"]


def check_refusal(answer, url):
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["type"] == "urn:emrobust:unavailable"
    assert "胸闷" not in answer.text
    assert urlsplit(url).password not in answer.text


@pytest.mark.postgres
async def test_what_was_acknowledged_stays_and_the_service_goes_on(
    served, network, postgres_url, monkeypatch
):
    monkeypatch.setattr(keys, "REMEMBERED_SECONDS", 600.0)  # of keys that were used once
    async with running(served) as (client, stranger):
        ward = Ward(client)
        working = [asyncio.create_task(ward.work()) for _ in range(4)]
        for _ in range(2):
            enough = len(ward.feedback) + 5
            await reach(lambda enough=enough: len(ward.feedback) >= enough)
            ward.refused.clear()
            network.cut()
            await reach(lambda: ward.refused)
            away = [
                await client.get("/v2/health/ready"),
                await client.get("/v1/me", headers=stranger),
                await client.get("/v1/monitor", headers=stranger),
            ]
            for answer in (*ward.refused, *away):
                check_refusal(answer, postgres_url)
            for path in ("/v2/health/live", "/v1/models", "/"):
                assert (await client.get(path)).status_code == 200, path
            network.mend()
            enough = len(ward.feedback) + 5
            await reach(lambda enough=enough: len(ward.feedback) >= enough)
            assert (await client.get("/v2/health/ready")).status_code == 200
        ward.go_home()
        await asyncio.gather(*working)
    with room.open_store(room.StoreSettings(url=postgres_url)) as opened:
        assert set(ward.predictions) <= {row["id"] for row in opened.predictions(most=100_000)}
        assert set(ward.feedback) <= {row["id"] for row in opened.feedback(most=100_000)}
        room.verify(opened.database)


@pytest.mark.postgres
async def test_the_monitor_and_the_retraining_read_postgresql(
    served, postgres_url, clinic, served_run, tmp_path
):
    async with running(served) as (client, reviewer):
        asked = {"text": NOTE, "record_id": "V1"}
        made = [(await client.post("/v1/diagnose", json=asked)).json()["id"] for _ in range(3)]
        given = {"prediction": made[0], "verdict": "accepted"}
        assert (await client.post("/v1/feedback", json=given)).status_code == 201
        await asyncio.to_thread(served.monitor.look)
        told = await client.get("/v1/monitor", headers=reviewer)
        assert told.status_code == 200, told.text
        assert told.json()["load"]["requests"] == 3
        assert told.json()["feedback"]["answered"] == 1
    done = CliRunner().invoke(
        cli,
        ["retrain", postgres_url, "--project", str(clinic), "--run", str(served_run),
         "--out", str(tmp_path / "new")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (tmp_path / "new" / "table.csv").is_file()
