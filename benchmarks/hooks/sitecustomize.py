"""Notes when a process of the timed demo imports, and when it is inside one of the watched functions.

Python loads a module of this name at its start when its folder is on PYTHONPATH, in the demo as in each worker. So the
demo is timed as it is, and its code knows nothing of it. A note is a line: process id, start and end in seconds of the
monotonic clock, which all processes share, and a label. Only outermost imports and only main threads are noted.

The service that the demo starts beside its training is not watched: nobody waits for its imports, and where somebody
does wait for it, the demo is seen to do nothing.
"""

import functools
import importlib
import inspect
import os
import sys
import threading
import time
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

FILE_VARIABLE = "LOOPCAST_BENCH_NOTES"
SERVICE = "bentoml"
"""What stands in the command of each process of the service."""
IMPORTS = "imports"
WATCHED: dict[str, dict[str, str]] = {
    "loopcast.stores.sources": {"read_source": "data"},
    "loopcast.panel": {"build_panel": "data"},
    "loopcast.stores.artifacts": {"ArtifactStore": "data"},
    "loopcast.model.fitting": {"fit_for_service": "model", "save_candidates": "model"},
    "loopcast.evidence.backtest": {"backtest_panel": "model"},
    "loopcast.model.explanation": {"explain_forecaster": "model"},
    "loopcast.evidence.account": {"draw_up_account": "model"},
    "loopcast.replay.run": {"run_replay": "model"},
    "loopcast.replay.page": {"write_replay": "report"},
    "loopcast.stores.database": {"open_database": "PostgreSQL"},
    "loopcast.stores.registry": {"open_registry": "MLflow", "Registry": "MLflow"},
    "loopcast.stores.runs": {"TrainingRun": "MLflow"},
    "loopcast.stores.reports": {"write_report": "report"},
}
"""Functions by module, and what each is work for; of a class, every public method."""


def note(started: float, label: str) -> None:
    """Add a line to the file; the system appends it whole, whichever process writes."""
    line = f"{os.getpid()} {started:.6f} {time.monotonic():.6f} {label}\n"
    file = os.open(os.environ[FILE_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def watch(module: ModuleType) -> None:
    """Put the watched functions of a module that was just loaded behind timers."""
    for name, label in WATCHED[module.__name__].items():
        found = getattr(module, name)
        if not inspect.isclass(found):
            setattr(module, name, time_calls(found, label))
            continue
        for method_name, method in vars(found).items():
            if isinstance(method, FunctionType) and not method_name.startswith("_"):
                setattr(found, method_name, time_calls(method, label))


def time_calls(function: Callable[..., Any], label: str) -> Callable[..., Any]:
    """The function, with a note of each call in the main thread."""

    @functools.wraps(function)
    def timed(*args: Any, **options: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return function(*args, **options)
        started = time.monotonic()
        try:
            return function(*args, **options)
        finally:
            note(started, label)

    return timed


def watch_imports() -> None:
    """Note every outermost import, and watch what it loaded."""
    bootstrap: Any = importlib._bootstrap  # where every import that loads something passes
    find_and_load = bootstrap._find_and_load
    depth = 0

    def timed(name: str, import_: Any) -> ModuleType:
        nonlocal depth
        if threading.current_thread() is not threading.main_thread():
            return load(name, import_)
        depth += 1
        started = time.monotonic()
        try:
            return load(name, import_)
        finally:
            depth -= 1
            if depth == 0:
                note(started, IMPORTS)

    def load(name: str, import_: Any) -> ModuleType:
        is_new = name not in sys.modules
        module: ModuleType = find_and_load(name, import_)
        if is_new and name in WATCHED:
            watch(module)
        return module

    bootstrap._find_and_load = timed


if FILE_VARIABLE in os.environ and not any(SERVICE in word for word in sys.orig_argv):
    watch_imports()
