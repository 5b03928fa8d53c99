"""What is active, in memory: who may ask is decided without the database, and a few seconds behind it."""

import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, Generic, Protocol, TypeVar

from loopcast.errors import LoopcastError

logger = logging.getLogger(__name__)

REFRESH_S: Final = 2.0
"""Seconds between two readings of a table: how long what was ended lives on, and what is new waits."""
STOP_TIMEOUT_S: Final = 5.0
"""Longest wait for a reading that is under way; it changes nothing that must be finished."""


class HasSecret(Protocol):
    """What is found by its secret, of which the digest is known."""

    @property
    def secret_sha256(self) -> bytes:
        """Digest of the secret."""

    @property
    def expires_at_utc(self) -> datetime | None:
        """When it ends; None for never."""


Kept = TypeVar("Kept", bound=HasSecret)


class Active(Generic[Kept]):
    """What a store has that is active, read again and again by a thread of its own.

    While the store is away what was read last stays, until it expires: forecasts are answered then too.
    """

    def __init__(self, what: str, read: Callable[[], Iterable[Kept]], refresh_s: float) -> None:
        self._what = what
        self._read = read
        self._refresh_s = refresh_s
        self._by_digest: Mapping[bytes, Kept] = {}
        self._read_s = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=what, daemon=True)

    @property
    def read_ago_s(self) -> float:
        """Seconds since the store was last read."""
        return time.monotonic() - self._read_s

    def start(self) -> None:
        """Read the store, then follow it."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """Follow no longer; what was read stays."""
        self._is_over.set()
        self._thread.join(STOP_TIMEOUT_S)

    def find(self, secret: bytes) -> Kept | None:
        """What is active and has this secret, None for nothing."""
        digest = hashlib.sha256(secret).digest()
        found = self._by_digest.get(digest)
        if found is None or not hmac.compare_digest(found.secret_sha256, digest):
            return None
        is_expired = found.expires_at_utc is not None and found.expires_at_utc <= datetime.now(UTC)
        return None if is_expired else found

    def refresh(self) -> None:
        """Read the store now; what cannot be read stays as it was."""
        try:
            self._by_digest = {each.secret_sha256: each for each in self._read()}
            self._read_s = time.monotonic()
        except LoopcastError as exc:
            logger.warning("%s stay as they were read %.0f s ago: %s", self._what, self.read_ago_s, exc)

    def _follow(self) -> None:
        while not self._is_over.wait(self._refresh_s):
            try:
                self.refresh()
            except Exception:  # the thread's boundary: a fault of one reading must not end all later ones
                logger.exception("%s could not be read", self._what)
