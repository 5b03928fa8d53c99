"""How far a long computation is: a bar in a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from tqdm import tqdm

LINE_EVERY_S: Final = 15.0
"""Seconds between plain lines: seldom enough for a log, often enough to see that it lives."""

T = TypeVar("T")


def track(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Yield the items and show on stderr how many of `total` have come."""
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=label, leave=False, smoothing=0.1)
        return
    started = last = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= LINE_EVERY_S or count == total:
            last = now
            sys.stderr.write(f"{label}: {count} of {total} after {now - started:.0f} s\n")
