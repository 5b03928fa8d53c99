"""A service that tests start, load and kill, and the database behind it, which they stop and start."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg

from loopcast.stores import embedded, keeper
from tests.e2e.conftest import ROOT

CLIENTS = 4
FORECASTS = "/api/v1/problems/google/forecasts"
BY_NAME = {"series": [{"series_id": "GOOG"}]}
TIMEOUT_S = 120.0
"""For whatever must come true on a machine that does other things as well."""


@dataclass(frozen=True)
class Postgres:
    """A server of somebody else's, as the service sees it: nobody but the test starts it again."""

    folder: Path

    def start(self) -> str:
        """Its URL, once it answers."""
        return embedded.ensure_running(self.folder)

    def stop(self) -> None:
        """Return when it is gone."""
        keeper.stop_server(self.folder / "data")

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with psycopg.connect(self.start()) as connection:
            return connection.execute(query, parameters).fetchall()

    def count_stored(self, ids: set[str]) -> dict[str, int]:
        """How often each of these forecasts is stored."""
        query = "SELECT id::text, count(*) FROM loopcast.forecasts WHERE id = ANY(%s::uuid[]) GROUP BY id"
        return {str(key): int(n) for key, n in self.rows(query, sorted(ids))}


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """A server of its own while the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="lc-", dir="/tmp"))
    server = Postgres(folder)
    server.start()
    yield server
    server.stop()
    embedded.release(folder)
    shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Service:
    """A running service."""

    port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def url(self) -> str:
        """Where people open it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def worker(self) -> psutil.Process:
        """The process that answers."""
        [worker] = psutil.Process(self.process.pid).children()
        return worker

    def ask(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON of an answer: to a POST of the body, else to a GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            return _ask(connection, path, body, headers or {})
        finally:
            connection.close()

    def read_metric(self, name: str) -> float:
        """The value of a metric without labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


@dataclass
class Load:
    """What clients that ask again and again were told.

    Attributes:
        answers: Of every request that was answered.
        failures: Why connections broke off, and statuses of answers that were none.
    """

    service: Service
    answers: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> set[str]:
        """Of all forecasts that were answered."""
        return {each["forecasts"][0]["forecast_id"] for each in self.answers}

    def keep_asking(self) -> None:
        """Ask on one connection, which is opened anew when it breaks, until it is over."""
        while not self.is_over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=30)
            try:
                while not self.is_over.is_set():
                    status, answer = _ask(connection, FORECASTS, BY_NAME, {})
                    if status == 200:
                        self.answers.append(answer)
                    else:
                        self.failures.append(f"{status}: {answer}")
            except (OSError, http.client.HTTPException) as exc:
                self.failures.append(repr(exc))
                time.sleep(0.05)
            finally:
                connection.close()


@contextmanager
def load(service: Service) -> Iterator[Load]:
    """Clients that ask while the block runs."""
    found = Load(service)
    threads = [threading.Thread(target=found.keep_asking) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: len(found.answers) > CLIENTS)
        yield found
    finally:
        found.is_over.set()
        for thread in threads:
            thread.join()


@contextmanager
def serve(
    machine: Mapping[str, str], port: int, folder: Path, *options: str, probe: str = "/readyz"
) -> Iterator[Service]:
    """The service of this project on a machine, once it is ready, or its probe is; it ends with the block."""
    log = folder / f"service-{port}.log"
    command = [Path(sys.executable).parent / "bentoml", "serve", "bento.service:Loopcast", "-p", str(port), *options]
    environment = {**machine, "BENTOML_DO_NOT_TRACK": "True"}
    with log.open("ab") as sink:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=sink, stderr=sink, start_new_session=True)
    service = Service(port, process, log)
    try:
        wait_for(lambda: process.poll() is not None or _is_ready(service, probe))
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield service
    finally:
        stop(service)


def stop(service: Service) -> int:
    """End a service as an operator does, and return its exit code."""
    service.process.terminate()
    try:
        return service.process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(service.process.pid, signal.SIGKILL)
        raise


def wait_for(is_true: Any, timeout_s: float = TIMEOUT_S) -> None:
    """Return as soon as a condition holds; fail if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def _ask(connection: http.client.HTTPConnection, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
    if body is None:
        connection.request("GET", path, headers=dict(headers))
    else:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, json.loads(content)


def _is_ready(service: Service, probe: str) -> bool:
    try:
        return service.ask(probe)[0] == 200
    except (OSError, ValueError, http.client.HTTPException):
        return False
