"""How often one may ask: a bucket of allowances for each asker, which refills with time."""

import math
import time
from collections.abc import Callable, Hashable
from typing import Final

BURST_S: Final = 2.0
"""Seconds of allowance that may be saved up, for those who ask in bursts."""
MAX_BUCKETS: Final = 10_000
"""Askers that are known at once, a hundred bytes each; beyond, all of them begin anew."""


class RateLimit:
    """A token bucket for each asker; for one event loop."""

    def __init__(self, requests_per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._requests_per_s = requests_per_s
        self._size = max(1.0, BURST_S * requests_per_s)
        self._clock = clock
        self._buckets: dict[Hashable, tuple[float, float]] = {}

    def take(self, asker: Hashable) -> int:
        """Seconds to wait before asking again; 0 where the asker may go on, which uses one allowance up.

        >>> limit = RateLimit(requests_per_s=0.5, clock=lambda: 0.0)
        >>> limit.take("anna"), limit.take("anna"), limit.take("otto")
        (0, 2, 0)
        """
        now = self._clock()
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.clear()
        level, last = self._buckets.get(asker, (self._size, now))
        level = min(self._size, level + (now - last) * self._requests_per_s)
        is_allowed = level >= 1
        self._buckets[asker] = (level - is_allowed, now)
        return 0 if is_allowed else math.ceil((1 - level) / self._requests_per_s)
