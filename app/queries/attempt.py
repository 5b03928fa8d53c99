"""One attempt at a query, as a worker makes it: a process that computes, watched until it ends or has to.

It runs in a thread of the worker and waits for the database where it is away, so that a computation of an hour is not
lost for a second without it.
"""

import logging
import multiprocessing
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

import orjson

from app.queries.answered import AnswerQuery
from app.queries.child import Ended, Interrupted, Moved, compute
from loopcast.errors import StoreError
from loopcast.settings import Settings
from loopcast.stores.files import remove_left
from loopcast.stores.queries import Queries
from loopcast.stores.query import STOPPED, Query, QueryState

logger = logging.getLogger(__name__)

TICK_S: Final = 0.1
"""Longest wait before it is looked whether the worker is to stop."""
WRITE_EVERY_S: Final = 0.5
"""Between two looks at the query's row, which tell how far it is and learn whether it is to stop."""
STOP_GRACE_S: Final = 10.0
"""In which a computation that is to stop does so by itself."""
RETRY_S: Final = 1.0
"""Between two attempts to write into a database that is away."""
DELAYS_S: Final = (5, 25)
"""Before a query whose store was away is tried again."""
SPREAD_S: Final = 0.5
"""In which a signal that goes to all processes of a machine, or of a terminal, has reached the worker too."""
SCRATCH: Final = "loopcast-query-"
SCRATCH_AGE_S: Final = 86_400.0
"""Beyond the longest attempt, after which a scratch folder is taken for left: a machine may have slept meanwhile."""
PARENT_GONE: Final = 255
"""Told by `multiprocessing` where what the process was split off from has ended, and the process with it."""
ENDS: Final = {signal.SIGKILL: "by the system, as it does when memory runs out", signal.SIGTERM: "by somebody"}
"""How a process was ended by a signal; by any other it ends for a fault of its own."""
PRELOADED: Final = ["app.queries.child", "loopcast.stores.opened"]
"""Imported once, before a process is split off for each query: half a second that no query waits for."""
CONTEXT: Final = multiprocessing.get_context("forkserver")

Written = TypeVar("Written")


@dataclass(frozen=True)
class Lost:
    """The query has another job by now, or was forgotten."""


@dataclass(frozen=True)
class Stopping:
    """The worker is to stop."""


Outcome = Ended | Interrupted | Lost | Stopping


@dataclass(frozen=True)
class Attempts:
    """Makes attempts, several at once, each in a thread.

    Attributes:
        answer: Computes; by its name it must be importable.
        is_worker_stopping: Whether the worker is about to end, and with it all processes of its machine, perhaps.
    """

    settings: Settings
    queries: Queries
    answer: AnswerQuery
    is_worker_stopping: Callable[[], bool] = lambda: False

    def warm_up(self) -> None:
        """Start what processes are split off from, with all that they import."""
        CONTEXT.set_forkserver_preload([*PRELOADED, self.answer.__module__])
        forkserver.ensure_running()

    def make(self, query_id: UUID, job_id: int, is_stopping: Callable[[], bool]) -> None:
        """One attempt at a query, from its row to its row; none where another worker has it."""
        query = self._insist(lambda: self.queries.begin(query_id, job_id), is_stopping)
        if query is None:
            return
        logger.info("begins", extra={"fields": _describe(query)})
        outcome = self._compute(query, is_stopping)
        found = self._insist(lambda: self._write(query, outcome), is_stopping)
        logger.info("ends", extra={"fields": _describe(found or query) | {"outcome": type(outcome).__name__}})

    def _compute(self, query: Query, is_stopping: Callable[[], bool]) -> Outcome:
        ours, theirs = CONTEXT.Pipe()
        with _open_scratch() as scratch, ours:
            process = CONTEXT.Process(
                target=compute,
                args=(theirs, self.settings, query, self.answer, Path(scratch)),
                name=f"query {query.id}",
            )
            process.start()
            theirs.close()
            try:
                return self._follow(query, process, ours, is_stopping)
            finally:
                process.kill()
                process.join()

    def _follow(
        self, query: Query, process: BaseProcess, connection: Connection, is_stopping: Callable[[], bool]
    ) -> Outcome:
        """How the computation ends, or why it must."""
        moved = Moved(0.0, query.progress)
        ends_s, written_s = time.monotonic() + self.settings.query_timeout_s, -WRITE_EVERY_S
        is_told = False
        while True:
            wait([connection, process.sentinel], TICK_S)
            while (message := _receive(connection)) is not None:
                if not isinstance(message, Moved):
                    return message
                moved = message
            if not process.is_alive():
                return _receive_last(connection) or self._judge_end(process.exitcode)
            now_s = time.monotonic()
            if is_stopping():
                return Stopping()
            if now_s > ends_s:
                return _time_out(is_told, self.settings.query_timeout_s)
            if now_s - written_s < WRITE_EVERY_S:
                continue
            written_s = now_s
            try:
                found = self.queries.move(query.id, query.job_id, moved.ratio, moved.sentence)
            except StoreError as exc:
                logger.warning("%s", exc, extra={"fields": _describe(query)})
                continue
            if found is None:
                return Lost()
            if found.is_cancel_asked and not is_told:
                is_told, ends_s = True, min(ends_s, now_s + STOP_GRACE_S)
                _tell_stop(connection)

    def _judge_end(self, exit_code: int | None) -> Outcome:
        """What it means that a process ended without an answer."""
        time.sleep(SPREAD_S)
        if self.is_worker_stopping():
            return Stopping()
        if exit_code == PARENT_GONE:
            return Interrupted("the process that computes queries was ended by somebody")
        if exit_code is None or exit_code >= 0:
            return Ended(QueryState.FAILED, "its process ended without an answer; the worker's log may say why")
        number = signal.Signals(-exit_code)
        how = f"{ENDS.get(number, 'by a fault in it')} ({number.name})"
        return Ended(QueryState.FAILED, f"its process was ended {how}; ask for less, or tell those who run the workers")

    def _write(self, query: Query, outcome: Outcome) -> Query | None:
        """Write down how an attempt ended."""
        match outcome:
            case Ended(state, reason, result, files):
                parsed = None if result is None else orjson.loads(result)
                return self.queries.end(query.id, query.job_id, state, reason=reason, result=parsed, files=files)
            case Interrupted(why):
                delay_s = DELAYS_S[min(query.n_attempts, len(DELAYS_S)) - 1]
                return self.queries.interrupt(query.id, query.job_id, why, is_counted=True, delay_s=delay_s)
            case Stopping():
                return self.queries.interrupt(query.id, query.job_id, "its worker was stopped", is_counted=False)
            case Lost():
                return None

    def _insist(self, write: Callable[[], Written], is_stopping: Callable[[], bool]) -> Written | None:
        """What is written, as soon as the database lets it be; None where the worker must not wait for that."""
        while True:
            try:
                return write()
            except StoreError as exc:
                logger.warning("%s", exc)
                if is_stopping():
                    return None
                time.sleep(RETRY_S)


def remove_scratch(timeout_s: float) -> None:
    """Remove what workers of this machine made on the way before they were killed.

    Args:
        timeout_s: Longest that an attempt lasts, of any worker.
    """
    remove_left(Path(tempfile.gettempdir()), f"{SCRATCH}*", timeout_s + SCRATCH_AGE_S)


def _open_scratch() -> "tempfile.TemporaryDirectory[str]":
    """A folder for what is made on the way; what a process still writes while it is ended shall not matter."""
    return tempfile.TemporaryDirectory(prefix=SCRATCH, ignore_cleanup_errors=True)


def _receive(connection: Connection) -> Moved | Ended | Interrupted | None:
    """What the process has told, None for nothing new."""
    try:
        message: Moved | Ended | Interrupted | None = connection.recv() if connection.poll() else None
    except (EOFError, OSError):
        return None
    return message


def _receive_last(connection: Connection) -> Ended | Interrupted | None:
    """What a process told last before it ended."""
    last = None
    while (message := _receive(connection)) is not None:
        last = message
    return None if isinstance(last, Moved) else last


def _time_out(is_told: bool, timeout_s: float) -> Ended:
    if is_told:
        return Ended(QueryState.CANCELLED, STOPPED)
    return Ended(QueryState.FAILED, f"found no answer within {timeout_s:g} s; ask for less at once")


def _tell_stop(connection: Connection) -> None:
    try:
        connection.send("stop")
    except OSError:
        logger.debug("it has just ended")


def _describe(query: Query) -> dict[str, object]:
    return {
        "query_id": str(query.id), "kind": query.kind, "problem": query.problem, "state": query.state,
        "n_attempts": query.n_attempts,
    }  # fmt: skip
