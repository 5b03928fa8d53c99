"""Workers as processes of their own, which tests start, kill and stop, and the queries that they are given."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from loopcast.queries.kinds import QueryKind
from loopcast.stores.opened import Stores
from loopcast.stores.query import Query, QueryState

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60.0
OWNER = "ada"
WORKER = "tests.integration.query_answers"


@dataclass
class Workers:
    """Those that a test has started, and the stores in which they find its queries."""

    stores: Stores
    environment: Mapping[str, str]
    log: Path
    running: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self) -> "subprocess.Popen[bytes]":
        """One more, once it is ready; how many are counted says little while others are taken for dead."""
        n_before = self.count_ready()
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", WORKER], env=self.environment, cwd=ROOT, stderr=log, start_new_session=True
            )
        self.running.append(process)
        wait_for(lambda: process.poll() is not None or self.count_ready() > n_before)
        assert process.poll() is None, self.log.read_text(encoding="utf-8")
        return process

    def count_ready(self) -> int:
        """Times that one has said that it is."""
        return self.log.read_text(encoding="utf-8").count("the worker is ready") if self.log.exists() else 0

    def submit(self, what: str) -> Query:
        """A query that is answered as its series is called."""
        return self.stores.queries.submit(make_query(what), 100)

    def find(self, query: Query) -> Query:
        """A query as it is now."""
        found = self.stores.queries.find(query.id, OWNER)
        assert found is not None
        return found

    def wait(self, query: Query, is_there: Callable[[Query], bool] = lambda query: not query.state.is_open) -> Query:
        """A query once it has ended, or is where the test waits for it."""
        wait_for(lambda: is_there(self.find(query)))
        return self.find(query)

    def wait_until_runs(self, query: Query) -> Query:
        """A query once its computation has told something."""
        return self.wait(query, lambda found: found.state is QueryState.RUNNING and "process" in found.progress)

    def answer(self, what: str) -> Query:
        """A query that has ended."""
        return self.wait(self.submit(what))

    def worker_of(self, query: Query) -> "subprocess.Popen[bytes]":
        """The worker that computes a query, by the process that told where it is."""
        pid = int(self.find(query).progress.rpartition(" ")[2])
        return next(each for each in self.running if pid in _started_by(each))


def make_query(what: str, owner: str = OWNER) -> Query:
    """A query that is answered as its series is called."""
    return Query(
        problem="p",
        kind=QueryKind.EXPLANATION,
        owner=owner,
        request={"series_id": what},
        submitted_at_utc=datetime.now(UTC),
    )


def _started_by(process: "subprocess.Popen[bytes]") -> set[int]:
    if process.poll() is not None:
        return set()
    return {each.pid for each in psutil.Process(process.pid).children(recursive=True)}


def kill(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """End a worker as the system does when memory runs out; the processes that it had started."""
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return started


def wait_for(is_true: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
    """Return as soon as a condition holds; fail if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


@contextmanager
def open_workers(stores: Stores, folder: Path, **settings: str) -> Iterator[Workers]:
    """What starts workers on stores; none is left after the block."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOOPCAST_")}
    places = {"LOOPCAST_HOME": str(stores.settings.home_path)}
    if stores.settings.database_url is not None:
        places["LOOPCAST_DATABASE_URL"] = stores.settings.database_url
    workers = Workers(stores, kept | places | settings, folder / "workers.log")
    try:
        yield workers
    finally:
        for process in workers.running:
            if process.poll() is None:
                process.terminate()
        for process in workers.running:
            process.wait(TIMEOUT_S)
