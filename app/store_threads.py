"""How a request waits for a store: in a thread, off the event loop, and no longer than it can still be answered.

A store that is away says so. One that hangs says nothing: then whoever asks is told in time that it does not answer,
and no more threads wait on than there are, however many ask.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

import anyio

from loopcast.errors import StoreError

MAX_WAIT_S: Final = 3.0
"""For a store. After five seconds BentoML answers in our place; the two that are left are for a busy machine."""

Given = ParamSpec("Given")
T = TypeVar("T")


class StoreThreads:
    """Some threads that ask stores; whoever finds them all taken waits for one."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._executor = ThreadPoolExecutor(n_threads, thread_name_prefix="store")

    async def ask(self, ask: Callable[Given, T], *given: Given.args, **named: Given.kwargs) -> T:
        """What a store answers. What it was told to do it may still do after it was given up.

        Raises:
            StoreError: It did not answer in time.
        """
        future = self._executor.submit(ask, *given, **named)
        with anyio.move_on_after(MAX_WAIT_S):
            return await asyncio.wrap_future(future)  # one that is still to begin is taken back when it is given up
        raise StoreError(f"a store has not answered for {MAX_WAIT_S:g} s; look whether it hangs")


READERS: Final = StoreThreads(8)
"""So that a database that is away takes no thread from those who compute."""
WRITERS: Final = StoreThreads(4)
"""Of the audit and of sign-ins, so that those who change something hold up none who read."""
