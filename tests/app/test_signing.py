"""Who may ask: tokens, for which problems, how often; and without tokens, from where."""

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from app.api import create_app
from app.tokens import ActiveTokens
from loopcast.errors import StoreError
from loopcast.settings import Settings
from loopcast.stores.tokens import MemoryTokenStore, Role
from tests.app.client import API, Client, code_of, signed

PROBLEMS = f"{API}/problems"


@pytest.fixture
def app(make_parts, tokens):
    """An app that asks for tokens."""
    return create_app(make_parts(tokens=tokens))


@pytest.fixture
def create(store, tokens):
    """Makes a token that is active at once, and returns it with its secret."""

    def create(name="dashboards", role=Role.VIEWER, problems=(), expires_at_utc=None):
        made = store.create(name, "anna", role, problems, expires_at_utc)
        tokens.refresh()
        return made

    return create


@dataclass(frozen=True)
class Interrupted(MemoryTokenStore):
    """A store that can be away."""

    is_away: list[bool] = field(default_factory=list)

    def active(self):
        """See `Tokens`."""
        if self.is_away:
            raise StoreError("the database at localhost:5432/ does not answer")
        return super().active()


def wait_for(client, status):
    """Ask again until the answer has a status; the answer."""
    for _ in range(200):
        answer = client.get(PROBLEMS)
        if answer.status_code == status:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"still {answer.status_code}, not {status}")


@pytest.mark.parametrize("role", list(Role))
def test_an_active_token_opens_the_api(app, create, role):
    """Whoever has one may read and forecast, in any role."""
    _, secret = create(role=role)

    answer = signed(app, secret).post(f"{PROBLEMS}/google/forecasts", {"series": [{"series_id": "GOOG"}]})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer lc_wrong", "Basic lc_wrong", "lc_wrong", "Bearer lc_\u00e4".encode()],
)
def test_without_an_active_token_nothing_is_told(app, header):
    """401 on every path of the API, those that do not exist too, and how to sign in."""
    client = Client(app, {} if header is None else {"Authorization": header})

    for path in (PROBLEMS, f"{PROBLEMS}/google", f"{API}/nothing", "/docs"):
        answer = client.get(path)
        assert code_of(answer) == (401, "not_signed_in")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_the_secret_is_taken_with_its_scheme_in_any_case(app, create):
    """`bearer` is the same scheme as `Bearer`."""
    _, secret = create()

    assert Client(app, {"Authorization": f"bearer {secret}"}).get(PROBLEMS).status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/openapi.json"])
def test_those_who_watch_need_no_token(app, path):
    """Probes, metrics and the description are open."""
    assert Client(app).get(path).status_code == 200


def test_a_revoked_token_is_refused_soon(app, create, store):
    """The table is read again and again, without a request's help."""
    token, secret = create()
    client = signed(app, secret)
    assert client.get(PROBLEMS).status_code == 200

    store.revoke(token.id)

    assert code_of(wait_for(client, 401)) == (401, "not_signed_in")


def test_a_new_token_is_taken_soon(app, store):
    """It needs no restart."""
    _, secret = store.create("late", "anna", Role.VIEWER, (), None)

    assert wait_for(signed(app, secret), 200).status_code == 200


def test_a_token_expires_while_it_is_in_memory(app, create):
    """At the second, and not when the table is next read."""
    _, secret = create(expires_at_utc=datetime.now(UTC) + timedelta(seconds=0.2))
    client = signed(app, secret)
    assert client.get(PROBLEMS).status_code == 200

    time.sleep(0.2)

    assert code_of(client.get(PROBLEMS)) == (401, "not_signed_in")


def test_a_token_for_one_problem_knows_of_no_other(app, create):
    """Another problem is answered as one that does not exist, word for word."""
    _, secret = create(problems=("prices",))
    client = signed(app, secret)

    others = client.get(f"{PROBLEMS}/google").json()["error"]
    nobodys = client.get(f"{PROBLEMS}/nothing").json()["error"]

    assert [each["problem"] for each in client.get(PROBLEMS).json()["problems"]] == ["prices"]
    assert others | {"request_id": ""} == nobodys | {"request_id": ""}
    assert others["code"] == "not_found"
    for path, body in (
        ("forecasts", {"series": [{"series_id": "GOOG"}]}),
        ("explanations", {"series": {"series_id": "GOOG"}}),
    ):
        assert code_of(client.post(f"{PROBLEMS}/google/{path}", body)) == (404, "not_found")


def test_tokens_stay_while_their_store_is_away(make_parts, caplog):
    """What was read last counts on, so that forecasts are answered without the database; the log says so."""
    store = Interrupted()
    _, secret = store.create("dashboards", "anna", Role.VIEWER, ())
    tokens = ActiveTokens(store)
    tokens.refresh()
    store.is_away.append(True)
    tokens.refresh()

    answer = signed(create_app(make_parts(tokens=tokens)), secret).get(PROBLEMS)

    assert answer.status_code == 200
    assert "tokens stay as they were read" in caplog.text


def read_later(store, path):
    """The tokens of a service that starts now."""
    tokens = ActiveTokens(store, path=path)
    tokens.refresh()
    return tokens


def test_a_damaged_memory_of_tokens_keeps_no_service_from_starting(tmp_path, store):
    """It is written anew from the store."""
    path = tmp_path / "tokens.json"
    _, secret = store.create("dashboards", "anna", Role.VIEWER, ())
    path.write_bytes(b"\xff\xfe")

    assert read_later(store, path).find(secret.encode())
    assert read_later(Interrupted(is_away=[True]), path).find(secret.encode())


def test_a_service_starts_with_the_tokens_that_it_read_last(tmp_path, store):
    """While the database is away; what was revoked before stays so, and only its owner may read the file."""
    path = tmp_path / "home" / "tokens.json"
    _, secret = store.create("dashboards", "anna", Role.VIEWER, ("prices",))
    old, old_secret = store.create("old", "anna", Role.VIEWER, ())
    read_later(store, path)
    store.revoke(old.id)
    read_later(store, path)
    away = Interrupted(is_away=[True])

    tokens = read_later(away, path)

    assert tokens.find(secret.encode()) == store.list_all()[0]
    assert tokens.find(old_secret.encode()) is None
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret not in path.read_text()
    assert [each.name for each in path.parent.iterdir()] == ["tokens.json"]


@pytest.mark.parametrize("content", [None, "", "{", "[]", "[1]", '[{"secret_sha256": "x"}]'])
def test_what_is_no_memory_opens_nothing(tmp_path, content):
    """A file that somebody wrote, or that was cut off."""
    path = tmp_path / "tokens.json"
    if content is not None:
        path.write_text(content)

    tokens = read_later(Interrupted(is_away=[True]), path)

    assert tokens.find(b"lc_anything") is None


def test_what_was_read_long_ago_opens_nothing(tmp_path, store):
    """After a day a token may have been revoked that nobody here knows of."""
    path = tmp_path / "tokens.json"
    _, secret = store.create("dashboards", "anna", Role.VIEWER, ())
    read_later(store, path)
    a_day_ago = time.time() - 86_401
    os.utime(path, (a_day_ago, a_day_ago))

    tokens = read_later(Interrupted(is_away=[True]), path)

    assert tokens.find(secret.encode()) is None


def test_who_asks_too_often_waits(make_parts, create, tokens):
    """After twice the rate at once comes 429 with the seconds to wait; another token goes on."""
    parts = make_parts(tokens=tokens, settings=Settings(token_requests_per_s=0.5))
    app = create_app(parts)
    (_, eager), (_, calm) = create("eager"), create("calm")

    first, second = signed(app, eager).get(PROBLEMS), signed(app, eager).get(PROBLEMS)

    assert first.status_code == 200
    assert code_of(second) == (429, "rate_limited")
    assert second.headers["retry-after"] == "2"
    assert signed(app, calm).get(PROBLEMS).status_code == 200
    assert "loopcast_rate_limited_total 1.0" in Client(app).get("/metrics").text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:3000", 200), ("127.0.0.1", 200), ("[::1]:3000", 200), ("LOCALHOST", 200),
        ("evil.example.org", 403), ("127.0.0.1.evil.example.org", 403), ("localhost.evil.example.org:80", 403),
        ("", 403),
    ],
)  # fmt: skip
def test_without_tokens_only_loopback_is_answered(client, host, status):
    """A page whose name was made to point here cannot ask in the name of who looks at it."""
    answer = client.get(PROBLEMS, headers={"Host": host})

    assert answer.status_code == status
