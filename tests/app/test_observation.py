"""Around every request: ids, headers, one line in the log, bounded metrics, and nothing of the inside in a failure."""

import json
import logging
import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api import create_app
from app.logs import JsonFormatter
from loopcast.stores.champions import FixedChampions
from loopcast.stores.tokens import Role
from tests.app.client import API, Client, code_of, signed

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def lines(caplog):
    """What was logged so far, each line read as JSON."""
    caplog.set_level(logging.INFO)
    return lambda: [
        json.loads(JsonFormatter().format(record)) for record in caplog.records if record.name.startswith("app.")
    ]


@pytest.mark.parametrize("given_id", ["night-7", "A.b_c-9", "x" * 64])
def test_a_plain_request_id_is_taken_over(client, given_id):
    """The asker finds its request in answer and log."""
    assert client.get("/livez", headers={"X-Request-ID": given_id}).headers["x-request-id"] == given_id


@pytest.mark.parametrize("given_id", [None, "", "x" * 65, "two words", "a\tb", "ä".encode(), "<script>"])
def test_any_other_request_id_is_replaced(client, given_id):
    """It would go into logs and tables."""
    headers = {} if given_id is None else {"X-Request-ID": given_id}

    found = client.get("/livez", headers=headers).headers["x-request-id"]

    assert re.fullmatch("[0-9a-f]{32}", found)


@pytest.mark.parametrize("path", ["/livez", f"{API}/problems/nothing", "/nothing"])
def test_every_answer_says_how_it_may_be_used(client, path):
    """Not kept, not guessed at, never run as a page."""
    headers = client.get(path).headers

    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers


def test_a_request_is_one_line_in_the_log(make_parts, tokens, store, lines):
    """With route, status, time, who asked and of which trace; without body and secret."""
    _, secret = store.create("dashboards", "anna", Role.VIEWER, (), None)
    tokens.refresh()
    client = signed(create_app(make_parts(tokens=tokens)), secret)

    client.post(
        f"{API}/problems/google/forecasts",
        {"series": [{"series_id": "GOOG"}]},
        headers={"X-Request-ID": "night-7", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
    )

    [line] = [line for line in lines() if line["message"] == "request"]
    duration_ms = line.pop("duration_ms")
    assert 0 < duration_ms < 1000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00", line.pop("time_utc"))
    assert line == {
        "level": "INFO",
        "logger": "app.observation",
        "message": "request",
        "method": "POST",
        "route": "/api/v1/problems/{problem}/forecasts",
        "status": 200,
        "request_id": "night-7",
        "trace_id": TRACE,
        "asker": "dashboards",
    }


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "00",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
    ],
)
def test_a_broken_traceparent_is_no_trace(client, lines, traceparent):
    """It does not get into the log."""
    client.get("/livez", headers={"traceparent": traceparent})

    assert lines()[-1]["trace_id"] is None


def test_an_unexpected_error_tells_nothing_of_the_inside(make_parts, google, lines):
    """500 in the one shape; the traceback stands in the log, under the answer's request id."""
    broken = FixedChampions({"google": "no champion, but a secret text"})
    client = Client(create_app(make_parts(champions=broken)))

    answer = client.get(f"{API}/problems/google")

    assert code_of(answer) == (500, "internal")
    assert "secret" not in answer.text
    [line] = [line for line in lines() if line["level"] == "ERROR"]
    assert "AttributeError" in line["traceback"]
    assert line["request_id"] == answer.headers["x-request-id"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.text(st.characters(codec="ascii", exclude_characters="?#"), max_size=30),
    method=st.sampled_from(["GET", "BREW", "DELETE"]),
)
def test_no_path_makes_a_new_label(client, path, method):
    """Routes are labelled by their template, everything else by one word."""
    client.ask(method, f"/{quote(path)}")
    client.get(f"{API}/problems/google/series", params={"after": path})

    metrics = client.app.state.parts.metrics.registry.collect()
    samples = [sample for metric in metrics for sample in metric.samples if "route" in sample.labels]
    assert {sample.labels["route"] for sample in samples} <= {
        "other",
        "/",
        "/livez",
        f"{API}/problems",
        f"{API}/problems/{{problem}}",
        f"{API}/problems/{{problem}}/series",
    }
    assert {sample.labels.get("method", "GET") for sample in samples} <= {"GET", "DELETE", "other"}


def test_requests_and_forecasts_are_counted(client):
    """By template and status; forecasts by problem; versions as they are served."""
    client.post(f"{API}/problems/prices/forecasts", {"series": [{"series_id": "S0"}, {"series_id": "S1"}]})
    client.get(f"{API}/problems/nothing")

    text = client.get("/metrics").text
    forecasts = "/api/v1/problems/{problem}/forecasts"
    assert f'loopcast_requests_total{{method="POST",route="{forecasts}",status="200"}} 1.0' in text
    assert 'loopcast_requests_total{method="GET",route="/api/v1/problems/{problem}",status="404"} 1.0' in text
    assert f'loopcast_request_duration_seconds_count{{route="{forecasts}"}} 1.0' in text
    assert 'loopcast_forecasts_answered_total{problem="prices"} 2.0' in text
    assert 'loopcast_model_version{problem="google"} 7.0' in text
    assert "loopcast_journal_bytes " in text
    assert "S0" not in text


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [
        ("GET", "/nothing", (404, "not_found")),
        ("PUT", "/livez", (405, "method_not_allowed")),
        ("GET", f"{API}/forecasts/7", (422, "invalid_request")),
    ],
)
def test_what_the_framework_refuses_has_the_same_shape(client, method, path, refusal):
    """Whoever reads one error can read all."""
    answer = client.ask(method, path, headers={"Content-Type": "application/json"})

    assert code_of(answer) == refusal
