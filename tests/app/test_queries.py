"""Long queries over HTTP, kept in PostgreSQL: asked, followed, cancelled and asked again by their owner alone."""

import asyncio
import hashlib
import json
import re
import resource
import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest
from httpx import ASGITransport, AsyncClient

from app.api import create_app
from app.asker import LOCAL
from app.parts import ServiceParts
from app.queries import events
from app.queries.routes import NEEDED
from app.queries.shapes import Query as QueryAnswer
from loopcast.queries.kinds import QueryKind
from loopcast.settings import Settings
from loopcast.stores.audit import MemoryAuditLog
from loopcast.stores.database import Database
from loopcast.stores.files import FileStore
from loopcast.stores.query import QueryState
from loopcast.stores.query_store import QueryStore
from loopcast.stores.tokens import Role
from loopcast.stores.uploads import UploadStore
from tests.app.client import API, Client, code_of, signed

QUERIES = f"{API}/queries"
GOOGLE = f"{API}/problems/google/queries"
EXPLAIN = {"kind": "explanation", "request": {"series_id": "GOOG"}}
PROMOTE = {"kind": "promotion", "request": {"version": 3, "reason": "It did better in March"}}
TRAIN = {"kind": "training", "request": {"reason": "New data"}}
CSV = {"Content-Type": "text/csv"}
EMPTY = {"Content-Type": "application/json"}


@pytest.fixture
def desk(make_parts, database: Database, tmp_path) -> ServiceParts:
    """The parts of a service whose queries are kept in PostgreSQL; none of earlier tests are there."""
    with database.connect() as connection:
        connection.execute("TRUNCATE loopcast.queries, loopcast.uploads")
    settings = Settings(home=tmp_path, queries_open_per_owner=3, upload_max_mb=1, uploads_max_mb_per_owner=2)
    return make_parts(
        queries=QueryStore(database),
        uploads=UploadStore(database, FileStore(settings.artifacts)),
        settings=settings,
        audit=MemoryAuditLog(),
    )


@pytest.fixture
def asked(desk) -> Client:
    """Asks that service as whoever sits at the machine."""
    return Client(create_app(desk))


@pytest.fixture
def people(desk, store, tokens) -> Callable[..., Client]:
    """Clients of a service that asks for tokens, by their owner."""
    app = create_app(replace(desk, tokens=tokens))

    def sign(owner: str, role: Role = Role.VIEWER, problems: tuple[str, ...] = ()) -> Client:
        _, secret = store.create("test", owner, role, problems)
        tokens.refresh()
        return signed(app, secret)

    return sign


@pytest.fixture
def max_file_bytes() -> Iterator[Callable[[int], None]]:
    """Bounds how large a file this process may write, as a full disk does."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda n_bytes: resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def submit(client: Client, body=EXPLAIN, **headers: str) -> QueryAnswer:
    """A query that was taken."""
    answer = client.post(GOOGLE, body, headers=headers)
    assert answer.status_code == 202, answer.text
    return QueryAnswer.model_validate(answer.json())


def begin(desk: ServiceParts, query: QueryAnswer, owner: str = LOCAL.id) -> int:
    """Take a query on as a worker does; the id of its job."""
    job_id = desk.queries.find(query.query_id, owner).job_id
    assert desk.queries.begin(query.query_id, job_id)
    return job_id


def finish(desk: ServiceParts, query: QueryAnswer, state: QueryState, owner: str = LOCAL.id, **how) -> None:
    """End a query as a worker does."""
    desk.queries.end(query.query_id, begin(desk, query, owner), state, **how)


def listen(client: Client, path: str, last_event_id: str | None = None) -> tuple[int, list[dict]]:
    """Status, and what a listener is sent until the stream ends."""
    answer = client.get(path, headers={} if last_event_id is None else {"Last-Event-ID": last_event_id})
    blocks = [dict(line.split(": ", 1) for line in block.split("\n")) for block in answer.text.split("\n\n") if block]
    return answer.status_code, [block for block in blocks if "event" in block]


def test_a_query_that_was_sent_waits_for_a_worker(asked):
    """And is found as it was answered, in the list too."""
    query = submit(asked)

    assert query.state is QueryState.QUEUED
    assert (query.problem, query.kind, query.request) == ("google", "explanation", {"series_id": "GOOG"})
    assert QueryAnswer.model_validate(asked.get(f"{QUERIES}/{query.query_id}").json()) == query
    page = asked.get(QUERIES).json()
    assert page == {
        "queries": [query.model_dump(mode="json", exclude={"result"})],
        "next_after": None,
        "n_workers": 0,
    }


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "weather", "request": {}},
        {"kind": "explanation", "request": {}},
        {"kind": "explanation", "request": {"series_id": "GOOG", "more": 1}},
        {"kind": "explanation"},
        {"kind": "rollback", "request": {"reason": ""}},
        {},
    ],
)
def test_a_query_that_is_none_is_refused_when_it_is_sent(asked, body):
    """422, and nothing waits."""
    assert code_of(asked.post(GOOGLE, body)) == (422, "invalid_request")
    assert asked.get(QUERIES).json()["queries"] == []


@pytest.mark.parametrize(
    ("body", "where", "message"),
    [
        ({"kind": "nope", "request": {}}, "body.kind", "found 'nope', needs one of explanation, backtest, "),
        ({"request": {}}, "body.kind", "Field required"),
        ({"kind": "backtest"}, "body.request", "Field required"),
        ({"kind": "backtest", "request": {"series_id": 7}}, "body.request.series_id", "Input should be a valid string"),
        ({"kind": "training", "request": {"reason": "a", "x": 1}}, "body.request.x", "Extra inputs"),
    ],
    ids=["kind", "no kind", "no request", "value", "key"],
)
def test_a_mistake_in_a_query_is_found_where_it_was_sent(asked, body, where, message):
    """A program that shows it beside the field needs the way to it, without the names of our shapes."""
    [mistake] = asked.post(GOOGLE, body).json()["error"]["details"]

    assert mistake["where"] == where
    assert mistake["message"].startswith(message)


def test_a_query_about_a_problem_that_is_not_served_is_refused(asked):
    """As every route does."""
    assert code_of(asked.post(f"{API}/problems/weather/queries", EXPLAIN)) == (404, "not_found")


def test_the_same_key_leads_to_the_same_query(asked, desk):
    """As it is by then; another query with this key is refused."""
    first = submit(asked, **{"Idempotency-Key": "k-1"})
    begin(desk, first)

    again = submit(asked, **{"Idempotency-Key": "k-1"})

    assert (again.query_id, again.state) == (first.query_id, QueryState.RUNNING)
    other = {"kind": "explanation", "request": {"series_id": "S0"}}
    assert code_of(asked.post(GOOGLE, other, headers={"Idempotency-Key": "k-1"})) == (409, "conflict")
    assert len(asked.get(QUERIES).json()["queries"]) == 1
    assert [entry.act for entry in desk.audit.read(10)] == ["query_submitted"]


def test_keys_of_different_owners_do_not_meet(people):
    """Nobody learns by a key what another one asks."""
    ada, otto = people("ada"), people("otto")

    mine, theirs = (submit(each, **{"Idempotency-Key": "k-1"}) for each in (ada, otto))

    assert mine.query_id != theirs.query_id


@pytest.mark.parametrize("key", ["", "two words", "é", "x" * 101])
def test_a_key_that_is_none_is_refused(asked, key):
    """It goes into the database."""
    assert code_of(asked.post(GOOGLE, EXPLAIN, headers={"Idempotency-Key": key.encode()})) == (422, "invalid_request")


def test_one_key_sent_many_times_at_once_makes_one_query(desk):
    """However the requests meet."""
    app = create_app(desk)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: submit(Client(app), **{"Idempotency-Key": "race"}), range(16)))

    assert len({each.query_id for each in made}) == 1


def test_one_owner_cannot_fill_the_queue(people):
    """Beyond the limit 429, whoever comes at once; others are not held up."""
    ada, otto = people("ada"), people("otto")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ada.post(GOOGLE, EXPLAIN), range(8)))

    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [429] * 5
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert code_of(refused) == (429, "too_many")
    assert refused.headers["retry-after"] == "30"
    submit(otto)


def test_a_waiting_query_is_cancelled_at_once(asked, desk):
    """No worker begins with it; and a second time there is nothing to cancel."""
    query = submit(asked)

    answer = asked.post(f"{QUERIES}/{query.query_id}/cancellation", headers=EMPTY)

    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["reason"]) == ("cancelled", "stopped by its owner")
    assert desk.queries.begin(query.query_id, desk.queries.find(query.query_id, LOCAL.id).job_id) is None
    assert code_of(asked.post(f"{QUERIES}/{query.query_id}/cancellation", headers=EMPTY)) == (409, "conflict")


def test_a_running_query_is_asked_to_stop(asked, desk):
    """Its worker learns of it at its next word."""
    query = submit(asked)
    job_id = begin(desk, query)

    answer = asked.post(f"{QUERIES}/{query.query_id}/cancellation", headers=EMPTY)

    assert (answer.json()["state"], answer.json()["is_cancel_asked"]) == ("running", True)
    assert desk.queries.move(query.query_id, job_id, 0.5, "Half").is_cancel_asked


def test_a_failed_query_is_asked_again_as_a_new_one(asked, desk):
    """Once for each key; the old one stays."""
    query = submit(asked)
    finish(desk, query, QueryState.FAILED, reason="GOOG: 24 rows, needs 126")

    made = [
        asked.post(f"{QUERIES}/{query.query_id}/retry", headers=EMPTY | {"Idempotency-Key": "again"}) for _ in range(2)
    ]

    assert [each.status_code for each in made] == [202, 202]
    assert made[0].json()["query_id"] == made[1].json()["query_id"] != str(query.query_id)
    assert (made[0].json()["retry_of"], made[0].json()["state"]) == (str(query.query_id), "queued")
    assert asked.get(f"{QUERIES}/{query.query_id}").json()["reason"] == "GOOG: 24 rows, needs 126"


@pytest.mark.parametrize("state", [QueryState.QUEUED, QueryState.RUNNING, QueryState.DONE])
def test_what_is_open_or_done_is_not_asked_again(asked, desk, state):
    """409."""
    query = submit(asked)
    if state is QueryState.RUNNING:
        begin(desk, query)
    elif state is QueryState.DONE:
        finish(desk, query, state, result={})

    assert code_of(asked.post(f"{QUERIES}/{query.query_id}/retry", headers=EMPTY)) == (409, "conflict")


def test_pages_of_queries_follow_each_other(asked, desk):
    """The latest first, of one problem where asked for."""
    made = []
    for problem in ("google", "prices", "google"):
        answer = asked.post(f"{API}/problems/{problem}/queries", EXPLAIN)
        made.append(answer.json()["query_id"])

    first = asked.get(QUERIES, params={"limit": 2}).json()
    rest = asked.get(QUERIES, params={"limit": 2, "after": first["next_after"]}).json()
    google = asked.get(QUERIES, params={"problem": "google"}).json()

    assert [each["query_id"] for each in first["queries"] + rest["queries"]] == made[::-1]
    assert rest["next_after"] is None
    assert [each["query_id"] for each in google["queries"]] == [made[2], made[0]]


def test_a_result_and_its_files_are_read_by_their_owner(asked, desk):
    """A file comes as it was written, under its name."""
    query = submit(asked)
    FileStore(desk.settings.artifacts).put(f"queries/{query.query_id}/rows.csv", BytesIO(b"a,b\n1,2\n"))
    finish(desk, query, QueryState.DONE, result={"n": 1}, files=["rows.csv"])

    found = asked.get(f"{QUERIES}/{query.query_id}").json()
    file = asked.get(f"{QUERIES}/{query.query_id}/files/rows.csv")

    assert (found["state"], found["result"], found["files"]) == ("done", {"n": 1}, ["rows.csv"])
    assert (file.content, file.headers["content-type"]) == (b"a,b\n1,2\n", "text/csv; charset=utf-8")
    assert file.headers["content-disposition"] == 'attachment; filename="rows.csv"'
    assert code_of(asked.get(f"{QUERIES}/{query.query_id}/files/other.csv")) == (404, "not_found")
    assert code_of(asked.get(f"{QUERIES}/{query.query_id}/files/..%2F..%2Fsecret")) == (404, "not_found")


def routes_of(query_id, upload_id) -> list[tuple[str, str, dict]]:
    """Every way to one query or upload: method, path, options."""
    return [
        ("GET", f"{QUERIES}/{query_id}", {}),
        ("GET", f"{QUERIES}/{query_id}/events", {}),
        ("GET", f"{QUERIES}/{query_id}/files/rows.csv", {}),
        ("POST", f"{QUERIES}/{query_id}/cancellation", {"headers": EMPTY}),
        ("POST", f"{QUERIES}/{query_id}/retry", {"headers": EMPTY}),
        ("DELETE", f"{API}/uploads/{upload_id}", {}),
    ]


def test_nobody_else_reaches_a_query_or_an_upload_by_any_route(people, desk):
    """Not even an admin; what they are told is what is told of one that there never was."""
    ada = people("ada")
    query, unknown = submit(ada), uuid4()
    upload_id = ada.ask("POST", f"{API}/uploads", content=b"a,b\n", headers=CSV).json()["upload_id"]
    finish(desk, query, QueryState.FAILED, owner="ada", reason="secret", files=["rows.csv"])

    for other in (people("otto"), people("eve", Role.ADMIN)):
        for mine, none in zip(routes_of(query.query_id, upload_id), routes_of(unknown, unknown), strict=True):
            answers = [other.ask(method, path, **options) for method, path, options in (mine, none)]
            assert [code_of(answer) for answer in answers] == [(404, "not_found")] * 2, mine
            assert len({answer.json()["error"]["message"] for answer in answers}) == 1
        assert other.get(QUERIES).json()["queries"] == []
        assert other.get(QUERIES, params={"after": str(query.query_id)}).json()["queries"] == []
        assert other.get(f"{API}/uploads").json()["uploads"] == []
    assert ada.get(f"{QUERIES}/{query.query_id}").json()["reason"] == "secret"


def test_every_route_about_one_query_is_in_that_test(asked):
    """A new one that is not would not be tried."""
    paths = asked.get("/openapi.json").json()["paths"]
    ours = {
        (method.upper(), path)
        for path, operations in paths.items()
        for method in operations
        if "{query_id}" in path or "{upload_id}" in path
    }

    assert ours == {
        (method, path.replace("/files/rows.csv", "/files/{name}"))
        for method, path, _ in routes_of("{query_id}", "{upload_id}")
    }


def test_a_token_for_other_problems_does_not_see_the_owners_query(people):
    """Who may not use a problem does not learn what was asked about it."""
    whole, part = people("ada"), people("ada", problems=("prices",))
    query = submit(whole)

    assert code_of(part.get(f"{QUERIES}/{query.query_id}")) == (404, "not_found")
    assert part.get(QUERIES).json()["queries"] == []
    assert code_of(part.get(QUERIES, params={"problem": "google"})) == (404, "not_found")
    assert code_of(part.post(GOOGLE, EXPLAIN)) == (404, "not_found")


@pytest.mark.parametrize("kind", list(QueryKind))
def test_what_changes_the_service_needs_an_operator(people, kind):
    """Of the kinds that do, each is refused to a viewer; the refusal is in the audit."""
    requests = {
        QueryKind.BULK_FORECAST: {"upload_id": str(uuid4())},
        QueryKind.PROMOTION: {"version": 3, "reason": "why"},
        QueryKind.ROLLBACK: {"reason": "why"},
        QueryKind.TRAINING: {"reason": "why"},
        QueryKind.WHAT_IF: {
            "series_id": "GOOG",
            "changes": [{"column": "volume", "operation": "multiply", "value": 2.0, "last_n_steps": 1}],
        },
    }
    body = {"kind": kind, "request": requests.get(kind, {"series_id": "GOOG"})}

    statuses = [people("ada", role).post(GOOGLE, body).status_code for role in (Role.VIEWER, Role.OPERATOR)]

    assert statuses == ([403, 202] if NEEDED.get(kind) is Role.OPERATOR else [202, 202])


def test_a_viewers_token_neither_stops_nor_repeats_what_an_operator_asked(people, desk):
    """Though both belong to one person."""
    operator, viewer = people("ada", Role.OPERATOR), people("ada")
    query = submit(operator, PROMOTE)

    assert code_of(viewer.post(f"{QUERIES}/{query.query_id}/cancellation", headers=EMPTY)) == (403, "forbidden")
    finish(desk, query, QueryState.FAILED, owner="ada", reason="why")
    assert code_of(viewer.post(f"{QUERIES}/{query.query_id}/retry", headers=EMPTY)) == (403, "forbidden")
    assert operator.post(f"{QUERIES}/{query.query_id}/retry", headers=EMPTY).status_code == 202


def test_the_audit_tells_who_asked_what(people, desk):
    """With the reason that was given."""
    ada = people("ada", Role.OPERATOR)
    query = submit(ada, PROMOTE)
    ada.post(f"{QUERIES}/{query.query_id}/cancellation", headers=EMPTY)
    retry = ada.post(f"{QUERIES}/{query.query_id}/retry", headers=EMPTY).json()

    found = [(entry.act, entry.actor_id, entry.subject, entry.problem, entry.details) for entry in desk.audit.read(10)]
    details = {"kind": "promotion", "reason": "It did better in March", "version": "3"}
    assert found == [
        ("promotion", "ada", retry["query_id"], "google", {**details, "retry_of": str(query.query_id)}),
        ("query_cancelled", "ada", str(query.query_id), "google", details),
        ("promotion", "ada", str(query.query_id), "google", details),
    ]


def test_asking_what_changes_nothing_is_audited_as_a_query(people, desk):
    """Only what puts something into service, or trains it, has a name of its own."""
    ada = people("ada", Role.OPERATOR)

    submit(ada)
    submit(ada, {"kind": "rollback", "request": {"reason": "off"}})
    submit(ada, TRAIN)

    assert [entry.act for entry in desk.audit.read(10)] == ["training", "rollback", "query_submitted"]


def test_a_problem_is_trained_once_at_a_time(people):
    """Whoever asks for a second training is told who asked for the first; its end makes room."""
    ada, bob = people("ada", Role.OPERATOR), people("bob", Role.OPERATOR)
    first = submit(ada, TRAIN)

    refused = bob.post(GOOGLE, TRAIN)
    other = bob.post(f"{API}/problems/prices/queries", TRAIN)
    ada.post(f"{QUERIES}/{first.query_id}/cancellation", headers=EMPTY)
    second = submit(bob, TRAIN)

    assert code_of(refused) == (409, "conflict")
    assert refused.json()["error"]["message"].startswith("google is being trained already: test asked for it at ")
    assert (other.status_code, second.state) == (202, "queued")
    assert code_of(ada.post(f"{QUERIES}/{first.query_id}/retry", headers=EMPTY)) == (409, "conflict")


def test_a_listener_is_told_each_change_until_the_end(desk):
    """Once each, with the whole query; one that asks again with the last id is told what came since."""
    app = create_app(desk)
    client = Client(app)
    query = submit(client)
    path = f"{QUERIES}/{query.query_id}/events"

    async def follow():
        async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as session:
            listening = asyncio.create_task(session.get(path))
            await asyncio.sleep(0.2)
            job_id = await asyncio.to_thread(begin, desk, query)
            await asyncio.sleep(1)
            await asyncio.to_thread(desk.queries.move, query.query_id, job_id, 0.5, "Half")
            await asyncio.sleep(1)
            await asyncio.to_thread(
                desk.queries.end, query.query_id, job_id, QueryState.DONE, result={"line": "one\ntwo"}
            )
            return await listening

    answer = asyncio.run(follow())

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("retry: 500\n\n")
    blocks = [dict(line.split(": ", 1) for line in b.split("\n")) for b in answer.text.split("\n\n") if "event" in b]
    told = [QueryAnswer.model_validate_json(block["data"]) for block in blocks]
    assert [(each.state, each.progress) for each in told] == [
        ("queued", "Waits for a worker"),
        ("running", "Begins"),
        ("running", "Half"),
        ("done", "Done"),
    ]
    assert told[-1].result == {"line": "one\ntwo"}
    assert [block["event"] for block in blocks] == ["query"] * 4
    status, missed = listen(client, path, blocks[1]["id"])
    assert (status, [json.loads(block["data"])["state"] for block in missed]) == (200, ["done"])
    assert listen(client, path, blocks[-1]["id"]) == (204, [])


def test_a_listener_that_reads_slowly_is_told_the_end(asked, desk):
    """Also of a query that ended while it still read the word before."""
    sent = submit(asked)
    query = desk.queries.find(sent.query_id, LOCAL.id)
    watch = events.QueryWatch(desk.queries)

    async def follow():
        told = watch.follow(query)
        job_id = await asyncio.to_thread(begin, desk, sent)
        first = await anext(told)
        await asyncio.to_thread(desk.queries.end, query.id, job_id, QueryState.DONE)
        await asyncio.sleep(3 * events.LOOK_EVERY_S)
        return [first.state, *[each.state async for each in told]]

    assert asyncio.run(follow()) == ["running", "done"]


def test_a_stream_ends_by_itself(asked, monkeypatch):
    """So that one who may listen no more is not told for long, and a service that stops need not wait."""
    monkeypatch.setattr(events, "STREAM_S", 0.3)
    query = submit(asked)

    status, told = listen(asked, f"{QUERIES}/{query.query_id}/events")

    assert (status, len(told)) == (200, 1)


def test_one_owner_listens_to_so_many_queries_at_once(desk, monkeypatch):
    """Further listeners are told when to come again, and the others' ends make room."""
    monkeypatch.setattr(events, "STREAM_S", 1.0)
    monkeypatch.setattr(events, "MAX_LISTENING", 2)
    app = create_app(desk)
    path = f"{QUERIES}/{submit(Client(app)).query_id}/events"

    async def listen_often():
        async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as session:
            both = [asyncio.create_task(session.get(path)) for _ in range(2)]
            await asyncio.sleep(0.3)
            third = await session.get(path)
            return [third, *await asyncio.gather(*both), await session.get(path)]

    answers = asyncio.run(listen_often())

    assert [answer.status_code for answer in answers] == [429, 200, 200, 200]


def test_an_upload_is_kept_as_it_came(asked, desk):
    """In pieces of any size, to the last byte."""
    content = b"series_id,timestamp,target\n" + b"GOOG,2024-01-02,1.5\n" * 20_000

    async def pieces():
        for start in range(0, len(content), 7_001):
            yield content[start : start + 7_001]

    answer = asked.ask("POST", f"{API}/uploads", content=pieces(), headers=CSV)

    kept = answer.json()
    assert answer.status_code == 201
    assert (kept["n_bytes"], kept["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    upload = desk.uploads.find(kept["upload_id"], LOCAL.id)
    with desk.uploads.open(upload) as file:
        assert file.read() == content
    assert asked.get(f"{API}/uploads").json() == {"uploads": [kept]}


@pytest.mark.parametrize(
    ("headers", "content", "code"),
    [
        ({"Content-Type": "application/json"}, b"{}", (415, "wrong_content_type")),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--", (415, "wrong_content_type")),
        (CSV | {"Content-Encoding": "gzip"}, b"\x1f\x8b", (415, "wrong_content_type")),
        (CSV, b"", (422, "invalid_request")),
        (CSV | {"Content-Length": "1000001"}, b"a", (413, "body_too_large")),
    ],
    ids=["JSON", "form", "gzip", "empty", "too large by its head"],
)
def test_what_is_no_plain_csv_is_refused(asked, headers, content, code):
    """With a sentence; nothing is kept of it."""
    assert code_of(asked.ask("POST", f"{API}/uploads", content=content, headers=headers)) == code
    assert asked.get(f"{API}/uploads").json() == {"uploads": []}


def test_an_upload_that_does_not_end_is_cut_off(asked, desk):
    """Some way behind the limit, and the connection with it; nothing is left on disk."""
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 2**16
            yield b"x" * 2**16

    answer = asked.ask("POST", f"{API}/uploads", content=endless(), headers=CSV)

    assert code_of(answer) == (413, "body_too_large")
    assert answer.headers["connection"] == "close"
    assert sent <= 2 * 10**6 + 2**17
    assert list((desk.settings.home_path / "uploads").iterdir()) == []


def test_an_upload_that_finds_no_folder_is_told_like_a_store_that_is_away(asked, desk):
    """Whoever runs the service reads why in its log."""
    (desk.settings.home_path / "uploads").write_text("in the way")

    answer = asked.ask("POST", f"{API}/uploads", content=b"a\n1\n", headers=CSV)

    assert code_of(answer) == (503, "unavailable")


def test_an_upload_for_which_the_disk_is_too_small_is_told_like_a_store_that_is_away(asked, desk, max_file_bytes):
    """Wherever in the file it ends, also where what is left to write is written when the file is closed."""
    for n_bytes in (200_000, 1_000_000):
        max_file_bytes(100_000)
        answer = asked.ask("POST", f"{API}/uploads", content=b"x" * n_bytes, headers=CSV)
        max_file_bytes(resource.RLIM_INFINITY)

        assert code_of(answer) == (503, "unavailable")
    assert asked.get(f"{API}/uploads").json() == {"uploads": []}
    assert not [path for path in Path(desk.settings.artifacts).rglob("*") if path.is_file()]


def test_an_upload_whose_sender_hangs_up_is_not_kept(desk, caplog):
    """Neither file nor row, and no error of ours."""
    app = create_app(desk)
    scope = {
        "type": "http", "method": "POST", "path": f"{API}/uploads", "raw_path": b"", "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"text/csv")], "http_version": "1.1", "scheme": "http",
        "client": None, "server": ("localhost", 80), "root_path": "",
    }  # fmt: skip
    messages = iter([{"type": "http.request", "body": b"a,b\n", "more_body": True}, {"type": "http.disconnect"}])

    async def receive():
        return next(messages)

    async def send(_message):
        return None

    asyncio.run(app(scope, receive, send))

    assert desk.uploads.list_own(LOCAL.id) == []
    assert "not expected" not in caplog.text


def test_one_owner_keeps_so_many_bytes(asked):
    """Until an upload is deleted."""
    content = b"x" * 900_000
    first, _ = (asked.ask("POST", f"{API}/uploads", content=content, headers=CSV) for _ in range(2))

    refused = asked.ask("POST", f"{API}/uploads", content=content, headers=CSV)
    deleted = asked.ask("DELETE", f"{API}/uploads/{first.json()['upload_id']}")
    taken = asked.ask("POST", f"{API}/uploads", content=content, headers=CSV)

    assert code_of(refused) == (429, "too_many")
    assert (deleted.status_code, taken.status_code) == (204, 201)


def test_uploads_that_meet_do_not_pass_the_limit_together(desk):
    """What is too much is not left in the store either."""
    app = create_app(desk)
    kept = desk.uploads
    content = b"x" * 900_000
    with ThreadPoolExecutor(2) as pool:
        ask = lambda _: Client(app).ask("POST", f"{API}/uploads", content=content, headers=CSV)  # noqa: E731
        for _ in range(3):
            list(pool.map(ask, range(2)))

    assert len(kept.list_own(LOCAL.id)) == 2
    assert len(list((desk.settings.home_path / "artifacts" / "uploads").iterdir())) == 2


def test_every_query_and_state_of_the_page_is_true(asked):
    """Each curl of docs/queries.md that asks something, and each line of its diagram."""
    page = (Path(__file__).parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")
    posts = [shlex.split(block) for block in re.findall(r"```sh\n(curl [^`]*? -d [^`]*?)```", page)]
    drawn = set(re.findall(r"^    (\w+) --> (\w+): ", page, flags=re.MULTILINE))

    for words in posts:
        path, body = words[2].removeprefix("localhost:3000"), words[words.index("-d") + 1]
        assert asked.post(path, json.loads(body)).status_code == 202, words

    assert len(posts) == 2
    assert {state for way in drawn for state in way} == set(QueryState)
    assert {source for source, _ in drawn} == {state for state in QueryState if state.is_open}


def test_the_metrics_tell_how_the_queue_is(asked):
    """By state; a state's name is a bounded label."""
    submit(asked)

    lines = asked.get("/metrics").text.splitlines()

    assert 'loopcast_queries{state="queued"} 1.0' in lines
    assert "loopcast_query_workers 0.0" in lines
    assert any(line.startswith("loopcast_queries_oldest_waiting_seconds 0.") for line in lines)


def test_while_the_database_is_away_the_answer_is_503(make_parts, tmp_path):
    """With when to ask again, on every route."""
    away = Database("postgresql://127.0.0.1:1/none")
    parts = make_parts(
        queries=QueryStore(away), uploads=UploadStore(away, FileStore(str(tmp_path))), settings=Settings(home=tmp_path)
    )
    client = Client(create_app(parts))
    paths = [("POST", GOOGLE, {"json": EXPLAIN}), ("GET", QUERIES, {}), ("GET", f"{API}/uploads", {})]

    for method, path, options in [*paths, *routes_of(uuid4(), uuid4())]:
        answer = client.ask(method, path, **options)
        assert code_of(answer) == (503, "unavailable"), path
        assert answer.headers["retry-after"] == "5"
    metrics = client.get("/metrics").text
    assert "loopcast_journal_bytes" in metrics
    assert "loopcast_queries{" not in metrics


def test_a_query_tells_when_it_was_sent(asked):
    """In UTC, as the database has it."""
    before_utc = datetime.now(UTC)

    query = submit(asked)

    assert before_utc <= query.submitted_at_utc <= datetime.now(UTC)
