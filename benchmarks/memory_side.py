"""The measured process of the memory benchmark: builds a large design, says so, and trains one network on request.

Prints a line when the design is built, waits for a line, trains, and ends.
"""

import ctypes
import gc
import sys

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.features import build_design
from loopcast.model.split import split_for_service
from loopcast.model.training import train_network

N_SERIES, N_ROWS = 500, 2_000
EPOCHS = 2
PROBLEM = Problem.model_validate(
    {
        "name": "walks",
        "title": "Random walks",
        "unit": "USD",
        "source": {"uri": "none.csv"},
        "columns": {"timestamp": "time", "target": "value", "series_id": "name"},
        "frequency": "D",
        "features": {"calendar": ["day_of_week"]},
        "training": {"max_epochs": EPOCHS},
    }
)


def main() -> None:
    """Build, tell, wait, train."""
    design = build_design(make_panel(N_SERIES), PROBLEM)
    split = split_for_service(design, PROBLEM)
    return_free_memory()
    print("built", flush=True)
    sys.stdin.readline()
    train_network(design, split, PROBLEM, seed=0)


def return_free_memory() -> None:
    """Give back what building has freed; glibc would keep it, and what training adds would hide in it."""
    gc.collect()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def make_panel(n_series: int) -> pd.DataFrame:
    """Random walks in the canonical form."""
    days = pd.date_range("2015-01-01", periods=N_ROWS, tz="UTC").astype("datetime64[us, UTC]")
    steps = np.random.default_rng(0).standard_normal((n_series, N_ROWS))
    return pd.DataFrame(
        {
            "series_id": np.repeat([f"S{k:03}" for k in range(n_series)], N_ROWS),
            "timestamp_utc": np.tile(days, n_series),
            "target": steps.cumsum(axis=1).ravel(),
            "is_filled": False,
        }
    )


if __name__ == "__main__":
    main()
