"""Processes beside the service: the worker that answers long queries, and the provider at which people sign in."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from benchmarks.servers import find_port
from tests.e2e.conftest import ROOT
from tests.e2e.serving import wait_for

READY = "the worker is ready"


def measure_memory_mb(pid: int) -> float:
    """Resident memory of a process and all that it started."""
    process = psutil.Process(pid)
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True))) / 2**20


@contextmanager
def run_provider(people: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Address of an OpenID provider, once it answers, that knows these people with their group; ends with the block."""
    port = find_port()
    known = [json.dumps({"sub": name, "name": name.title(), "groups": [group]}) for name, group in people.items()]
    options = [option for claims in known for option in ("--user-claims", claims)]
    address = f"http://127.0.0.1:{port}"
    with (folder / "provider.log").open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), *options],
            stdout=sink, stderr=sink,
        )  # fmt: skip
    try:
        wait_for(lambda: _answers(f"{address}/.well-known/openid-configuration"))
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address).is_success
    except httpx.TransportError:
        return False


@contextmanager
def run_worker(machine: Mapping[str, str], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker on a machine, once it takes queries; it ends with the block."""
    log = folder / "worker.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.queries.worker"],
            env=dict(machine), cwd=ROOT, stdout=sink, stderr=sink, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(lambda: process.poll() is not None or READY in log.read_text(encoding="utf-8"))
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
