"""A small real package, and a service around it with a key of each role."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from emrobust import config
from emrobust.clinic import generate
from emrobust.serve import app, service, settings
from emrobust.serve.catalog import Wanted
from emrobust.serve.protocol import BoundedProtocol
from emrobust.serve.store import keys
from emrobust.serve.suggestions import Advice, Suggestion

ROLES = ("clinician", "reviewer", "administrator")
NOTE = "患者胸闷心悸3天，活动后加重，无发热。既往高血压病史10年。"
SMALL = (
    "model.name=textcnn", "model.width=16", "model.filters=16", "train.epochs=3",
    "train.learning_rate=0.01", "labels.top=12", "split.validation=0.3", "evaluate.bootstrap=0",
    "evaluate.suites=[]",
)  # fmt: skip


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, as the service does."""
    return "asyncio"


@pytest.fixture(scope="session")
def clinic(tmp_path_factory) -> Path:
    """The project file of a small made-up hospital."""
    folder = tmp_path_factory.mktemp("clinic")
    generate(folder, 1200, 20260101, workers=1, formats=("sqlite",))
    return folder / "project.toml"


@pytest.fixture(scope="session")
def served_run(tmp_path_factory, clinic) -> Path:
    """A run on it."""
    from emrobust.pipeline.train import train

    folder = tmp_path_factory.mktemp("run") / "run"
    train(config.load(clinic, SMALL), folder)
    return folder


@pytest.fixture(scope="session")
def served_package(tmp_path_factory, served_run) -> Path:
    """The package of it."""
    from emrobust.pipeline.export import export

    folder = tmp_path_factory.mktemp("package") / "package"
    export(served_run, folder)
    return folder


@pytest.fixture
def advice() -> Callable[..., Advice]:
    """A function that makes what a model says of a note: ``advice(*suggestions, **more)``."""

    def make(*suggestions: Suggestion, **more: object) -> Advice:
        found = suggestions or (
            Suggestion("I20", "心绞痛|不稳定", ("I20",), 0.81, chosen=True, inside=True),
            Suggestion("I21", "急性心肌梗死", ("I21",), 0.1, chosen=False, inside=True),
            Suggestion("other", "其他", (), 0.05, chosen=True, inside=True),
        )
        values = {
            "prediction": "0193b0a0-0000-7000-8000-000000000001",
            "model": "zh@1",
            "language": "zh",
            "task": "multi",
            "suggestions": found,
            "at": "2026-11-22T10:00:00+00:00",
            "coverage": 0.9,
        }
        return Advice(**{**values, **more})

    return make


@pytest.fixture
def options() -> list[str]:
    """``section.key=value`` for `opened`; a test module may give its own."""
    return []


@pytest.fixture
def opened(tmp_path, served_package, options) -> Iterator[service.Service]:
    """An opened service with the package as ``clinic@1``; whoever runs its app closes it."""
    given = settings.load(
        None,
        [
            f"store.url={tmp_path / 'store.db'}",
            f"serve.jobs={tmp_path / 'jobs'}",
            "serve.threads=1",
            "serve.precision=fp32",  # `auto` takes what is quicker just now
            *options,
        ],
    )
    made = service.open_service(given, [Wanted(served_package, "clinic", "1")])
    yield made
    made.store.close()


@pytest.fixture
def tokens(opened) -> dict[str, str]:
    """A key of each role."""
    return {
        role: keys.add(opened.store.database, name=f"the {role}", role=role, actor="test")[0]
        for role in ROLES
    }


@pytest.fixture
def as_role(tokens):
    """Role → the headers that its key is sent in."""
    return lambda role: {"Authorization": f"Bearer {tokens[role]}"}


@pytest.fixture
async def client(opened, as_role) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a clinician's key, inside of the application's lifespan."""
    application = app.build(opened)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(application),
            base_url="http://clinic.test",
            headers=as_role("clinician"),
        ) as made,
    ):
        yield made


@pytest.fixture
def server(opened) -> Iterator[uvicorn.Server]:
    """A real server in a thread of this process."""
    made = uvicorn.Server(
        uvicorn.Config(
            app.build(opened),
            port=0,
            lifespan="on",
            log_config=None,
            access_log=False,
            ws="none",
            http=BoundedProtocol,
        )
    )
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        while not made.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield made
    finally:
        made.should_exit = True
        thread.join()


@pytest.fixture
def address(server) -> str:
    """The address of a real server."""
    (listening,) = server.servers[0].sockets
    return f"http://127.0.0.1:{listening.getsockname()[1]}"
