"""Sessions open what they were made for until they end, and a sign-in leads to one of them."""

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from loopcast.stores.sessions import (
    MemorySessionStore,
    ReplayedError,
    Session,
    Sessions,
    SessionStore,
    digest_secret,
    make_session,
)
from loopcast.stores.tokens import Role

IDLE = timedelta(hours=2)
LASTS = timedelta(hours=12)


@pytest.fixture(params=["memory", "postgresql"])
def sessions(request) -> Sessions:
    """A store of sessions."""
    if request.param == "memory":
        return MemorySessionStore(IDLE)
    return SessionStore(request.getfixturevalue("database"), IDLE)


def begin(sessions: Sessions, lasts: timedelta = LASTS, **changes) -> tuple[Session, str]:
    """A session that just began, and its secret."""
    session, secret = make_session("https://id#ada", "Ada", Role.OPERATOR, ("google", "energy"), lasts)
    session = session.model_copy(update=changes)
    sessions.begin(session, uuid4().hex)
    return session, secret


def test_a_session_comes_back_as_it_began(sessions):
    """With all but its secret, of which the digest is kept."""
    session, secret = begin(sessions)

    assert session == Session(
        id=session.id,
        asker_id="https://id#ada",
        asker_name="Ada",
        role=Role.OPERATOR,
        problems=("energy", "google"),
        secret_sha256=hashlib.sha256(secret.encode()).digest(),
        created_at_utc=session.created_at_utc,
        seen_at_utc=session.created_at_utc,
        expires_at_utc=session.created_at_utc + LASTS,
    )
    assert sessions.find(digest_secret(secret)) == session
    assert session in sessions.active()
    assert "secret" not in repr(session)
    assert len(secret) == 43


def test_the_database_does_not_know_the_secret(database):
    """Whoever reads the table can sign in as nobody."""
    session, secret = begin(SessionStore(database, IDLE))

    with database.connect() as connection:
        row = connection.execute("SELECT s::text FROM loopcast.sessions s WHERE id = %s", [session.id]).fetchone()
    assert secret not in str(row)


def test_a_sign_in_leads_to_one_session(sessions):
    """The second time it is refused, also after the first session has ended."""
    first, _ = make_session("https://id#ada", "Ada", Role.VIEWER, (), LASTS)
    second, secret = make_session("https://id#eve", "Eve", Role.VIEWER, (), LASTS)
    nonce = uuid4().hex
    sessions.begin(first, nonce)
    sessions.end(first.secret_sha256)

    with pytest.raises(ReplayedError, match=r"^this sign-in was used before; begin a new one$"):
        sessions.begin(second, nonce)

    assert sessions.find(digest_secret(secret)) is None


def test_an_ended_session_is_gone(sessions):
    """Ending it twice is no mistake."""
    session, secret = begin(sessions)

    sessions.end(session.secret_sha256)
    sessions.end(session.secret_sha256)

    assert sessions.find(digest_secret(secret)) is None
    assert session not in sessions.active()


def test_a_session_is_over_at_its_hour(sessions):
    """Whatever was done until then."""
    session, secret = begin(sessions, timedelta(0))

    assert sessions.find(digest_secret(secret)) is None
    assert session not in sessions.active()


def test_a_session_that_nobody_uses_is_over(sessions):
    """It is used as long as it is seen."""
    long_ago = datetime.now(UTC) - IDLE + timedelta(seconds=30)
    used, used_secret = begin(sessions, seen_at_utc=long_ago)
    left, left_secret = begin(sessions, seen_at_utc=long_ago - timedelta(minutes=1))

    sessions.see([used.secret_sha256, b"of nobody"])
    sessions.see([])

    assert sessions.find(digest_secret(left_secret)) is None
    found = sessions.find(digest_secret(used_secret))
    assert found is not None
    assert found.seen_at_utc > long_ago
    assert left not in sessions.active()


def test_being_seen_is_written_once_a_minute(sessions):
    """A page that asks every second is one write, and not sixty."""
    session, secret = begin(sessions)

    sessions.see([session.secret_sha256])

    assert sessions.find(digest_secret(secret)) == session


def test_what_is_over_is_forgotten(database):
    """Sessions when they are over, used sign-ins after a day: the tables stay small."""
    store = SessionStore(database, IDLE)
    over, _ = begin(store, timedelta(0))
    with database.connect() as connection:
        connection.execute("UPDATE loopcast.used_sign_ins SET used_at_utc = now() - interval '25 hours'")

    begin(store)

    with database.connect() as connection:
        [(n_over,)] = connection.execute("SELECT count(*) FROM loopcast.sessions WHERE id = %s", [over.id]).fetchall()
        [(n_used,)] = connection.execute("SELECT count(*) FROM loopcast.used_sign_ins").fetchall()
    assert (n_over, n_used) == (0, 1)
