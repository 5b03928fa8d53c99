"""People give their programs tokens, and nobody gives away more than they have."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app.api import create_app
from app.parts import ServiceParts
from app.signin.sessions import ActiveSessions
from loopcast.errors import StoreError
from loopcast.stores.audit import Act, MemoryAuditLog
from loopcast.stores.sessions import MemorySessionStore, digest_secret, make_session
from loopcast.stores.tokens import Role
from tests.app.client import API, Client, code_of, signed

TOKENS, AUDIT, ME = f"{API}/tokens", f"{API}/audit", f"{API}/me"
LASTS = timedelta(hours=1)


@pytest.fixture
def sessions():
    """Where sessions are kept."""
    return MemorySessionStore(LASTS)


@pytest.fixture
def parts(make_parts, make_people, tokens, store, sessions) -> ServiceParts:
    """The parts of a service at which people sign in."""
    return make_parts(tokens=tokens, token_store=store, people=make_people(sessions))


@pytest.fixture
def app(parts):
    """That service."""
    return create_app(parts)


@pytest.fixture
def person(app, sessions):
    """Makes a client of somebody who is signed in."""

    def make(name="ada", role=Role.VIEWER, problems=()):
        session, secret = make_session(f"https://id#{name}", name.title(), role, problems, LASTS)
        sessions.begin(session, uuid4().hex)
        return Client(app, {"Cookie": f"loopcast={secret}"})

    return make


def create(client, **body):
    """A new token, as it is answered."""
    answer = client.post(TOKENS, {"name": "dashboards"} | body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_token_acts_for_who_made_it(person, app):
    """It opens the service at once, as what it was made for; its secret is shown this once."""
    ada = person(role=Role.OPERATOR)

    made = create(ada, role="viewer", problems=["prices"], expires_in_days=90)

    me = signed(app, made["secret"]).get(ME).json()
    assert me == {
        "id": "https://id#ada", "name": "dashboards", "role": "viewer", "problems": ["prices"],
        "is_local": False, "is_program": True,
    }  # fmt: skip
    expires_at_utc = datetime.fromisoformat(made["token"]["expires_at_utc"])
    assert timedelta(days=89) < expires_at_utc - datetime.now(UTC) <= timedelta(days=90)
    listed = ada.get(TOKENS)
    assert listed.json()["tokens"] == [made["token"]]
    assert made["secret"] not in listed.text


@pytest.mark.parametrize(
    ("role", "asked", "status"),
    [
        (Role.VIEWER, "viewer", 201), (Role.VIEWER, "operator", 403), (Role.VIEWER, "admin", 403),
        (Role.OPERATOR, "operator", 201), (Role.OPERATOR, "admin", 403), (Role.ADMIN, "admin", 201),
    ],
)  # fmt: skip
def test_a_token_has_no_higher_role_than_who_made_it(person, role, asked, status):
    """Nobody raises themselves by a detour."""
    assert person(role=role).post(TOKENS, {"name": "detour", "role": asked}).status_code == status


def test_a_token_is_for_no_other_problems_than_who_made_it(person):
    """Who may use some makes tokens for some of them; who names none, for all of one's own."""
    ada = person(problems=("prices",))

    other = ada.post(TOKENS, {"name": "detour", "problems": ["prices", "google"]})
    unknown = person().post(TOKENS, {"name": "typo", "problems": ["gogle"]})

    assert code_of(other) == code_of(unknown) == (422, "invalid_request")
    assert "found 'google', needs one of those that you may use: prices" in other.text
    assert "google, prices" in unknown.text
    assert create(ada)["token"]["problems"] == create(ada, problems=["prices"])["token"]["problems"] == ["prices"]


def test_a_token_makes_no_tokens(person, app, parts):
    """Whoever finds one cannot make others that outlive it; the audit has that they tried."""
    secret = create(person(role=Role.ADMIN), role="admin")["secret"]

    answer = signed(app, secret).post(TOKENS, {"name": "outlives"})

    assert code_of(answer) == (403, "forbidden")
    assert "a token makes no tokens" in answer.text
    assert [entry.act for entry in parts.audit.kept] == [Act.TOKEN_CREATED, Act.ACT_REFUSED]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": ""}, {"name": "  "}, {"name": "two\nlines"}, {"name": "nul\0"}, {"name": "x" * 101},
        {"name": "a\u200bb"},
        {"name": "a", "role": "owner"}, {"name": "a", "expires_in_days": 0}, {"name": "a", "expires_in_days": 4000},
        {"name": "a", "expires_in_days": 1.5}, {"name": "a", "problems": "google"}, {"name": "a", "owner": "eve"},
    ],
    ids=str,
)  # fmt: skip
def test_a_broken_wish_is_refused(person, body):
    """With what is wrong; nobody makes one for somebody else."""
    assert code_of(person().post(TOKENS, body)) == (422, "invalid_request")


def test_nobody_has_more_tokens_than_they_look_after(person):
    """Fifty at once; one that is revoked makes room."""
    ada = person()
    made = [create(ada, name=f"number {number}") for number in range(50)]

    assert code_of(ada.post(TOKENS, {"name": "one more"})) == (409, "too_many")
    assert ada.ask("DELETE", f"{TOKENS}/{made[0]['token']['id']}").status_code == 204
    assert create(ada)["token"]["is_active"]


def test_a_revoked_token_opens_nothing(person, app):
    """From the answer on; it stays in the list, and can be revoked again."""
    ada = person()
    made = create(ada)
    path = f"{TOKENS}/{made['token']['id']}"
    assert signed(app, made["secret"]).get(ME).status_code == 200

    assert ada.ask("DELETE", path).status_code == 204

    assert code_of(signed(app, made["secret"]).get(ME)) == (401, "not_signed_in")
    [listed] = ada.get(TOKENS).json()["tokens"]
    assert not listed["is_active"]
    assert ada.ask("DELETE", path).status_code == 204


def test_somebody_elses_tokens_are_not_there(person, app):
    """Neither listed nor revoked, word for word as one that there is none of; whatever their role below admin."""
    made = create(person("ada"))
    bob = person("bob", Role.OPERATOR)

    others = bob.ask("DELETE", f"{TOKENS}/{made['token']['id']}").json()["error"]
    nobodys = bob.ask("DELETE", f"{TOKENS}/{uuid4()}").json()["error"]

    assert others | {"request_id": ""} == nobodys | {"request_id": ""}
    assert others["code"] == "not_found"
    assert bob.get(TOKENS).json() == {"tokens": []}
    assert signed(app, made["secret"]).get(ME).status_code == 200


def test_an_admin_revokes_any_token_by_its_id(person, app, parts):
    """Without seeing it in a list of their own; the audit has whose it was."""
    made = create(person("ada"))
    admin = person("root", Role.ADMIN)

    assert admin.ask("DELETE", f"{TOKENS}/{made['token']['id']}").status_code == 204

    assert signed(app, made["secret"]).get(ME).status_code == 401
    assert admin.get(TOKENS).json() == {"tokens": []}
    last = parts.audit.kept[-1]
    assert (last.act, last.actor_name) == (Act.TOKEN_REVOKED, "Root")
    assert last.details == {"name": "dashboards", "owner": "https://id#ada"}


def test_a_program_lists_and_ends_its_owners_tokens(person, app):
    """So that it can give up its own."""
    made = create(person())
    program = signed(app, made["secret"])

    assert [token["id"] for token in program.get(TOKENS).json()["tokens"]] == [made["token"]["id"]]
    assert program.ask("DELETE", f"{TOKENS}/{made['token']['id']}").status_code == 204


def test_who_sits_at_the_machine_makes_tokens_too(make_parts):
    """For the day on which others can reach the service."""
    client = Client(create_app(make_parts()))

    assert client.get(ME).json() == {
        "id": "local", "name": "this machine", "role": "admin", "problems": [], "is_local": True, "is_program": False,
    }  # fmt: skip
    made = create(client, role="admin")
    assert [token["id"] for token in client.get(TOKENS).json()["tokens"]] == [made["token"]["id"]]


class FailingAuditLog(MemoryAuditLog):
    """An audit whose database is away."""

    def record(self, entry):
        """See `AuditLog`."""
        raise StoreError("the database at localhost:5432/ does not answer")


def test_what_cannot_be_audited_is_not_done(make_parts, make_people, sessions, tokens, store, caplog):
    """No secret is shown of a token that is in no audit; a refusal is one all the same."""
    app = create_app(
        make_parts(tokens=tokens, token_store=store, people=make_people(sessions), audit=FailingAuditLog())
    )
    session, secret = make_session("ada", "Ada", Role.VIEWER, (), LASTS)
    sessions.begin(session, "nonce")
    ada = Client(app, {"Cookie": f"loopcast={secret}"})

    created = ada.post(TOKENS, {"name": "dashboards"})
    refused = ada.post(TOKENS, {"name": "dashboards", "role": "admin"})

    assert code_of(created) == (503, "unavailable")
    assert "lc_" not in created.text
    assert code_of(refused) == (403, "forbidden")
    assert "a refused act is not in the audit" in caplog.text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_the_audit_is_for_admins(person, parts, role):
    """To others it says which role it needs; having looked at a closed door is no act."""
    answer = person(role=role).get(AUDIT)

    assert code_of(answer) == (403, "forbidden")
    assert f"needs the role admin, and yours is {role}" in answer.text
    assert not parts.audit.kept


def test_an_admin_of_some_problems_does_not_read_the_audit_of_all(person):
    """It tells of other problems, of which they learn nothing; nor are they led there."""
    admin = person(role=Role.ADMIN, problems=("google",))

    assert code_of(admin.get(AUDIT)) == (403, "forbidden")
    assert 'href="/audit"' not in admin.get("/tokens").text
    assert 'href="/audit"' in person(role=Role.ADMIN).get("/tokens").text


def test_an_admin_reads_who_did_what(person):
    """The latest first, page by page, under the ids of the requests."""
    admin = person("root", Role.ADMIN)
    for number in range(3):
        created = admin.post(TOKENS, {"name": f"number {number}"}, headers={"X-Request-ID": f"night-{number}"})
        assert created.status_code == 201

    first = admin.get(AUDIT, params={"limit": 2}).json()
    second = admin.get(AUDIT, params={"limit": 2, "before": first["next_before"]}).json()

    assert [entry["request_id"] for entry in first["entries"] + second["entries"]] == ["night-2", "night-1", "night-0"]
    assert second["next_before"] is None
    entry = first["entries"][0]
    assert {name: entry[name] for name in ("actor_id", "actor_name", "role", "act", "problem", "details")} == {
        "actor_id": "https://id#root", "actor_name": "Root", "role": "admin", "act": "token_created", "problem": None,
        "details": {"name": "number 2", "role": "viewer", "problems": "all", "expires": "never"},
    }  # fmt: skip


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "before=0", "before=x", f"before={2**63}"])
def test_a_broken_page_of_the_audit_is_refused(person, query):
    """Nobody reads all of it at once."""
    assert code_of(person(role=Role.ADMIN).get(f"{AUDIT}?{query}")) == (422, "invalid_request")


def test_a_refused_act_is_in_the_audit(person, parts):
    """Under who tried it."""
    person().post(TOKENS, {"name": "detour", "role": "admin"})

    [entry] = parts.audit.kept
    assert (entry.act, entry.actor_id, entry.subject) == (Act.ACT_REFUSED, "https://id#ada", f"POST {TOKENS}")
    assert entry.details == {"reason": "this needs the role admin, and yours is viewer; ask an admin for it"}


class AwaySessionStore(MemorySessionStore):
    """Sessions whose database is away."""

    def find(self, secret_sha256):
        """See `Sessions`."""
        raise StoreError("the database at localhost:5432/ does not answer")

    def active(self):
        """See `Sessions`."""
        raise StoreError("the database at localhost:5432/ does not answer")


def test_sessions_that_are_known_go_on_while_the_database_is_away(make_parts, make_people, tokens, sessions):
    """One that is not known is told to come back, and not to sign in."""
    people = make_people(sessions)
    session, secret = make_session("ada", "Ada", Role.VIEWER, (), LASTS)
    sessions.begin(session, "nonce")
    people.active.refresh()
    people.active._store = AwaySessionStore(LASTS)
    app = create_app(make_parts(tokens=tokens, people=people))

    people.active.refresh()

    assert Client(app, {"Cookie": f"loopcast={secret}"}).get(ME).status_code == 200
    assert code_of(Client(app, {"Cookie": f"loopcast={'x' * 43}"}).get(ME)) == (503, "unavailable")


def test_made_up_sessions_do_not_keep_the_database_busy(make_parts, make_people, tokens):
    """A worker looks for some of them in a second, and for none that cannot be one."""
    store = CountingSessionStore(LASTS)
    people = replace(make_people(store), active=ActiveSessions(store, looks_per_s=0.01))
    app = create_app(make_parts(tokens=tokens, people=people))

    for made_up in ("7", "7" * 43, "8" * 43, "9" * 43):
        assert Client(app, {"Cookie": f"loopcast={made_up}"}).get(ME).status_code == 401

    assert store.looks == [digest_secret("7" * 43)]


@dataclass(frozen=True)
class CountingSessionStore(MemorySessionStore):
    """Sessions that count how often somebody looks for one."""

    looks: list[bytes] = field(default_factory=list)

    def find(self, secret_sha256):
        """See `Sessions`."""
        self.looks.append(secret_sha256)
        return super().find(secret_sha256)
