"""A training that somebody asks for: started in a process of its own, followed to its end, and told in sentences."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import yaml

from loopcast.config import Problem
from loopcast.errors import LoopcastError
from loopcast.queries.kinds import Report
from loopcast.settings import PREFIX, Settings

MODULE: Final = "launchplans.on_demand"
TELL_EVERY_S: Final = 0.25
"""So that a stop is noticed within a second."""
STOP_S: Final = 5.0
"""Longest wait for the processes to end that were told to."""
NAME_CHARACTERS: Final = 19
"""Of an id, in the name of an execution on Flyte, which takes twenty."""
STAGES: Final[Mapping[str, tuple[float, float, str]]] = {
    "ingest_panel": (0.02, 0.05, "Reading and checking the data"),
    "store_snapshot": (0.05, 0.08, "Keeping the data"),
    "train_candidates": (0.08, 0.30, "Training the candidates"),
    "backtest_candidates": (0.30, 0.90, "Judging them in a walk forward"),
    "explain_offer": (0.90, 0.93, "Explaining the best"),
    "register_challenger": (0.93, 0.95, "Registering it"),
    "judge_challenger": (0.95, 0.97, "Asking the gate"),
    "promote_challenger": (0.97, 0.98, "Putting it into service"),
    "reject_challenger": (0.97, 0.98, "Writing down why not"),
    "report_training": (0.98, 1.00, "Writing the report"),
}
"""How far a training is when a task begins and ends, and what it is at."""
ENDS: Final = frozenset(["outcome", "execution_id", "error"])
"""Events after which nothing more comes."""
COUNTED: Final = re.compile(r": (?P<done>\d+) of (?P<total>\d+)\b")
"""What `loopcast.progress` shows of long work."""
PLACES: Final = ("home", "database_url", "artifacts_url", "tracking_uri", "seed_processes")
"""Settings that a training here shares with this process."""


@dataclass
class Progress:
    """How far a training is."""

    ratio: float = 0.0
    sentence: str = "Starting"
    stage: tuple[float, float, str] = (0.0, 0.02, "Starting")

    def read(self, line: str) -> dict[str, Any]:
        """What a line of the output tells, beside how far the training is.

        >>> progress = Progress()
        >>> progress.read('{"task": "backtest_candidates"}')
        {'task': 'backtest_candidates'}
        >>> progress.read("google: backtest of 14 folds: 5 of 10 after 15 s")
        {}
        >>> progress.sentence, progress.ratio
        ('Judging them in a walk forward: 5 of 10', 0.6)
        """
        event: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
        if event.get("task") in STAGES:
            self.stage = STAGES[event["task"]]
            self.ratio, _, self.sentence = self.stage
        elif found := COUNTED.search(line):
            n_done, n_total = int(found["done"]), int(found["total"])
            first, last, sentence = self.stage
            self.ratio = round(first + (last - first) * n_done / max(n_total, 1), 3)
            self.sentence = f"{sentence}: {n_done} of {n_total}"
        return event


def run_training(problem: Problem, query_id: str, actor: str, settings: Settings, report: Report) -> dict[str, Any]:
    """What a training led to, `outcome`; or the `execution_id` and `execution_url` of one that runs on Flyte.

    Args:
        query_id: Asked again for the same query, Flyte starts none anew.
        actor: Who is written beside the gate's decision.

    Raises:
        LoopcastError: It failed, or cannot be started here.
        QueryCancelledError: It was stopped, with all processes that it had started.
    """
    config = Path(tempfile.mkdtemp()) / f"{problem.name}.yaml"
    config.write_text(yaml.safe_dump(problem.model_dump(mode="json"), allow_unicode=True, sort_keys=False), "utf-8")
    progress, last = Progress(), ""
    told: dict[str, Any] = {}
    name = f"q{query_id.replace('-', '')[:NAME_CHARACTERS]}"
    with _start([str(config), name], actor, settings) as lines:
        for line in lines:
            told |= progress.read(line)
            last = line.strip() or last
            report(progress.ratio, progress.sentence)
            if told.keys() & ENDS:
                break
    if "error" in told:
        raise LoopcastError(f"the training failed: {told['error']}")
    if not told.keys() & ENDS:
        raise LoopcastError(f"the training ended without a word of its outcome; its last was: {last[:200]}")
    return told


@contextmanager
def _start(arguments: list[str], actor: str, settings: Settings) -> Iterator[Iterator[str]]:
    """The lines of the training's output as they come, empty ones in between; all its processes end with the block."""
    places = {f"{PREFIX}{name.upper()}": getattr(settings, name) for name in PLACES}
    environment = os.environ | {name: str(value) for name, value in places.items() if value is not None}
    process = subprocess.Popen(  # noqa: S603  a module of ours
        [sys.executable, "-m", MODULE, *arguments],
        cwd=_find_checkout(),
        env=environment | {f"{PREFIX}ACTOR": actor, "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stdin is not None, "it is a pipe"
    lines: SimpleQueue[str | None] = SimpleQueue()
    threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True).start()
    try:
        yield _follow(lines)
    finally:
        process.stdin.close()  # on which it ends its whole group, if it runs still
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _read_lines(output: Any, lines: "SimpleQueue[str | None]") -> None:
    with output:
        for line in output:
            lines.put(line)
    lines.put(None)


def _follow(lines: "SimpleQueue[str | None]") -> Iterator[str]:
    while True:
        try:
            line = lines.get(timeout=TELL_EVERY_S)
        except Empty:
            line = ""
        if line is None:
            return
        yield line


def _find_checkout() -> Path:
    """Where the workflows lie."""
    found = importlib.util.find_spec(MODULE.partition(".")[0])
    if found is None or found.origin is None:
        raise LoopcastError(
            "this worker has no workflows to train by; start it in the checkout, or in the project's image"
        )
    return Path(found.origin).parents[1]
