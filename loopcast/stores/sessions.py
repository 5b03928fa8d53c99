"""Who is signed in: sessions of people, of whose secrets only digests are kept.

How people sign in stands in `app.signin`; programs have tokens.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID, uuid4

from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from pydantic import BaseModel, Field

from loopcast.errors import LoopcastError
from loopcast.evidence.record import RECORD, Moment
from loopcast.stores.database import Database
from loopcast.stores.tokens import Role

SECRET_BYTES: Final = 32
"""256 random bits, as of a token."""
SEEN_EVERY: Final = timedelta(minutes=1)
"""How exactly it is kept when a session was last used; a row is written no more often."""
REMEMBERED: Final = timedelta(days=1)
"""For how long a sign-in is known to have been used; far longer than one may take."""


class ReplayedError(LoopcastError):
    """A sign-in was used before."""


class Session(BaseModel):
    """What is known of a session: all but its secret."""

    model_config = RECORD

    id: UUID = Field(default_factory=uuid4)
    asker_id: str
    asker_name: str
    role: Role
    problems: tuple[str, ...]
    """As of a token: none for every problem."""
    secret_sha256: bytes = Field(repr=False)
    created_at_utc: Moment
    seen_at_utc: Moment
    expires_at_utc: Moment
    """Whatever is done until then."""


NAMES: Final = ", ".join(Session.model_fields)
INSERT: Final = (
    f"INSERT INTO loopcast.sessions ({NAMES}) VALUES ({', '.join(f'%({n})s' for n in Session.model_fields)})"  # noqa: S608
)
ACTIVE: Final = "expires_at_utc > %(now)s AND seen_at_utc > %(now)s - %(idle)s"
SELECT: Final = f"SELECT {NAMES} FROM loopcast.sessions WHERE {ACTIVE}"  # noqa: S608
USE_SIGN_IN: Final = "INSERT INTO loopcast.used_sign_ins VALUES (%s, %s)"
FORGET: Final = f"DELETE FROM loopcast.sessions WHERE NOT ({ACTIVE})"  # noqa: S608
FORGET_SIGN_INS: Final = "DELETE FROM loopcast.used_sign_ins WHERE used_at_utc < %s"
SEE: Final = "UPDATE loopcast.sessions SET seen_at_utc = %s WHERE secret_sha256 = ANY(%s) AND seen_at_utc < %s"
END: Final = "DELETE FROM loopcast.sessions WHERE secret_sha256 = %s"


class Sessions(Protocol):
    """Where sessions are kept."""

    def begin(self, session: Session, nonce: str) -> None:
        """Keep a new session, which a sign-in with this nonce led to; forget those that are over.

        Raises:
            ReplayedError: One led to a session before.
        """

    def active(self) -> list[Session]:
        """Those that open something now."""

    def find(self, secret_sha256: bytes) -> Session | None:
        """The active one with this secret, None for none."""

    def see(self, secrets_sha256: Collection[bytes]) -> None:
        """Remember that these were used just now."""

    def end(self, secret_sha256: bytes) -> None:
        """Forget one, if it is there."""


@dataclass(frozen=True)
class SessionStore:
    """`Sessions` in PostgreSQL; one that is not used for as long as `idle` is over."""

    database: Database
    idle: timedelta

    def begin(self, session: Session, nonce: str) -> None:
        """See `Sessions`."""
        now_utc = session.created_at_utc
        with self.database.connect() as connection:
            connection.execute(FORGET, {"now": now_utc, "idle": self.idle})
            connection.execute(FORGET_SIGN_INS, [now_utc - REMEMBERED])
            try:
                connection.execute(USE_SIGN_IN, [digest_secret(nonce), now_utc])
            except UniqueViolation as exc:
                raise _refuse_replay() from exc
            connection.execute(INSERT, session.model_dump() | {"problems": list(session.problems)})

    def active(self) -> list[Session]:
        """See `Sessions`."""
        return self._select(SELECT, {})

    def find(self, secret_sha256: bytes) -> Session | None:
        """See `Sessions`."""
        found = self._select(f"{SELECT} AND secret_sha256 = %(secret)s", {"secret": secret_sha256})
        return found[0] if found else None

    def see(self, secrets_sha256: Collection[bytes]) -> None:
        """See `Sessions`."""
        if secrets_sha256:
            now_utc = datetime.now(UTC)
            with self.database.connect() as connection:
                connection.execute(SEE, [now_utc, list(secrets_sha256), now_utc - SEEN_EVERY])

    def end(self, secret_sha256: bytes) -> None:
        """See `Sessions`."""
        with self.database.connect() as connection:
            connection.execute(END, [secret_sha256])

    def _select(self, query: str, parameters: dict[str, bytes]) -> list[Session]:
        given = {"now": datetime.now(UTC), "idle": self.idle, **parameters}
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [Session.model_validate(row) for row in cursor.execute(query, given)]


@dataclass(frozen=True)
class MemorySessionStore:
    """`Sessions` of this process, for tests and trials without a database."""

    idle: timedelta
    kept: dict[bytes, Session] = field(default_factory=dict)
    used: set[bytes] = field(default_factory=set)

    def begin(self, session: Session, nonce: str) -> None:
        """See `Sessions`."""
        if digest_secret(nonce) in self.used:
            raise _refuse_replay()
        self.used.add(digest_secret(nonce))
        self.kept[session.secret_sha256] = session

    def active(self) -> list[Session]:
        """See `Sessions`."""
        now_utc = datetime.now(UTC)
        return [
            session
            for session in self.kept.values()
            if session.expires_at_utc > now_utc and session.seen_at_utc > now_utc - self.idle
        ]

    def find(self, secret_sha256: bytes) -> Session | None:
        """See `Sessions`."""
        return next((session for session in self.active() if session.secret_sha256 == secret_sha256), None)

    def see(self, secrets_sha256: Collection[bytes]) -> None:
        """See `Sessions`."""
        now_utc = datetime.now(UTC)
        for digest in secrets_sha256:
            if digest in self.kept and self.kept[digest].seen_at_utc < now_utc - SEEN_EVERY:
                self.kept[digest] = self.kept[digest].model_copy(update={"seen_at_utc": now_utc})

    def end(self, secret_sha256: bytes) -> None:
        """See `Sessions`."""
        self.kept.pop(secret_sha256, None)


def make_session(
    asker_id: str, asker_name: str, role: Role, problems: Collection[str], lasts: timedelta
) -> tuple[Session, str]:
    """A session that is kept nowhere yet, and its secret."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    now_utc = datetime.now(UTC)
    session = Session(
        asker_id=asker_id,
        asker_name=asker_name,
        role=role,
        problems=tuple(sorted(set(problems))),
        secret_sha256=digest_secret(secret),
        created_at_utc=now_utc,
        seen_at_utc=now_utc,
        expires_at_utc=now_utc + lasts,
    )
    return session, secret


def digest_secret(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def _refuse_replay() -> ReplayedError:
    return ReplayedError("this sign-in was used before; begin a new one")
