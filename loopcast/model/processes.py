"""Runs fits side by side in processes of one thread each, which all hold the same design.

One thread a process keeps the weights bit-identical and is the faster choice for networks this small.
"""

import multiprocessing
import multiprocessing.forkserver as forkserver
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import ModuleType
from typing import Any, TypeVar

from loopcast.config import Problem
from loopcast.features import Design

R = TypeVar("R")

_held: tuple[Design, Problem] | None = None


@dataclass(frozen=True)
class Workers:
    """Processes that hold a design and its problem, or this process when there is only one.

    Attributes:
        design: What every job reads.
        problem: Likewise.
        executor: The processes; None runs each job here.
    """

    design: Design
    problem: Problem
    executor: ProcessPoolExecutor | None

    def run(self, job: Callable[..., R], arguments: list[tuple[Any, ...]]) -> Iterator[tuple[int, R]]:
        """Yield the index and result of each `job(design, problem, *arguments[index])` as it comes."""
        if self.executor is None:
            for index, each in enumerate(arguments):
                yield index, job(self.design, self.problem, *each)
            return
        futures = {self.executor.submit(_call, job, each): index for index, each in enumerate(arguments)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            for future in futures:
                future.cancel()


class _WorkerProcess(ForkServerProcess):
    """A process that knows nothing of the command it works for, which it would import first: 0.7 s of `pyflyte`."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  its name in multiprocessing
        command = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return ForkServerProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = command


class _WorkerContext(ForkServerContext):
    """Makes such processes."""

    Process = _WorkerProcess


def start_process_server() -> ForkServerContext:
    """Begin to import, in a process of its own, what every worker needs; call it early, it does not wait."""
    context = _WorkerContext()
    context.set_forkserver_preload(["loopcast.model.residual", "arch"])
    forkserver.ensure_running()
    return context


@contextmanager
def open_workers(design: Design, problem: Problem, n_processes: int) -> Iterator[Workers]:
    """Give workers over a design; they end with the block, and with this process however it ends."""
    if n_processes == 1:
        yield Workers(design, problem, None)
        return
    context = start_process_server()
    with ProcessPoolExecutor(n_processes, context, initializer=_hold, initargs=(design, problem)) as executor:
        yield Workers(design, problem, executor)


def _hold(design: Design, problem: Problem) -> None:
    global _held  # sent once for each process, not once for each job
    import torch

    torch.set_num_threads(1)
    _held = (design, problem)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot end its workers; they notice that it is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _call(job: Callable[..., R], arguments: tuple[Any, ...]) -> R:
    assert _held is not None, "the initializer has run in every worker"
    return job(*_held, *arguments)
