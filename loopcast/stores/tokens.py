"""Who may ask the service: tokens, of whose secrets only digests are kept. `app` reads requests signed with them."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID, uuid4

from psycopg.rows import dict_row
from pydantic import BaseModel, Field

from loopcast.errors import StoreError
from loopcast.evidence.record import RECORD, Moment
from loopcast.stores.database import Database

PREFIX: Final = "lc_"
"""Of every secret, so that one that leaked into a log or a repository is recognised."""
SECRET_BYTES: Final = 32
"""Nobody guesses 256 random bits, so that a plain digest keeps them: there is nothing for a slow one to slow down."""
MAX_NAME_CHARACTERS: Final = 100


class Role(StrEnum):
    """What a person or a token may; each role also what those before it may."""

    VIEWER = "viewer"
    """Look at everything, forecast, and have queries, uploads and tokens of one's own."""
    OPERATOR = "operator"
    """Decide about models: promote, roll back, retrain."""
    ADMIN = "admin"
    """Read the audit, and end anybody's token."""


class Token(BaseModel):
    """What is known of a token: all but its secret."""

    model_config = RECORD

    id: UUID = Field(default_factory=uuid4)
    name: str
    """What it is for."""
    owner: str
    """Who made it."""
    role: Role
    problems: tuple[str, ...]
    """Which it may ask about; none for every problem, also those to come."""
    secret_sha256: bytes = Field(repr=False)
    created_at_utc: Moment = Field(default_factory=lambda: datetime.now(UTC))
    expires_at_utc: Moment | None = None
    revoked_at_utc: Moment | None = None

    def is_active(self, at_utc: datetime) -> bool:
        """Whether it opens anything at a moment."""
        return self.revoked_at_utc is None and (self.expires_at_utc is None or at_utc < self.expires_at_utc)

    def may_use(self, problem: str) -> bool:
        """Whether it may ask about a problem."""
        return not self.problems or problem in self.problems


NAMES = ", ".join(Token.model_fields)
INSERT = f"INSERT INTO loopcast.tokens ({NAMES}) VALUES ({', '.join(f'%({n})s' for n in Token.model_fields)})"  # noqa: S608
SELECT = f"SELECT {NAMES} FROM loopcast.tokens ORDER BY created_at_utc, id"  # noqa: S608
REVOKE = f"""
    UPDATE loopcast.tokens SET revoked_at_utc = coalesce(revoked_at_utc, now()) WHERE id = %s RETURNING {NAMES}
"""  # noqa: S608


class Tokens(Protocol):
    """Where tokens are kept."""

    def create(
        self, name: str, owner: str, role: Role, problems: Collection[str], expires_at_utc: datetime | None = None
    ) -> tuple[Token, str]:
        """A new token and its secret, which nobody can learn again.

        Args:
            problems: Which it may ask about; none for every problem.
        """

    def list_all(self) -> list[Token]:
        """All tokens, the oldest first, also those that are revoked or have expired."""

    def active(self) -> list[Token]:
        """Those that open something now."""

    def revoke(self, token_id: UUID) -> Token:
        """End a token; one that was ended before stays as it was.

        Raises:
            StoreError: There is none of this id.
        """


@dataclass(frozen=True)
class TokenStore:
    """`Tokens` in PostgreSQL."""

    database: Database

    def create(
        self, name: str, owner: str, role: Role, problems: Collection[str], expires_at_utc: datetime | None = None
    ) -> tuple[Token, str]:
        """See `Tokens`."""
        token, secret = make_token(name, owner, role, problems, expires_at_utc)
        with self.database.connect() as connection:
            connection.execute(INSERT, token.model_dump() | {"problems": list(token.problems)})
        return token, secret

    def list_all(self) -> list[Token]:
        """See `Tokens`."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [Token.model_validate(row) for row in cursor.execute(SELECT)]

    def active(self) -> list[Token]:
        """See `Tokens`."""
        now_utc = datetime.now(UTC)
        return [token for token in self.list_all() if token.is_active(now_utc)]

    def revoke(self, token_id: UUID) -> Token:
        """See `Tokens`."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(REVOKE, [token_id]).fetchone()
        if row is None:
            raise _unknown(token_id)
        return Token.model_validate(row)


@dataclass(frozen=True)
class MemoryTokenStore:
    """`Tokens` of this process, for tests and trials without a database."""

    kept: dict[UUID, Token] = field(default_factory=dict)

    def create(
        self, name: str, owner: str, role: Role, problems: Collection[str], expires_at_utc: datetime | None = None
    ) -> tuple[Token, str]:
        """See `Tokens`."""
        token, secret = make_token(name, owner, role, problems, expires_at_utc)
        self.kept[token.id] = token
        return token, secret

    def list_all(self) -> list[Token]:
        """See `Tokens`."""
        return list(self.kept.values())

    def active(self) -> list[Token]:
        """See `Tokens`."""
        now_utc = datetime.now(UTC)
        return [token for token in self.list_all() if token.is_active(now_utc)]

    def revoke(self, token_id: UUID) -> Token:
        """See `Tokens`."""
        found = self.kept.get(token_id)
        if found is None:
            raise _unknown(token_id)
        revoked_at_utc = found.revoked_at_utc or datetime.now(UTC)
        self.kept[token_id] = found.model_copy(update={"revoked_at_utc": revoked_at_utc})
        return self.kept[token_id]


def make_token(
    name: str, owner: str, role: Role, problems: Collection[str], expires_at_utc: datetime | None
) -> tuple[Token, str]:
    """A token that is kept nowhere yet, and its secret.

    Raises:
        StoreError: The name is empty, too long, or not for a line of text.
    """
    if not name.isprintable() or not 0 < len(name.strip()) <= MAX_NAME_CHARACTERS:
        raise StoreError(
            f"found the name {name!r}, needs 1 to {MAX_NAME_CHARACTERS} characters that say what it is for"
        )
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    token = Token(
        name=name,
        owner=owner,
        role=role,
        problems=tuple(sorted(set(problems))),
        secret_sha256=hashlib.sha256(secret.encode()).digest(),
        expires_at_utc=expires_at_utc,
    )
    return token, secret


def _unknown(token_id: UUID) -> StoreError:
    return StoreError(f"there is no token {token_id}; `loopcast tokens list` shows those that there are")
