"""Tokens open what they were made for until they end, and their secrets are kept nowhere."""

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from loopcast.errors import StoreError
from loopcast.stores.tokens import MemoryTokenStore, Role, Token, Tokens, TokenStore


@pytest.fixture(params=["memory", "postgresql"])
def tokens(request) -> Tokens:
    """A store of tokens."""
    return MemoryTokenStore() if request.param == "memory" else TokenStore(request.getfixturevalue("database"))


def own(found: list[Token], *mine: Token) -> list[Token]:
    """Those among the found that are mine: others test with the same database."""
    return [token for token in found if token.id in {each.id for each in mine}]


def test_a_token_comes_back_as_it_was_made(tokens):
    """With all but its secret, of which the digest is kept."""
    expires_at_utc = datetime(2999, 1, 1, tzinfo=UTC)

    token, secret = tokens.create("dashboards", "ada", Role.OPERATOR, {"google", "energy"}, expires_at_utc)

    assert token == Token(
        id=token.id,
        name="dashboards",
        owner="ada",
        role=Role.OPERATOR,
        problems=("energy", "google"),
        secret_sha256=hashlib.sha256(secret.encode()).digest(),
        created_at_utc=token.created_at_utc,
        expires_at_utc=expires_at_utc,
        revoked_at_utc=None,
    )
    assert own(tokens.list_all(), token) == own(tokens.active(), token) == [token]


def test_secrets_are_long_and_never_alike(tokens):
    """And begin so that a scanner knows them."""
    secrets = [tokens.create("many", "ada", Role.VIEWER, ())[1] for _ in range(5)]

    assert len(set(secrets)) == 5
    assert all(secret.startswith("lc_") and len(secret) == 46 for secret in secrets)


def test_neither_the_database_nor_a_printed_token_shows_the_secret(database):
    """Nor its digest, in print."""
    token, secret = TokenStore(database).create("quiet", "ada", Role.VIEWER, ())

    with database.connect() as connection:
        row = connection.execute("SELECT t::text FROM loopcast.tokens t WHERE id = %s", [token.id]).fetchone()
    assert secret not in str(row)
    assert secret.removeprefix("lc_") not in str(row)
    assert "secret" not in repr(token)


def test_a_revoked_token_is_active_no_more(tokens):
    """It stays in the list with the moment of its end, which a second revocation does not move."""
    token, _ = tokens.create("leaked", "ada", Role.VIEWER, ())

    revoked = tokens.revoke(token.id)

    assert revoked.revoked_at_utc is not None
    assert tokens.revoke(token.id) == revoked
    assert own(tokens.active(), token) == []
    assert own(tokens.list_all(), token) == [revoked]


def test_an_expired_token_is_active_no_more(tokens):
    """From its last moment on."""
    now_utc = datetime.now(UTC)
    over, _ = tokens.create("over", "ada", Role.VIEWER, (), now_utc)
    going, _ = tokens.create("going", "ada", Role.VIEWER, (), now_utc + timedelta(hours=1))

    assert own(tokens.active(), over, going) == [going]
    assert own(tokens.list_all(), over, going) == [over, going]


def test_an_unknown_token_cannot_be_revoked(tokens):
    """The sentence says where those are that can."""
    unknown = uuid4()

    with pytest.raises(StoreError, match=f"^there is no token {unknown}; `loopcast tokens list` shows"):
        tokens.revoke(unknown)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "nul\0", "x" * 101])
def test_a_name_that_tells_nothing_is_refused(tokens, name):
    """It stands in lists and logs."""
    with pytest.raises(StoreError, match="needs 1 to 100 characters that say what it is for"):
        tokens.create(name, "ada", Role.VIEWER, ())


@pytest.mark.parametrize(
    ("problems", "may_use"), [(("google",), [True, False]), ((), [True, True]), (("energy",), [False, True])]
)
def test_a_token_opens_its_problems(tokens, problems, may_use):
    """Every one, where none is named."""
    token, _ = tokens.create("scoped", "ada", Role.VIEWER, problems)

    assert [token.may_use(problem) for problem in ("google", "energy")] == may_use
