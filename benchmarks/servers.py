"""Servers that benchmarks start, each a process with children of its own, and how long they take until they answer."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

ROOT: Final = Path(__file__).parents[1]
BIN: Final = Path(sys.executable).parent
START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 30.0
ASK_EVERY_S: Final = 0.02
MIB: Final = 2**20
ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Endpoint:
    """Where and what a server is asked.

    Attributes:
        name: For the table.
        path: Of the address.
        body: JSON.
    """

    name: str
    path: str
    body: bytes


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Attributes:
        port: On 127.0.0.1.
        pid: Of the process that was started.
        first_answer_s: From its start to its first right answer.
    """

    port: int
    pid: int
    first_answer_s: float

    def measure_memory_mb(self) -> float:
        """Resident memory of its largest process: the one that answers."""
        process = psutil.Process(self.pid)
        return max(each.memory_info().rss for each in (process, *process.children(recursive=True))) / MIB


@contextmanager
def serve(
    command: Sequence[str | Path], endpoint: Endpoint, port: int, log: Path, environment: Mapping[str, str]
) -> Iterator[Running]:
    """Start a server, wait for its first right answer, and end it and its children at the end of the block."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOOPCAST_", "MLFLOW_"))}
    kept["PATH"] = f"{BIN}{os.pathsep}{kept['PATH']}"  # MLflow looks for uvicorn there
    started_s = time.monotonic()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=ROOT, env=kept | ONE_THREAD | environment, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        while not _answers(port, endpoint):
            if process.poll() is not None or time.monotonic() - started_s > START_TIMEOUT_S:
                sys.exit(f"{endpoint.name} did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")
            time.sleep(ASK_EVERY_S)
        yield Running(port, process.pid, time.monotonic() - started_s)
    finally:
        with suppress(ProcessLookupError):  # it ended by itself
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def find_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int, endpoint: Endpoint) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", endpoint.path, endpoint.body, {"Content-Type": "application/json"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
