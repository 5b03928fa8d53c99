"""What was read from the database a moment ago, so that many who look at once cost one reading."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from loopcast.errors import LoopcastError

T = TypeVar("T")

FRESH_S: Final = 5.0
"""Seconds for which a reading is shown again: as long as a service may take to see a new champion."""
FAILED_S: Final = 1.0
"""Seconds for which a failure is: those who wait behind one whose connection was refused wait no second time."""
MAX_READINGS: Final = 256
"""Kept at once, some ten kilobytes each; whoever asks for more stretches than that pays for each."""


@dataclass
class _Reading:
    lock: threading.Lock = field(default_factory=threading.Lock)
    until_s: float = 0.0
    value: Any = None
    failure: LoopcastError | None = None


class RecentReadings:
    """Readings by key; several who ask for the same wait for one of them."""

    def __init__(self, fresh_s: float = FRESH_S, max_readings: int = MAX_READINGS) -> None:
        self._fresh_s = fresh_s
        self._max_readings = max_readings
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Reading] = OrderedDict()

    def find(self, key: Hashable) -> Any:
        """A reading that is still fresh, None for none; never waits."""
        found = self._kept.get(key)
        is_fresh = found is not None and found.failure is None and time.monotonic() < found.until_s
        return found.value if found is not None and is_fresh else None

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """A reading that is fresh, or a new one.

        Raises:
            LoopcastError: As `read` raises it, or has a moment ago.
        """
        with self._lock:
            reading = self._kept.setdefault(key, _Reading())
            self._kept.move_to_end(key)
            if len(self._kept) > self._max_readings:
                self._kept.popitem(last=False)
        with reading.lock:
            if time.monotonic() >= reading.until_s:
                try:
                    reading.value, reading.failure, fresh_s = read(), None, self._fresh_s
                except LoopcastError as exc:
                    reading.failure, fresh_s = exc, FAILED_S
                reading.until_s = time.monotonic() + fresh_s
            if reading.failure is not None:
                raise reading.failure
            found: T = reading.value
            return found
