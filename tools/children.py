"""The processes that a command here starts: they end with it, however it ends.

Ctrl-C and SIGTERM reach the command, and so does SIGHUP, when its terminal is closed; it ends in order what it has
started. Where it is killed itself, the kernel tells them: on Linux, and those alone that it has started itself.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

from loopcast.lifeline import end_with_parent
from loopcast.settings import read_settings

ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that ask a command to end."""
STOP_TIMEOUT_S: Final = 30.0
"""For a process to end in order; what runs is given back, and forecasts go to the database."""


def end_like_ctrl_c() -> None:
    """Let every signal that asks this process to end raise `KeyboardInterrupt`, so that no `finally` is passed over."""
    on_ending(signal.default_int_handler)


def on_ending(handler: Callable[[int, FrameType | None], Any]) -> None:
    """Call a handler for every such signal; under `nohup` a closed terminal asks nobody to end."""
    for number in ENDING:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def start(command: Sequence[str | Path], **options: Any) -> "subprocess.Popen[bytes]":
    """A process in a group of its own, so that Ctrl-C in a terminal reaches the command alone."""
    guard = partial(end_with_parent, signal.SIGTERM)
    return subprocess.Popen(command, start_new_session=True, preexec_fn=guard, **options)


def describe_service() -> dict[str, str]:
    """The environment of a service, in which BentoML writes into the work folder and tells nobody."""
    folder = read_settings().home_path / "bentoml"
    return {"BENTOML_HOME": str(folder), **os.environ, "BENTOML_DO_NOT_TRACK": "True"}


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
