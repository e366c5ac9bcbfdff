"""The service as its own process: what it imports, whom it talks to, and how it ends."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from typer.testing import CliRunner

from emrobust.cli import app
from emrobust.errors import ConfigError
from emrobust.serve import run
from emrobust.serve.store import connect, keys

NOTE = "患者胸闷心悸3天，活动后加重，无发热。既往高血压病史10年。"
# Refuses every connection that leaves the machine, and names it; then runs the command.
GUARDED = """
import socket, sys
connect, resolve = socket.socket.connect, socket.getaddrinfo
def guarded(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
        print("outward", address, flush=True)
        raise OSError("refused")
    return connect(self, address)
def look_up(host, *rest, **named):
    if host not in ("127.0.0.1", "::1", "localhost", None):
        print("outward", host, flush=True)
        raise OSError("refused")
    return resolve(host, *rest, **named)
socket.socket.connect = guarded
socket.socket.connect_ex = guarded
socket.getaddrinfo = look_up
from emrobust.cli import main
try:
    main()
finally:
    heavy = {"torch", "transformers", "emrobust.explain", "emrobust.train"} & set(sys.modules)
    print("heavy", sorted(heavy), flush=True)
"""


@pytest.fixture
def process(served_package, tmp_path):
    """The command in a process of its own: its address, its first key, itself."""
    log = (tmp_path / "log").open("w")
    running = subprocess.Popen(
        [sys.executable, "-c", GUARDED, "serve", f"clinic@1={served_package}", "--port", "0",
         "--store", str(tmp_path / "store.db"), "--set", f"serve.jobs={tmp_path / 'jobs'}",
         "--set", "limits.deadline=60", "--set", "serve.grace=1"],
        stdout=subprocess.PIPE, stderr=log, text=True,
    )  # fmt: skip
    said = ""
    while not (found := re.search(r"^http\S+", said, re.MULTILINE)):
        line = running.stdout.readline()
        assert line, (tmp_path / "log").read_text()
        said += line
    assert "outward" not in said
    yield found[0], re.search(r"emr_\S+", said)[0], running
    running.kill()
    running.wait()
    running.stdout.close()
    log.close()


def test_a_connection_that_leaves_the_machine_would_be_seen():
    called = "import socket\ndef main():\n    socket.create_connection(('example.org', 80))\n"
    script = GUARDED.replace("from emrobust.cli import main\n", called)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "outward example.org" in done.stdout
    script = script.replace("example.org", "127.0.0.2")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "outward" in done.stdout


def test_it_answers_with_every_outward_connection_refused(process, tmp_path):
    address, key, running = process
    with httpx.Client(
        base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=30
    ) as client:
        for path, body in (
            ("/v1/diagnose", {"text": NOTE, "evidence": True}),
            ("/v1/explain", {"text": NOTE, "unit": "word"}),
            ("/v1/triage", {"text": NOTE}),
            ("/v1/deidentify", {"text": NOTE}),
        ):
            answer = client.post(path, json=body)
            assert answer.status_code == 200, (path, answer.text)
        for path in ("/", "/docs", "/openapi.json", "/v1/models", "/v1/monitor", "/metrics"):
            assert client.get(path).status_code == 200, path
    check_that_heads_end(httpx.URL(address).port)
    running.send_signal(signal.SIGTERM)
    rest = running.stdout.read()
    assert running.wait(30) == 0
    assert "outward" not in rest
    assert "heavy []" in rest
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "胸闷" not in log
    assert key not in log


def test_who_is_waited_for_no_longer_is_told_that_the_service_ends(process, tmp_path):
    address, key, running = process
    jobs = tmp_path / "jobs"
    head = (
        f"POST /v1/batch?name=table.csv HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n"
        "Content-Length: 100000\r\n\r\nrecord_id"
    )
    with socket.create_connection(("127.0.0.1", httpx.URL(address).port), timeout=20) as line:
        line.sendall(head.encode())
        while not list(jobs.glob("*/table.csv")):
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        told = b""
        while part := line.recv(65_536):
            told += part
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"urn:emrobust:ending" in told
    assert running.wait(30) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert not list(jobs.iterdir())


def check_that_heads_end(port):
    """uvicorn would keep headers until there is no memory left, of callers without a key."""
    for endless in (b"X-A: b\r\n", b"a"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
            line.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ")
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    line.sendall(endless * (1_000_000 // len(endless)))
                pytest.fail("it takes heads without end")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n")
        time.sleep(0.5)  # of a head that never ends, what comes with its first bytes is not counted
        line.sendall(b"X-A: " + b"b" * 66_000)
        assert line.recv(100).startswith(b"HTTP/1.1 431 ")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        parts = [b"%x\r\n%s\r\n" % (len(part), part) for part in [b" " * 10_000] * 50]
        line.sendall(b"POST /v1/feedback HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        line.sendall(b"".join(parts) + b"0\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 401 ")


def test_a_taken_port_is_told_in_a_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConfigError, match=r"cannot listen at 127\.0\.0\.1"):
            run._listen("127.0.0.1", taken.getsockname()[1])


def test_no_key_is_made_before_the_port_is_ours(served_package, tmp_path):
    words = ["serve", f"clinic@1={served_package}", "--store", str(tmp_path / "store.db")]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(app, [*words, "--port", port])
    assert isinstance(done.exception, ConfigError)
    assert "emr_" not in done.output
    assert not keys.every(connect(str(tmp_path / "store.db"), create=False))


def test_an_address_that_was_told_takes_connections():
    with run._listen("127.0.0.1", 0) as listening:
        socket.create_connection(listening.getsockname(), timeout=5).close()


def test_wrong_words_are_told_before_anything_is_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words, said in (
        (["serve", "--set", "limits.bodi=1"], "Did you mean `body`"),
        (["serve", "--config", "absent.toml"], "cannot be read"),
    ):
        done = CliRunner().invoke(app, words)
        assert isinstance(done.exception, ConfigError)
        assert said in str(done.exception)
    assert not list(tmp_path.iterdir())
