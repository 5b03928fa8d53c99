"""The worker: a process that answers long queries, and keeps order among them. `loopcast-worker` starts it.

As many workers as one likes share a queue. Each gives others' queries back that have died, and forgets what is old.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final

from app.logs import configure_logs
from app.queries.answered import AnswerQuery
from app.queries.attempt import Attempts, remove_scratch
from loopcast.errors import LoopcastError, StoreError
from loopcast.settings import Settings, read_settings
from loopcast.stores.job_queue import STALLED_S
from loopcast.stores.job_worker import open_queue, run_jobs
from loopcast.stores.opened import Stores

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0
"""Between two looks for queries whose worker has died."""
FORGET_EVERY_S: Final = 3600.0
START_AGAIN_S: Final = 2.0
"""Before a worker that could not start, or whose queue broke, tries again."""
GRACE_S: Final = 2.0
"""For what runs, when the worker is told to stop, to end by itself; what does not is queued again."""
SPARE_THREADS: Final = 4
"""Beside one for each query: for looks at the queue, and for procrastinate."""
ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Queries share the machine with a service and with each other, and their results shall not depend on its cores."""


def main() -> None:
    """Answer queries until told to stop."""
    from app.queries.answering import answer_query  # what it needs takes a second to import

    run_worker(answer_query)


def run_worker(answer: AnswerQuery) -> None:
    """Answer queries by a function until told to stop; the main function of a process."""
    configure_logs()
    logging.getLogger("procrastinate").setLevel(logging.WARNING)  # it logs what a query asks
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    try:
        asyncio.run(work(read_settings(), answer))
    except LoopcastError as exc:
        sys.exit(f"loopcast-worker: {exc}")


async def work(settings: Settings, answer: AnswerQuery) -> None:
    """The same, in an event loop; a database that is away is waited for."""
    loop, is_stopping = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(settings.query_processes + SPARE_THREADS))
    worker = asyncio.create_task(_work(Stores(settings), answer, is_stopping.is_set))

    def stop() -> None:
        is_stopping.set()
        worker.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    with contextlib.suppress(asyncio.CancelledError):
        await worker
    logger.info("the worker has stopped")


async def _work(stores: Stores, answer: AnswerQuery, is_stopping: Callable[[], bool]) -> None:
    while not is_stopping():
        try:
            database = await asyncio.to_thread(lambda: stores.database)
            attempts = Attempts(stores.settings, stores.queries, answer, is_stopping)
            attempts.warm_up()
            async with open_queue(database, attempts.make, is_stopping) as app:
                keeper = asyncio.create_task(keep_order(stores))
                logger.info("the worker is ready")
                try:
                    await run_jobs(app, stores.settings.query_processes, GRACE_S)
                finally:
                    keeper.cancel()
        except StoreError as exc:
            logger.warning("%s; trying again in %.0f s", exc, START_AGAIN_S)
        except Exception:  # the process's boundary: a queue that broke is opened again
            logger.exception("the queue broke; opening it again in %.0f s", START_AGAIN_S)
        await asyncio.sleep(START_AGAIN_S)


async def keep_order(stores: Stores) -> None:
    """Give queries of dead workers to others, and forget old ones, again and again.

    After a while in which this worker could not look, because the machine slept or the database was away, it waits a
    round before it takes others for dead: they may have been as deaf as it was.
    """
    looked_s = forgot_s = 0.0
    while True:
        try:
            now_s = time.time()
            if now_s - looked_s < STALLED_S:
                for query in await asyncio.to_thread(stores.queries.restart_lost):
                    logger.warning("query %s was lost, and is %s", query.id, query.state)
            else:
                await asyncio.to_thread(stores.queries.count_workers)
            looked_s = now_s
            if now_s - forgot_s > FORGET_EVERY_S:
                await asyncio.to_thread(forget_old, stores, datetime.now(UTC))
                forgot_s = now_s
        except StoreError as exc:
            logger.warning("%s", exc)
        except Exception:  # the task's boundary: a fault of one look must not end all later ones
            logger.exception("the queries could not be looked at")
        await asyncio.sleep(LOOK_EVERY_S)


def forget_old(stores: Stores, now_utc: datetime) -> None:
    """Delete queries and uploads that are older than the settings keep them, and what killed workers left here."""
    remove_scratch(stores.settings.query_timeout_s)
    before_utc = now_utc - timedelta(days=stores.settings.query_retention_days)
    stores.queries.forget(before_utc, lambda query_id: stores.files.delete(f"queries/{query_id}"))
    stores.uploads.forget(before_utc)


if __name__ == "__main__":
    main()
