"""The active sessions, in memory; a new one is looked for in the store when it is first seen."""

import re
from collections.abc import Iterable
from typing import Final

from app.active import REFRESH_S, Active
from app.rates import RateLimit
from app.store_threads import StoreThreads
from loopcast.stores.sessions import Session, Sessions, digest_secret

SECRET: Final = re.compile(rb"[A-Za-z0-9_-]{43}")
"""256 bits as `secrets.token_urlsafe` writes them; whatever else is sent is not looked for."""
LOOKS_PER_S: Final = 20.0
"""Secrets that a worker looks for because it does not know them: those of people who signed in a moment ago at another
worker, and what somebody makes up, which must not keep the database busy."""
LOOKERS: Final = StoreThreads(4)
"""Of those who are not known, so that they hold up none who are."""


class ActiveSessions(Active[Session]):
    """The active sessions of a store, which is told now and then which of them are used."""

    def __init__(self, store: Sessions, refresh_s: float = REFRESH_S, looks_per_s: float = LOOKS_PER_S) -> None:
        super().__init__("sessions", self._read_store, refresh_s)
        self._store = store
        self._seen: set[bytes] = set()
        self._looks = RateLimit(looks_per_s)

    async def find_used(self, secret: bytes) -> Session | None:
        """The session of a request, None for none.

        Raises:
            StoreError: It is not known here, and the store is away.
        """
        if not SECRET.fullmatch(secret):
            return None
        session = self.find(secret)
        if session is None and not self._looks.take(None):
            session = await LOOKERS.ask(self._store.find, digest_secret(secret.decode()))
            if session is not None:
                self.add(session)
        if session is not None:
            self._seen.add(session.secret_sha256)
        return session

    def add(self, session: Session) -> None:
        """Know a session that began just now."""
        self._by_digest = {**self._by_digest, session.secret_sha256: session}

    def drop(self, session: Session) -> None:
        """Know a session no longer, which has ended."""
        self._by_digest = {key: each for key, each in self._by_digest.items() if key != session.secret_sha256}

    def _read_store(self) -> Iterable[Session]:
        seen, self._seen = self._seen, set()
        self._store.see(seen)
        return self._store.active()
