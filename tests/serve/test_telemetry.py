"""Spans: one a request, at the hospital's collector and nowhere else; nothing of a caller's."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from emrobust.errors import ConfigError
from emrobust.serve import service, settings

NOTE = "患者胸闷心悸3天，活动后加重，无发热。既往高血压病史10年。"
PRIVATE = "ZHANGSAN"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP on loopback, and keeps what it was sent."""

    def __init__(self):
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Taking)

    @property
    def spans(self):
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        sent = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for one in sent
            for of_resource in one.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]


class Taking(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def collector():
    pytest.importorskip(
        "opentelemetry.exporter.otlp.proto.http.trace_exporter",
        reason='pip install "emrobust[telemetry]"',
    )
    with Collector() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def options(collector):
    return [f"telemetry.endpoint=http://127.0.0.1:{collector.server_port}/v1/traces"]


async def test_a_request_is_one_span_without_anything_of_the_caller(
    client, opened, collector, monkeypatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody is there
    asked = {"text": NOTE + PRIVATE, "record_id": PRIVATE}
    mine = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": PRIVATE, "baggage": PRIVATE}
    answered = await client.post(f"/v1/diagnose?{PRIVATE}=1", json=asked, headers=mine)
    assert answered.status_code == 200
    for path in (f"/v2/models/{PRIVATE}", f"/{PRIVATE}"):
        assert (await client.get(path)).status_code == 404
    await client.post("/v1/diagnose", json={"text": PRIVATE, PRIVATE: PRIVATE})
    opened.tracer.close()
    told = [
        (
            span.name,
            {
                one.key: one.value.string_value or one.value.int_value
                for one in span.attributes
                if not one.key.startswith("http.r") or one.key.endswith("status_code")
            },
        )
        for span in collector.spans
    ]
    request = answered.headers["x-request-id"]
    assert told[0] == (
        "POST /v1/diagnose",
        {
            "http.response.status_code": 200,
            "emrobust.request": request,
            "emrobust.model": "clinic@1",
        },
    )
    assert [(name, of["http.response.status_code"]) for name, of in told[1:]] == [
        ("GET /v2/models/{name}", 404),
        ("GET none", 404),
        ("POST /v1/diagnose", 422),
    ]
    assert all("emrobust.model" not in of for _, of in told[1:])
    first = collector.spans[0]
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, PARENT)
    assert 0 < first.end_time_unix_nano - first.start_time_unix_nano < 60e9
    sent = b"".join(collector.bodies)
    assert PRIVATE.encode() not in sent
    assert "胸闷".encode() not in sent
    assert b"emrobust" in sent


class TestOff:
    @pytest.fixture
    def options(self):
        return []

    async def test_nothing_is_sent_unless_an_endpoint_is_set(
        self, client, opened, collector, monkeypatch
    ):
        """FastAPI would, by the environment's word alone."""
        monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}"
        )
        assert (await client.post("/v1/diagnose", json={"text": NOTE})).status_code == 200
        assert opened.tracer is None
        assert collector.bodies == []


def test_an_endpoint_without_the_packages_or_elsewhere_in_the_clear_is_refused(
    monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "emrobust.serve.telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    given = settings.load(None, ["telemetry.endpoint=http://127.0.0.1:4318/v1/traces"])
    with pytest.raises(ConfigError, match="not installed") as told:
        service.open_service(given, [])
    assert "emrobust[telemetry]" in told.value.hint
    with pytest.raises(ConfigError, match="https"):
        settings.load(None, ["telemetry.endpoint=http://collector.elsewhere/v1/traces"])
    assert not list(tmp_path.iterdir())
