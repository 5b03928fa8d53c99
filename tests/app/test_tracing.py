"""Spans: sent to a collector that the environment names, and not made otherwise."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.api import create_app
from app.tracing import open_tracing
from tests.app.client import API, Client

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector():
    """A collector of OpenTelemetry: its address, and the requests that it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()


def test_a_request_becomes_a_span_of_its_trace(make_parts, collector, monkeypatch):
    """The collector gets route and status, under the trace that the asker began."""
    url, got = collector
    for name, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_SERVICE_NAME": "forecasts",
    }.items():
        monkeypatch.setenv(name, value)
    provider = open_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_SERVICE_NAME": "forecasts"})
    client = Client(create_app(make_parts(tracer_provider=provider)))

    client.get(f"{API}/problems/google", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    provider.shutdown()

    [(path, request)] = got
    [resource] = request.resource_spans
    [span] = resource.scope_spans[0].spans
    attributes = {each.key: each.value for each in span.attributes}
    assert path == "/v1/traces"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.name == "GET /api/v1/problems/{problem}"
    assert attributes["http.response.status_code"].int_value == 200
    assert {each.key: each.value.string_value for each in resource.resource.attributes}["service.name"] == "forecasts"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_a_collector_there_are_no_spans(environ):
    """None was asked for, or none wanted."""
    assert open_tracing(environ) is None
