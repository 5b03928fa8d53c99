"""The Python client, over HTTP, against the app as it is served."""

import hashlib
import io
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pandas as pd
import pytest
import uvicorn
from prometheus_client import generate_latest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import create_app
from app.parts import ServiceParts
from benchmarks.servers import find_port
from loopcast.client import Client, errors
from loopcast.client.answers.base import Answer
from loopcast.client.errors import LoopcastClientError
from loopcast.stores.files import FileStore
from loopcast.stores.query import QueryState
from loopcast.stores.tokens import Role
from tests.app import client as in_process

ADDRESS = "http://127.0.0.1:3000"
NOT_ASKED = {"/livez", "/readyz", "/metrics", "/api/v1/queries/{query_id}/events"}
"""For those who watch the service, and for pages that stay open; a client looks again and again."""
ASKED = r'^loopcast_requests_total\{method="(\w+)",route="([^"]+)"'
"""A line of the metrics: method and route of requests that were answered."""
KINDS = {"type", "items", "anyOf"}
"""What a schema says of the kinds of its values; bounds and texts are for the service."""


@contextmanager
def serve(app: ASGIApp) -> Iterator[str]:
    """The address of an app that answers while the block runs."""
    port = find_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, lifespan="off", ws="none", log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server ended before it started"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def client(kept: ServiceParts) -> Iterator[Client]:
    """Asks a service on loopback that keeps its forecasts in PostgreSQL."""
    with serve(create_app(kept)) as url, Client(url) as client:
        yield client


@pytest.fixture
def frame(google_history: dict[str, Any]) -> pd.DataFrame:
    """The last 150 rows of GOOG, as its source has them."""
    columns = {name: google_history[name] for name in ("open", "high", "low", "close")}
    times = {"date": google_history["timestamp"], "adj_close": google_history["target"]}
    return pd.DataFrame({**times, **columns, "volume": google_history["covariates"]["volume"]})


class Busy:
    """An app that has no room for the first requests, and notes how many came."""

    def __init__(self, n_refused: int, wait_s: str = "0", status: int = 503) -> None:
        self.n_refused, self.wait_s, self.status = n_refused, wait_s, status
        self.n_asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        self.n_asked += 1
        if self.n_asked > self.n_refused:
            await JSONResponse({"problems": []})(scope, receive, send)
            return
        error = {"code": "unavailable", "message": "no champion is in service yet", "request_id": "r1"}
        await JSONResponse({"error": error}, self.status, {"Retry-After": self.wait_s})(scope, receive, send)


def test_a_forecast_by_name_has_its_id_under_which_it_is_found_with_its_lineage(client, google):
    """From the question to the training that stands behind the answer."""
    answer = client.forecast("google", ["GOOG"], horizon=2, quantiles=[0.1, 0.5])
    [forecast] = answer.forecasts
    stored = client.stored_forecast(forecast.forecast_id)
    lineage = client.lineage(forecast.forecast_id)

    assert (answer.problem, answer.unit, answer.model_version) == ("google", "USD", 7)
    assert forecast.quantiles.keys() == {"0.1", "0.5"}
    assert stored.quantiles["0.5"][:2] == forecast.quantiles["0.5"]
    assert (stored.target_utc[:2], stored.actual) == (forecast.target_utc, (None,) * 5)
    assert lineage.weights_sha256 == google.record.weights_sha256


def test_a_history_in_a_frame_is_forecast_as_the_service_would_by_name(client, frame):
    """With the frame's own names of columns, in a shape that the service takes, and without losing a digit."""
    columns = {"timestamp": "date", "target": "adj_close"}

    sent = client.forecast("google", {"MINE": frame}, columns=columns)
    indexed = (
        frame.drop(columns="date").set_index(pd.DatetimeIndex(frame["date"])).rename(columns={"adj_close": "target"})
    )
    from_index = client.forecast("google", {"MINE": indexed})
    explained = client.explain("google", "MINE", frame, columns=columns)

    assert sent.forecasts[0].quantiles == from_index.forecasts[0].quantiles
    assert sent.forecasts[0].origin_utc == explained.origin_utc == datetime(2013, 3, 1, 5, tzinfo=UTC)


def test_gaps_in_a_frame_are_sent_as_gaps(client, frame):
    """A volume that is not known is no number, and the forecast is made without it."""
    gappy = frame.assign(volume=frame["volume"].where(frame.index != 40))

    answer = client.forecast("google", {"GOOG": gappy}, columns={"timestamp": "date", "target": "adj_close"})

    assert len(answer.forecasts) == 1


@pytest.mark.parametrize(
    ("change", "columns", "sentence"),
    [
        ({}, {}, "needs `timestamp`; name the frame's own by `columns=`"),
        ({}, {"time": "date"}, "columns: found time, needs some of timestamp, target, open, "),
        ({"open": "high"}, {"timestamp": "date", "target": "adj_close"}, "open: found object, needs numbers"),
        ({"date": "soon"}, {"timestamp": "date", "target": "adj_close"}, "date: found what is no time"),
    ],
)
def test_a_frame_that_cannot_be_read_is_refused_before_it_is_sent(client, frame, change, columns, sentence):
    """The sentence names the column, and how to name another."""
    with pytest.raises(LoopcastClientError) as refused:
        client.forecast("google", {"GOOG": frame.assign(**change)}, columns=columns)

    assert sentence in str(refused.value)


def test_answers_become_frames(client):
    """One row for each step or group, one column for each level; times keep their zone."""
    answer = client.forecast("prices", [each.series_id for each in client.series("prices")], quantiles=[0.1, 0.9])
    stored = client.stored_forecast(answer.forecasts[0].forecast_id)
    explained = client.explain("google", "GOOG")

    frame = answer.to_frame()
    assert list(frame) == ["forecast_id", "series_id", "origin_utc", "target_utc", "0.1", "0.9"]
    assert len(frame) == sum(len(each.target_utc) for each in answer.forecasts)
    assert str(frame["target_utc"].dt.tz) == "UTC"
    assert len(stored.to_frame()) == len(stored.target_utc)
    assert stored.to_frame()["actual"].isna().all()
    assert list(explained.to_frame()) == ["group", "log_stretch", "width_ratio"]


def test_every_page_of_series_is_read(client):
    """However few are on one."""
    names = [each.series_id for each in client.series("prices", page_size=1)]

    assert names == sorted(names)
    assert len(names) == 2


@pytest.mark.parametrize(
    ("ask", "kind", "code"),
    [
        (lambda client: client.problem("none/such"), errors.NotFoundError, "not_found"),
        (lambda client: client.stored_forecast(UUID(int=0)), errors.NotFoundError, "not_found"),
        (lambda client: client.forecast("google", "NONE"), errors.InvalidRequestError, "unknown_series"),
        (lambda client: client.explain("prices", "S0"), errors.ConflictError, "not_explained"),
    ],
)
def test_a_refusal_is_an_error_of_its_kind(client, ask, kind, code):
    """With the service's code, sentence and request id."""
    with pytest.raises(kind) as refused:
        ask(client)

    error = refused.value
    assert (type(error), error.code) == (kind, code)
    assert error.message
    assert str(error) == f"{error.message} (request {error.request_id})"


def test_each_mistake_in_a_request_is_named(client):
    """As the service lists them."""
    with pytest.raises(errors.InvalidRequestError) as refused:
        client.forecast("google", "GOOG", horizon=0)

    assert refused.value.details[0]["where"] == "body.horizon"


def test_a_token_is_sent_and_not_shown(make_parts, tokens, store):
    """Neither by repr nor in an error."""
    _, secret = store.create("test", "ada", Role.VIEWER, ["google"])
    tokens.refresh()
    with serve(create_app(make_parts(tokens=tokens))) as url:
        with Client(url, secret) as client:
            problems = client.problems()
        with Client(url) as stranger, pytest.raises(errors.NotSignedInError) as refused:
            stranger.problems()

    assert [each.problem for each in problems] == ["google"]
    assert refused.value.code == "not_signed_in"
    assert secret not in repr(client)


def test_what_the_service_has_no_room_for_is_asked_again_after_the_wait_that_it_names():
    """As often as the client was told."""
    app = Busy(n_refused=2)
    with serve(app) as url, Client(url) as client:
        assert client.problems() == ()

    assert app.n_asked == 3


@pytest.mark.parametrize(
    ("app", "n_asked", "kind"),
    [
        (Busy(n_refused=9), 4, errors.UnavailableError),
        (Busy(n_refused=9, status=429), 4, errors.RateLimitedError),
        (Busy(n_refused=9, wait_s="3600"), 1, errors.UnavailableError),
        (Busy(n_refused=9, status=500), 1, LoopcastClientError),
    ],
)
def test_waits_come_to_an_end(app, n_asked, kind):
    """After some of them, before a long one, and at once where a wait is of no use."""
    with serve(app) as url, Client(url) as client, pytest.raises(kind) as refused:
        client.problems()

    assert (app.n_asked, refused.value.request_id) == (n_asked, "r1")


def test_an_answer_with_more_than_the_client_knows_is_read(google):
    """A newer service may say more."""
    served = {"problem": "google", "series": [{"series_id": "A", "origin_utc": "2013-03-01T05:00:00Z", "new": 1}]}
    with serve(JSONResponse(served)) as url, Client(url) as client:
        [series] = client.series("google")

    assert series.series_id == "A"


@pytest.mark.parametrize("app", [PlainTextResponse("<html>", 502), PlainTextResponse("hello"), JSONResponse({"a": 1})])
def test_what_is_no_loopcast_is_said_to_be_none(app):
    """A proxy, or a service of somebody else's."""
    with serve(app) as url, Client(url) as client, pytest.raises(errors.UnreadableAnswerError):
        client.problems()


def test_a_service_that_is_not_there_is_named_with_the_next_step():
    """Nothing listens."""
    with Client(f"http://127.0.0.1:{find_port()}") as client, pytest.raises(errors.UnreachableError) as refused:
        client.problems()

    assert "check that the service runs there" in str(refused.value)


def test_address_and_token_come_from_the_environment_where_that_is_asked_for(monkeypatch):
    """And from nowhere else; without an address one sentence says what to set."""
    monkeypatch.setenv("LOOPCAST_URL", ADDRESS)
    with Client.from_environment() as client:
        assert client.url == ADDRESS
    monkeypatch.delenv("LOOPCAST_URL")

    with pytest.raises(LoopcastClientError, match="LOOPCAST_URL: found nothing"):
        Client.from_environment()
    with pytest.raises(LoopcastClientError, match="needs the service's"):
        Client("127.0.0.1:3000")


def test_a_query_is_waited_for_and_its_progress_told(client, kept):
    """Until it ends, and each step once."""
    query = client.submit("google", "backtest", series_id="GOOG", since=date(2013, 1, 2))
    told: list[str] = []

    def answer(ratio: float, sentence: str) -> None:
        told.append(sentence)
        found = kept.queries.find(query.query_id, "local")
        if found.state is QueryState.QUEUED:
            kept.queries.begin(found.id, found.job_id)
            kept.queries.move(found.id, found.job_id, 0.5, "Half of the way")
        else:
            kept.queries.end(found.id, found.job_id, QueryState.DONE, result={"n_origins": 41})

    result = client.answer(query.query_id, timeout_s=30, on_progress=answer)

    assert query.request == {"series_id": "GOOG", "since": "2013-01-02", "until": None}
    assert result == {"n_origins": 41}
    assert told == ["Waits for a worker", "Half of the way", "Done"]
    assert [each.query_id for each in client.queries("google")] == [query.query_id]


def test_a_query_without_a_result_is_an_error_that_says_why(client):
    """Too slow, or stopped; the same key asks for the same query, and what was stopped is asked again as a new one."""
    query = client.submit("google", "explanation", series_id="GOOG", idempotency_key="k1")
    with pytest.raises(errors.QueryNotDoneError, match="is queued after 0 s"):
        client.wait(query.query_id, timeout_s=0.01)
    client.cancel(query.query_id)
    with pytest.raises(errors.QueryNotDoneError, match="is cancelled: stopped by its owner"):
        client.answer(query.query_id)
    again = client.retry(query.query_id)

    assert client.submit("google", "explanation", series_id="GOOG", idempotency_key="k1").query_id == query.query_id
    assert (again.retry_of, again.state) == (query.query_id, "queued")


def test_a_file_goes_up_and_comes_down_as_it_is(client, kept, tmp_path):
    """Into a folder under its own name, or to a path; what is refused leaves no file behind."""
    content = b"date,ticker\r\n2013-03-01,GOOG\r\n"
    (tmp_path / "rows.csv").write_bytes(content)
    upload = client.upload(tmp_path / "rows.csv")
    query = client.submit("google", "bulk_forecast", upload_id=upload.upload_id)
    found = kept.queries.begin(query.query_id, kept.queries.find(query.query_id, "local").job_id)
    FileStore(kept.settings.artifacts).put(f"queries/{query.query_id}/forecasts.csv", io.BytesIO(content))
    kept.queries.end(query.query_id, found.job_id, QueryState.DONE, result={}, files=["forecasts.csv"])

    saved = client.download(query.query_id, "forecasts.csv", tmp_path)

    assert (upload.n_bytes, upload.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (saved, saved.read_bytes()) == (tmp_path / "forecasts.csv", content)
    with pytest.raises(errors.NotFoundError):
        client.download(query.query_id, "none.csv", tmp_path)
    assert sorted(each.name for each in tmp_path.glob("*.csv*")) == ["forecasts.csv", "rows.csv"]


def test_a_token_is_made_used_and_revoked(client):
    """Its secret is told once, and not shown by accident."""
    made = client.create_token("dashboards", expires_in_days=1)
    client.revoke_token(made.token.id)

    assert made.secret.startswith("lc_")
    assert made.secret not in repr(made)
    assert [each.is_active for each in client.tokens()] == [False]
    assert [each.act for each in client.audit()] == ["token_revoked", "token_created"]
    assert client.me().is_local


def test_importing_the_client_takes_no_framework_along():
    """It is for programs that have neither models nor servers, and start at once."""
    heavy = {"torch", "mlflow", "fastapi", "pandas", "numpy", "starlette", "pydantic_settings", "psycopg"}
    code = f"import sys; import loopcast.client; print(sorted({heavy!r} & sys.modules.keys()))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_every_answer_of_the_client_has_the_fields_and_kinds_of_the_served_one(parts):
    """So neither side learns a field without the other; what every program relies on stays as it is."""
    schemas = in_process.Client(create_app(parts)).get("/openapi.json").json()["components"]["schemas"]

    for known in find_answers():
        own = known.model_json_schema()
        assert simplify(own, own.get("$defs", {})) == simplify(schemas[known.__name__], schemas), known.__name__


def test_everything_that_is_answered_has_a_class_in_the_client(parts):
    """Each route's answer, but for those who watch the service."""
    description = in_process.Client(create_app(parts)).get("/openapi.json").json()
    served = {
        reference.rpartition("/")[2]
        for path, operations in description["paths"].items()
        for operation in operations.values()
        for status, response in operation["responses"].items()
        if int(status) < 300 and path not in NOT_ASKED
        if (reference := response.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref"))
    }

    assert served <= {each.__name__ for each in find_answers()}


def test_the_client_asks_every_route(kept):
    """Whatever the API can, the client can."""
    app = create_app(kept)
    with serve(app) as url, Client(url) as client:
        for ask in ask_everything(client):
            with suppress(errors.NotFoundError):
                ask()
    asked = re.findall(ASKED, generate_latest(kept.metrics.registry).decode(), flags=re.MULTILINE)
    paths = in_process.Client(app).get("/openapi.json").json()["paths"]

    known = {(method.upper(), path) for path, each in paths.items() if path not in NOT_ASKED for method in each}
    assert known - set(asked) == set()


def ask_everything(client: Client) -> Iterator[Callable[[], object]]:
    """A call of each method that asks."""
    nothing = uuid4()
    yield client.problems
    yield lambda: client.problem("google")
    yield lambda: list(client.series("google"))
    yield lambda: client.history("google", "GOOG", steps=3)
    yield lambda: client.model("google")
    yield lambda: client.forecast("google", "GOOG")
    yield lambda: client.explain("google", "GOOG")
    yield lambda: client.stored_forecast(nothing)
    yield lambda: client.lineage(nothing)
    yield lambda: client.track_record("google", series="GOOG", since=date(2013, 1, 1))
    yield lambda: client.health("google")
    yield lambda: list(client.events("google"))
    yield lambda: client.models("google")
    yield lambda: client.model_version("google", 7)
    yield lambda: client.decisions("google")
    yield lambda: client.submit("google", "explanation", series_id="GOOG")
    yield lambda: list(client.queries())
    yield lambda: client.query(nothing)
    yield lambda: client.cancel(nothing)
    yield lambda: client.retry(nothing)
    yield lambda: client.download(nothing, "forecasts.csv", "none.csv")
    yield lambda: client.upload(__file__)
    yield client.uploads
    yield lambda: client.delete_upload(nothing)
    yield client.me
    yield client.tokens
    yield lambda: client.create_token("test", expires_in_days=1)
    yield lambda: client.revoke_token(nothing)
    yield lambda: list(client.audit())


def find_answers() -> list[type[Answer]]:
    """Every class of an answer."""
    return list(_find_below(Answer))


def _find_below(parent: type[Answer]) -> Iterator[type[Answer]]:
    for child in parent.__subclasses__():
        yield child
        yield from _find_below(child)


def simplify(schema: Any, named: dict[str, Any]) -> Any:
    """What a schema says of the kinds of its values; of an enum that they are words."""
    if isinstance(schema, list):
        return [simplify(each, named) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return simplify(named[schema["$ref"].rpartition("/")[2]], named)
    if "enum" in schema or "const" in schema:
        return {"type": "string"}
    if "properties" in schema:
        properties = {name: simplify(each, named) for name, each in schema["properties"].items()}
        return {"type": "object", "properties": properties, "required": sorted(schema.get("required", []))}
    if isinstance(schema.get("additionalProperties"), dict):
        return {"type": "object", "values": simplify(schema["additionalProperties"], named)}
    return {name: simplify(each, named) for name, each in schema.items() if name in KINDS}
