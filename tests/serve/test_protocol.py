"""What a connection may say before anybody answers, over a socket."""

from __future__ import annotations

import contextlib
import socket

import httpx
import pytest

from emrobust.serve import shield

LIVE = b"GET /v2/health/live HTTP/1.1\r\n"
HOST = b"Host: clinic.test\r\n"
END = b"Connection: close\r\n\r\n"


@pytest.fixture
def say(address):
    """Bytes → all that comes back, once the server has closed the connection."""

    def send(*pieces):
        with socket.create_connection(("127.0.0.1", httpx.URL(address).port), timeout=10) as line:
            found = b""
            with contextlib.suppress(ConnectionError):  # it closes before all was sent
                for piece in pieces:
                    line.sendall(piece)
                while part := line.recv(65_536):
                    found += part
        return found

    return send


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"X-A: " + b"b" * 60_000 + b"\r\n", 200),
        (b"X-A: " + b"b" * 66_000 + b"\r\n", 431),
        (b"X-A: " + b"b" * 150_000 + b"\r\n", 431),
        (b"X-A: b\r\n" * 8_000, 200),
        (b"X-A: b\r\n" * 9_000, 431),
    ],
)
def test_a_head_is_limited_whatever_pieces_it_comes_in(say, lines, status):
    whole = LIVE + HOST + lines + END
    start = f"HTTP/1.1 {status} ".encode()
    assert say(whole).startswith(start)
    middle = len(LIVE) + len(lines) // 2
    told = say(whole[:middle], whole[middle:])
    assert told.startswith(start)
    if status == 431:
        assert b"urn:emrobust:head_too_large" in told


def test_a_long_address_is_part_of_the_head(say):
    told = say(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + END)
    assert told.startswith(b"HTTP/1.1 431 ")


def test_each_request_of_a_connection_has_a_head_of_its_own(say):
    one = LIVE + HOST + b"X-A: " + b"b" * 40_000 + b"\r\n"
    assert say(one + b"\r\n" + one + END).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize(
    ("version", "hosts", "status"),
    [(b"1.1", 1, 200), (b"1.1", 0, 400), (b"1.1", 2, 400), (b"1.0", 0, 200), (b"1.0", 2, 400)],
)
def test_a_request_says_once_which_host_it_means(say, version, hosts, status):
    told = say(b"GET /v2/health/live HTTP/" + version + b"\r\n" + HOST * hosts + END)
    assert told.startswith(f"HTTP/1.1 {status} ".encode())
    assert (b"urn:emrobust:host" in told) == (status == 400)


def test_what_is_no_http_is_told_as_a_problem(say):
    told = say("患者胸闷\r\n\r\n".encode())
    assert told.startswith(b"HTTP/1.1 400 ")
    assert b"urn:emrobust:no_http" in told


def test_an_upload_that_stops_coming_is_given_up(say, as_role, opened, monkeypatch):
    monkeypatch.setattr(shield, "_BODY_SECONDS", 0.3)
    key = as_role("clinician")["Authorization"].encode()
    head = (
        b"POST /v1/batch?name=table.csv HTTP/1.1\r\n" + HOST + b"Authorization: " + key + b"\r\n"
        b"Content-Length: 100000\r\n\r\n"
    )
    told = say(head + b"record_id")
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b"urn:emrobust:slow_body" in told
    assert not list(opened.settings.serve.jobs.iterdir())
