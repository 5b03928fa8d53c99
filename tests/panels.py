"""Simulated panels in the canonical form, and problems that fit them."""

from typing import Any

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.sections.data import Columns, Source


def make_panel_problem(**changes: Any) -> Problem:
    """A small daily problem on a log price, quick to train; keys as in a YAML."""
    keys: dict[str, Any] = {
        "name": "prices",
        "title": "Simulated prices",
        "unit": "USD",
        "source": Source(uri="prices.csv"),
        "columns": Columns(timestamp="day", target="price", series_id="name"),
        "frequency": "B",
        "transform": "log",
        "horizon": 3,
        "features": {"calendar": ["day_of_week"]},
        "network": {"hidden_size": 4},
        "training": {"n_seeds": 2, "max_epochs": 3, "validation_steps": 120},
        "backtest": {"refit_steps": 150, "garch_simulations": 200},
    }
    return Problem.model_validate(keys | changes)


def make_panel(n_series: int = 2, n_steps: int = 500, seed: int = 0, has_ranges: bool = False) -> pd.DataFrame:
    """Business-day prices whose volatility clusters, one random walk a series."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2015-01-05", periods=n_steps, tz="UTC").astype("datetime64[us, UTC]")
    frames = []
    for k in range(n_series):
        variance, changes = 1e-4, np.empty(n_steps)
        for t in range(n_steps):
            changes[t] = np.sqrt(variance) * rng.standard_normal()
            variance = 3e-6 + 0.1 * changes[t] ** 2 + 0.87 * variance
        frame = pd.DataFrame({"series_id": f"S{k}", "timestamp_utc": days, "target": 100 * np.exp(changes.cumsum())})
        if has_ranges:
            frame["range_variance"] = changes**2 * rng.uniform(0.5, 1.5, n_steps)
            frame["overnight_change"] = 0.3 * changes
        frames.append(frame.assign(is_filled=False))
    return pd.concat(frames, ignore_index=True)
