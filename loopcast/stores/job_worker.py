"""How a worker takes jobs from the queue: procrastinate's own worker, which a database that is away does not end.

What it does with them is handed in. The service needs none of this, and does not import it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString, TypeVar
from uuid import UUID

import psycopg
from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncNullConnectionPool

from loopcast.stores.database import CONNECTION_DEFAULTS, Database
from loopcast.stores.job_queue import QUEUE, SCHEMA, TASK

logger = logging.getLogger(__name__)

HEARTBEAT_S: Final = 2.0
"""Seconds between two signs of life of a worker; after `STALLED_S` without one it is taken for dead."""
FORGOTTEN_S: Final = 3600.0
"""Seconds after which a dead worker is struck off the list; its jobs were given to others long before."""
POLL_S: Final = 2.0
"""Seconds between looks at the queue of a worker that was not notified."""
RETRY_S: Final = 0.5
"""Seconds between two attempts to reach a database that is away."""

Answer = Callable[[UUID, int, Callable[[], bool]], None]
"""Carries one attempt out: at a query, under a job, asking now and then whether the worker is to stop."""
Found = TypeVar("Found")


class PatientConnector(PsycopgConnector):
    """Waits for a database that is away, where procrastinate's own would end the worker."""

    def __init__(self, database: Database, is_stopping: Callable[[], bool]) -> None:
        options = f"{conninfo_to_dict(database.url).get('options', '')} -csearch_path={SCHEMA}".strip()
        super().__init__(
            conninfo=make_conninfo("", **CONNECTION_DEFAULTS | conninfo_to_dict(database.url) | {"options": options}),
            pool_factory=AsyncNullConnectionPool,  # a connection each time: none that a restart of the server broke
            max_size=4,
        )
        self._is_stopping = is_stopping

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        """As procrastinate says."""
        await self._insist(super().execute_query_async, query, **arguments)

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        """As procrastinate says."""
        return await self._insist(super().execute_query_one_async, query, **arguments)

    async def execute_query_all_async(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        """As procrastinate says."""
        return await self._insist(super().execute_query_all_async, query, **arguments)

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """As procrastinate says."""
        await self._insist(super().listen_notify, on_notification=on_notification, channels=channels)

    async def _insist(self, ask: Callable[..., Awaitable[Found]], *given: Any, **named: Any) -> Found:
        while True:
            try:
                return await ask(*given, **named)
            except ConnectorException as exc:
                if not isinstance(exc.__cause__, psycopg.OperationalError):
                    raise
                logger.debug("the queue's database is away: %s", exc.__cause__)
                if self._is_stopping():  # what a worker that ends cannot write is left to others
                    raise asyncio.CancelledError from exc  # the one error that procrastinate does not log
                await asyncio.sleep(RETRY_S)


@asynccontextmanager
async def open_queue(database: Database, answer: Answer, is_stopping: Callable[[], bool]) -> AsyncIterator[App]:
    """What takes jobs from the queue, with the one task that there is.

    Args:
        is_stopping: Whether the worker is about to end, and no database is waited for any more.
    """
    app = App(connector=PatientConnector(database, is_stopping))

    @app.task(name=TASK, queue=QUEUE, pass_context=True)
    def answer_query(context: JobContext, query_id: str) -> None:
        assert context.job.id is not None, "a job that was fetched has an id"
        answer(UUID(query_id), context.job.id, context.should_abort)

    async with app.open_async():
        yield app


async def run_jobs(app: App, n_at_once: int, grace_s: float) -> None:
    """Carry jobs out until cancelled; what runs then has a few seconds to end before it is told to stop."""
    await app.run_worker_async(
        queues=[QUEUE],
        concurrency=n_at_once,
        fetch_job_polling_interval=POLL_S,
        shutdown_graceful_timeout=grace_s,
        delete_jobs="always",  # what became of a query stands in its own row
        install_signal_handlers=False,
        update_heartbeat_interval=HEARTBEAT_S,
        stalled_worker_timeout=FORGOTTEN_S,
    )
