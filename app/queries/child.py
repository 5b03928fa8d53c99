"""A process that computes one query: what it may take, what it tells the worker, and that it ends with the worker.

A poisoned input ends this process alone, whichever way: by an error, for want of memory, or by a crash.
"""

import contextlib
import logging
import math
import os
import re
import resource
import signal
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import orjson

from app.logs import configure_logs
from app.queries.answered import Answered, AnswerQuery
from loopcast.errors import LoopcastError, OutdatedError, StoreError
from loopcast.lifeline import end_with_parent
from loopcast.queries.kinds import QueryCancelledError
from loopcast.settings import Settings
from loopcast.stores.opened import Stores
from loopcast.stores.query import STOPPED, Query, QueryState

logger = logging.getLogger(__name__)

TELL_EVERY_S: Final = 0.2
"""Between two words to the worker, however often a computation reports."""
NICENESS: Final = 10
"""A service on the same machine goes first."""
MAX_RESULT_BYTES: Final = 2**20
FILE_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
MEGABYTE: Final = 10**6


@dataclass(frozen=True)
class Moved:
    """A computation is a little further."""

    ratio: float
    sentence: str


@dataclass(frozen=True)
class Ended:
    """A computation has ended."""

    state: QueryState
    reason: str = ""
    result: bytes | None = None
    """JSON."""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Interrupted:
    """A store was away: the computation may end better another time."""

    why: str


class Teller:
    """The `Report` of a computation: tells the worker, and knows when it is to stop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_stopped = threading.Event()
        self._told_s = -math.inf
        threading.Thread(target=self._listen, name="worker's word", daemon=True).start()

    def __call__(self, ratio: float, sentence: str) -> None:
        """As `loopcast.queries.kinds.Report` says."""
        if self._is_stopped.is_set():
            raise QueryCancelledError(STOPPED)
        if time.monotonic() - self._told_s >= TELL_EVERY_S:
            self._told_s = time.monotonic()
            self._connection.send(Moved(float(ratio), sentence))

    def _listen(self) -> None:
        try:
            self._connection.recv()
            self._is_stopped.set()
        except (EOFError, OSError):
            os._exit(1)  # the worker is gone, and somebody else has the query


def compute(connection: Connection, settings: Settings, query: Query, answer: AnswerQuery, scratch: Path) -> None:
    """Answer a query and tell the worker; the process's main function.

    Args:
        connection: To the worker.
        scratch: Folder for what is made on the way; the worker deletes it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C reaches all processes of a terminal; the worker decides
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    configure_logs()
    tempfile.tempdir = str(scratch)
    try:
        connection.send(_compute(Stores(settings), query, answer, Teller(connection)))
    except (BrokenPipeError, ConnectionResetError):
        logger.warning("the worker is gone; query %s is left to others", query.id)


def _compute(stores: Stores, query: Query, answer: AnswerQuery, report: Teller) -> Ended | Interrupted:
    try:
        _ = stores.database  # first: one that has to be started shall not be held by the bounds below
        _limit(stores.settings)
        return _keep(stores, query, answer(stores, query, report))
    except QueryCancelledError:
        return Ended(QueryState.CANCELLED, STOPPED)
    except StoreError as exc:
        return Ended(QueryState.FAILED, str(exc)) if isinstance(exc, OutdatedError) else Interrupted(str(exc))
    except LoopcastError as exc:
        return Ended(QueryState.FAILED, str(exc))
    except MemoryError:
        return Ended(QueryState.FAILED, f"found too much to compute in {stores.settings.query_max_mb} MB; ask for less")
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception:  # the process's boundary: whatever happens is logged, and nothing of it told
        logger.exception("an error that was not expected", extra={"fields": {"query_id": str(query.id)}})
        reason = f"an error that was not expected; the worker logged it under the query's id {query.id}"
        return Ended(QueryState.FAILED, reason)


def _keep(stores: Stores, query: Query, answered: Answered) -> Ended:
    """The answer, with its files in the artifact store."""
    result = orjson.dumps(answered.result, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    if len(result) > MAX_RESULT_BYTES:
        what = f"found a result of {len(result) / MEGABYTE:.1f} MB, needs at most 1 MB; ask for less at once"
        return Ended(QueryState.FAILED, what)
    for name, path in answered.files.items():
        assert FILE_NAME.fullmatch(name), "names of files are chosen by the code"
        with path.open("rb") as source:
            stores.files.put(f"queries/{query.id}/{name}", source)
    return Ended(QueryState.DONE, result=result, files=tuple(answered.files))


def _limit(settings: Settings) -> None:
    """Bound what this process may take, and each that it starts; where the system knows no such bound, without it."""
    os.nice(NICENESS)
    for which, most in ((resource.RLIMIT_DATA, settings.query_max_mb * MEGABYTE), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, (most, most))
