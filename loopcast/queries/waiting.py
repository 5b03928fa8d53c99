"""Work that cannot tell how far it is, carried out while somebody else is told that it goes on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

TELL_EVERY_S: Final = 0.25
"""So that a stop is noticed within a second."""


def wait_telling(work: Callable[[], T], tell: Callable[[], None]) -> T:
    """What the work returns.

    Args:
        tell: Is called every now and then meanwhile; where it raises, the work goes on to its end, unheeded.
    """
    executor = ThreadPoolExecutor(1)
    future = executor.submit(work)
    try:
        while not future.done():
            try:
                future.exception(TELL_EVERY_S)
            except TimeoutError:
                tell()
        return future.result()
    finally:
        executor.shutdown(wait=False)
