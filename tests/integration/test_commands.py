"""What a command starts ends with it, whichever way it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.integration.clients import wait_until

ROOT = Path(__file__).parents[2]
WORKER = "_bentoml_impl.worker.service"
"""On the command line of the process that answers for a service."""
TIMEOUT_S = 120.0
"""For what imports for ten seconds and more on a busy machine."""


@contextmanager
def start(home: Path, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python module that runs as a command in a group of its own; nothing that it started outlives the block."""
    environment = os.environ | {"LOOPCAST_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", *words]
    with (home / "command.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(TIMEOUT_S)


def find_started(process: "subprocess.Popen[bytes]", word: str) -> list[psutil.Process]:
    """All processes that a command has started, once one has the word on its command line."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        assert process.poll() is None, "it ended by itself"
        found[:] = psutil.Process(process.pid).children(recursive=True)
        return any(word in part for each in found if each.is_running() for part in read_words(each))

    wait_until(is_there, TIMEOUT_S)
    return found


def read_words(process: psutil.Process) -> list[str]:
    """Its command line; none where it has just ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def wait_for_end(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run after a while, which are ended then."""
    _, left = psutil.wait_procs(processes, timeout=TIMEOUT_S)
    for each in left:
        each.kill()
    return left


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "last", "number", "exit_code"),
    [
        (("tools.demo", "configs/google.yaml"), WORKER, signal.SIGHUP, 1),
        (("tools.ui", "--evidently-port", "0", "--mlflow-port", "0"), "mlflow", signal.SIGHUP, 0),
        (("tools.serve", "--port", "0"), WORKER, signal.SIGKILL, -signal.SIGKILL),
    ],
    ids=["demo-in-a-closed-terminal", "ui-in-a-closed-terminal", "serve-killed"],
)
def test_what_a_command_started_ends_with_it(home, words, last, number, exit_code):
    """No service goes on answering, and no port stays taken, for a command that is gone."""
    with start(home, *words) as process:
        started = find_started(process, last)

        process.send_signal(number)
        code = process.wait(TIMEOUT_S)

    assert wait_for_end(started) == []
    assert code == exit_code


@pytest.mark.slow
def test_a_service_whose_supervisor_is_killed_answers_no_longer(home):
    """BentoML's worker alone would keep the address, and nobody would start it again."""
    with start(home, "bentoml", "serve", "bento.service:Loopcast", "--port", "0") as process:
        wait_until(lambda: b"Loopcast initialized" in (home / "command.log").read_bytes(), TIMEOUT_S)
        started = find_started(process, WORKER)

        process.kill()
        process.wait(TIMEOUT_S)

    assert wait_for_end(started) == []
