"""Changes of queries as they happen: one look at the database for all who listen, and server-sent events for each."""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from app.errors import ErrorCode, Refusal
from app.store_threads import READERS
from loopcast.errors import StoreError
from loopcast.stores.queries import Queries
from loopcast.stores.query import Query

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
STREAM_S: Final = 20.0
"""After which a stream ends and its listener asks again: so one who may not know any more soon does not, a service that
stops need not wait for long, and no proxy takes the stream for dead."""
RETRY_MS: Final = 500
"""In which a listener asks again."""
MAX_LISTENING: Final = 20
"""Streams of one owner at once, in one worker of a service: some more than a browser opens."""


class _Listener:
    def __init__(self, query: Query) -> None:
        self.query = query
        self.is_changed = asyncio.Event()


class QueryWatch:
    """Follows queries for those who listen; for one event loop, in which it looks only while somebody listens."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._listeners: defaultdict[UUID, set[_Listener]] = defaultdict(set)
        self._n_listening: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None

    def check(self, owner: str) -> None:
        """Return where an owner may listen once more.

        Raises:
            Refusal: They may not.
        """
        if self._n_listening[owner] >= MAX_LISTENING:
            what = f"you listen to {MAX_LISTENING} queries already; close one of them, or ask GET /api/v1/queries"
            raise Refusal(429, ErrorCode.TOO_MANY, what, headers={"Retry-After": str(int(STREAM_S))})

    async def follow(self, query: Query) -> AsyncIterator[Query]:
        """Each later state of a query, until it has ended or the stream's time is up."""
        listener = _Listener(query)
        self._listeners[query.id].add(listener)
        self._n_listening[query.owner] += 1
        until_s = time.monotonic() + STREAM_S
        try:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.get_running_loop().create_task(self._look())
            while listener.query.state.is_open or listener.is_changed.is_set():
                await asyncio.wait_for(listener.is_changed.wait(), until_s - time.monotonic())
                listener.is_changed.clear()
                yield listener.query
        except TimeoutError:
            return
        finally:
            self._n_listening[query.owner] -= 1
            self._listeners[query.id].discard(listener)
            if not self._listeners[query.id]:
                del self._listeners[query.id]

    async def _look(self) -> None:
        while self._listeners:
            revisions = {
                query_id: min(each.query.revision for each in each_of)
                for query_id, each_of in self._listeners.items()
                if each_of
            }
            try:
                for query in await READERS.ask(self._queries.find_changed, revisions):
                    for listener in self._listeners.get(query.id, ()):
                        if listener.query.revision < query.revision:
                            listener.query = query
                            listener.is_changed.set()
            except StoreError as exc:
                logger.warning("changes of queries are not seen: %s", exc)
            except Exception:  # the task's boundary: a fault of one look must not end all later ones
                logger.exception("changes of queries could not be looked for")
            await asyncio.sleep(LOOK_EVERY_S)
