"""The processes that a command here starts: they end with it, however it ends.

Ctrl-C and SIGTERM reach the command, and so does SIGHUP, when its terminal is closed; it ends in order what it has
started. Where it is killed itself, the kernel tells them: on Linux, and those alone that it has started itself.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from loopcast.lifeline import end_with_parent

ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that ask a command to end."""
STOP_TIMEOUT_S: Final = 30.0
"""For a process to end in order; what runs is given back, and forecasts go to the database."""


def end_like_ctrl_c() -> None:
    """Let every signal that asks this process to end raise `KeyboardInterrupt`, so that no `finally` is passed over."""
    for number in ENDING:
        signal.signal(number, signal.default_int_handler)


def start(command: Sequence[str | Path], **options: Any) -> "subprocess.Popen[bytes]":
    """A process in a group of its own, so that Ctrl-C in a terminal reaches the command alone."""
    guard = partial(end_with_parent, signal.SIGTERM)
    return subprocess.Popen(command, start_new_session=True, preexec_fn=guard, **options)


def end(*processes: "subprocess.Popen[bytes]") -> list[int]:
    """The exit codes of processes, all told to end that have not; with its whole group one that does not in time."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    return [_wait(process) for process in processes]


def _wait(process: "subprocess.Popen[bytes]") -> int:
    try:
        return process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()
