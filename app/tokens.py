"""The tokens that are active, in memory: who may ask is decided without the database, and a few seconds behind it."""

import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from loopcast.errors import LoopcastError

if TYPE_CHECKING:
    from loopcast.stores.tokens import Token, Tokens

logger = logging.getLogger(__name__)

REFRESH_S: Final = 2.0
"""Seconds between two readings of the table: how long a revoked token lives on, and a new one waits."""
STOP_TIMEOUT_S: Final = 5.0
"""Longest wait for a reading that is under way; it changes nothing that must be finished."""


class ActiveTokens:
    """The active tokens of a store, read again and again by a thread of its own.

    While the store is away those that were read last stay, until they expire: forecasts are answered then too.
    """

    def __init__(self, store: "Tokens", refresh_s: float = REFRESH_S) -> None:
        self._store = store
        self._refresh_s = refresh_s
        self._by_digest: Mapping[bytes, Token] = {}
        self._read_s = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="tokens", daemon=True)

    @property
    def read_ago_s(self) -> float:
        """Seconds since the store was last read."""
        return time.monotonic() - self._read_s

    def start(self) -> None:
        """Read the store, then follow it."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """Follow no longer; the tokens stay."""
        self._is_over.set()
        self._thread.join(STOP_TIMEOUT_S)

    def find(self, secret: bytes) -> "Token | None":
        """The active token of a secret, None for none."""
        digest = hashlib.sha256(secret).digest()
        token = self._by_digest.get(digest)
        if token is None or not hmac.compare_digest(token.secret_sha256, digest):
            return None
        is_expired = token.expires_at_utc is not None and token.expires_at_utc <= datetime.now(UTC)
        return None if is_expired else token

    def refresh(self) -> None:
        """Read the store now; what cannot be read stays as it was."""
        try:
            self._by_digest = {token.secret_sha256: token for token in self._store.active()}
            self._read_s = time.monotonic()
        except LoopcastError as exc:
            logger.warning("tokens stay as they were read %.0f s ago: %s", self.read_ago_s, exc)

    def _follow(self) -> None:
        while not self._is_over.wait(self._refresh_s):
            try:
                self.refresh()
            except Exception:  # the thread's boundary: a fault of one reading must not end all later ones
                logger.exception("tokens could not be read")
