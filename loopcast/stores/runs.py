"""One MLflow run a training: opened in one process, continued in others by its id, and ended by one of them."""

import json
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import pandas as pd

from loopcast.config import Problem
from loopcast.evidence.metrics import Score

if TYPE_CHECKING:
    from mlflow import MlflowClient

SAMPLE_EVERY_S: Final = 5.0
"""Between samples of processor and memory; one costs 20 ms."""
MAX_METRICS, MAX_PARAMETERS = 1000, 100
"""What MLflow takes in one call."""
MAX_PARAMETER_LENGTH, MAX_TAG_LENGTH = 6000, 8000
"""Characters that MLflow takes."""
ERROR_TAG: Final = "error"

T = TypeVar("T")


class RunStatus(StrEnum):
    """How a run can stand; MLflow's own names."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    """By an error, which the tag `error` holds."""
    KILLED = "KILLED"
    """Its process ended without a word."""


@dataclass(frozen=True)
class TrainingRun:
    """An open run. As a context it ends as failed when an exception leaves the block, and else stays open."""

    client: "MlflowClient"
    run_id: str

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if exc is not None:
            self.end(RunStatus.FAILED, error=str(exc))

    def finish(self) -> None:
        """End the run as finished."""
        self.end(RunStatus.FINISHED)

    def end(self, status: RunStatus, error: str = "") -> None:
        """End the run, with the error that ended it."""
        if error:
            self.client.set_tag(self.run_id, ERROR_TAG, error[:MAX_TAG_LENGTH])
        self.client.set_terminated(self.run_id, status)

    def log_problem(self, problem: Problem) -> None:
        """Log all that a problem says as parameters."""
        from mlflow.entities import Param

        values = flatten(problem.model_dump(mode="json"))
        parameters = [Param(name, text[:MAX_PARAMETER_LENGTH]) for name, text in values.items()]
        for some in _slice(parameters, MAX_PARAMETERS):
            self.client.log_batch(self.run_id, params=some)

    @contextmanager
    def measure_system(self, every_s: float = SAMPLE_EVERY_S) -> Iterator[None]:
        """Log processor, memory, disk and network of this machine while the block runs."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        uri = self.client.tracking_uri
        monitor = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
            self.run_id, every_s, resume_logging=True, tracking_uri=uri
        )
        monitor.start()  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            monitor.finish()  # type: ignore[no-untyped-call]

    def log_curves(self, curves: pd.DataFrame) -> None:
        """Log the learning curves, by seed.

        Args:
            curves: seed, epoch, train_loss, validation_loss.
        """
        for name in ("train_loss", "validation_loss"):
            rows = zip(curves["seed"], curves[name], curves["epoch"], strict=True)
            self._log((f"seed_{seed}/{name}", float(loss), int(epoch)) for seed, loss, epoch in rows)

    def log_scores(self, scores: Mapping[str, Score]) -> None:
        """Log the pooled figures of each candidate, by its name."""
        self.log_figures({f"{name}/{key}": v for name, each in scores.items() for key, v in each.figures().items()})

    def log_figures(self, figures: Mapping[str, float]) -> None:
        """Log figures; those that could not be known are left out."""
        self._log((name, value, 0) for name, value in figures.items())

    def log_files(self, folder: Path, place: str = "report") -> None:
        """Keep all files of a folder among the run's artifacts, in the folder `place`."""
        self.client.log_artifacts(self.run_id, str(folder), place)

    def locate_files(self, place: str = "report") -> str:
        """URL under which `log_files` keeps the files of a folder."""
        return f"{self.client.get_run(self.run_id).info.artifact_uri}/{place}"

    def log_frame(self, name: str, frame: pd.DataFrame) -> None:
        """Keep a table for `Registry.read_frame`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(frame_path(name)).name
            frame.to_parquet(path, index=False, write_page_checksum=True)
            self.client.log_artifact(self.run_id, str(path), str(Path(frame_path(name)).parent))

    def log_text(self, name: str, text: str) -> None:
        """Keep a text for `Registry.read_text`, in the place of one of this name."""
        self.client.log_text(self.run_id, text, text_path(name))

    def _log(self, points: Iterator[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now_ms, int(step)) for name, value, step in points if math.isfinite(value)
        ]
        for some in _slice(metrics, MAX_METRICS):
            self.client.log_batch(self.run_id, metrics=some)


def frame_path(name: str) -> str:
    """Where a table lies among a run's artifacts."""
    return f"frames/{name}.parquet"


def text_path(name: str) -> str:
    """Where a text lies among a run's artifacts."""
    return f"texts/{name}.json"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as text under dotted names.

    >>> flatten({"name": "google", "network": {"hidden_size": 16}, "quantiles": [0.1, 0.9], "query": None})
    {'name': 'google', 'network.hidden_size': '16', 'quantiles': '[0.1, 0.9]', 'query': 'null'}
    """
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _slice(items: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    return (items[i : i + length] for i in range(0, len(items), length))
