"""The measured process of the batch benchmark: forecasts many series from many origins as a batch run does.

Takes a work folder, a version that is registered in it, and the number of origins of each series. Forecasts part after
part, each with its own look at model and history, as the tasks of the workflow do; prints seconds and counts as JSON.
"""

import json
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pandas as pd

from benchmarks.champion import CONFIG
from benchmarks.memory_side import return_free_memory
from loopcast.config import load_problem
from loopcast.forecasts import Forecasts, ForecastSource
from loopcast.model.batch import Span
from loopcast.settings import Settings
from loopcast.stores.batch import Batch, choose_model, open_batch
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.opened import Stores
from loopcast.typing import Bools, Names, Times

N_SERIES: Final = 1_000
N_ROWS: Final = 1_066
"""Rows of a series: a thousand origins behind the longest window of the features."""
N_PROCESSES: Final = 2


@dataclass(frozen=True)
class TimedStore(ForecastStore):
    """The store, with a note of the seconds that each call took; each process has a file of its own lines."""

    notes: Path

    def write(self, forecasts: Forecasts) -> int:
        """As the store does."""
        started = time.perf_counter()
        n_new = super().write(forecasts)
        self._note(started)
        return n_new

    def are_stored(
        self, source: ForecastSource, problem: str, version: int, series_ids: Names, origin_utc: Times
    ) -> Bools:
        """As the store does."""
        started = time.perf_counter()
        found = super().are_stored(source, problem, version, series_ids, origin_utc)
        self._note(started)
        return found

    def _note(self, started: float) -> None:
        with self.notes.open("a") as file:
            file.write(f"{time.perf_counter() - started}\n")


def main(home: Path, version: int, n_origins: int) -> None:
    """Put the history in place, then plan and forecast by the clock."""
    stores = Stores(Settings(home=home))
    problem = load_problem(CONFIG).model_copy(update={"forecast_series": ()})
    days = list_days()
    sha256 = stores.artifacts.put_snapshot(make_panel(days))
    return_free_memory()
    span = Span(since_utc=days[-n_origins], until_utc=days[-1])
    chosen = choose_model(stores.registry, problem.name, version, request_id="benchmark")
    features_s, n_new = 0.0, 0

    def open_timed(folder: str) -> Batch:
        nonlocal features_s
        started = time.perf_counter()
        opened = open_batch(stores, chosen, sha256, Path(folder))
        features_s += time.perf_counter() - started
        return opened

    with TemporaryDirectory() as folder:
        log = TimedStore(stores.database, Path(folder) / "notes")
        started = time.perf_counter()
        parts = open_timed(f"{folder}/plan").plan(problem, span).cut()
        for part in parts:
            n_new += open_timed(f"{folder}/{part.first}").store_part(problem, span, part, log, N_PROCESSES)
        wall_s = time.perf_counter() - started
        database_s = sum(map(float, log.notes.read_text().split())) / N_PROCESSES
    print(json.dumps({"n_new": n_new, "wall_s": wall_s, "features_s": features_s, "database_s": database_s}))


def list_days() -> pd.DatetimeIndex:
    """The steps of every series."""
    days = pd.bdate_range("2008-01-01", periods=N_ROWS, tz="America/New_York")
    return days.tz_convert("UTC").as_unit("us")


def make_panel(days: pd.DatetimeIndex) -> pd.DataFrame:
    """Random walks in the canonical form, with the ranges and volumes that the problem's features are made from."""
    rng, shape = np.random.default_rng(0), (N_SERIES, N_ROWS)
    changes = 0.015 * rng.standard_normal(shape)
    return pd.DataFrame(
        {
            "series_id": np.repeat([f"S{k:03}" for k in range(N_SERIES)], N_ROWS),
            "timestamp_utc": np.tile(days, N_SERIES),
            "target": 100 * np.exp(changes.cumsum(axis=1)).ravel(),
            "is_filled": False,
            "range_variance": (changes**2 * rng.uniform(0.5, 1.5, shape)).ravel(),
            "overnight_change": 0.3 * changes.ravel(),
            "covariate_volume": rng.lognormal(15, 0.5, N_SERIES * N_ROWS),
        }
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of MLflow's own code
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
