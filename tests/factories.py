"""Problems and source rows with defaults, for tests that care about one thing at a time."""

from typing import Any

import pandas as pd

from loopcast.config import Problem

DEFAULTS: dict[str, Any] = {
    "name": "shops",
    "title": "Daily sales of shops",
    "unit": "CHF",
    "source": {"uri": "shops.csv"},
    "columns": {"series_id": "shop", "timestamp": "day", "target": "sales"},
    "frequency": "D",
    "horizon": 1,
    "features": {"scales": [1, 2]},
    "quality": {"min_rows": 4},
}
"""A problem small enough that four rows are a series."""


def make_problem(**overrides: Any) -> Problem:
    """A problem from YAML keys; a mapping such as `quality={"fill_steps": 2}` is laid over the default one."""
    keys = DEFAULTS | overrides
    for name in DEFAULTS.keys() & overrides.keys():
        if isinstance(DEFAULTS[name], dict):
            keys[name] = DEFAULTS[name] | overrides[name]
    return Problem.model_validate(keys)


def make_rows(
    *sales: object, shop: object = "north", start: str = "2024-01-01", frequency: str = "D", **columns: object
) -> pd.DataFrame:
    """Source rows of one shop, step after step: `shop`, `day` as text, `sales`, and further columns as given."""
    times = pd.date_range(start, periods=len(sales), freq=frequency)
    days = times.strftime("%Y-%m-%d" if (times == times.normalize()).all() else "%Y-%m-%dT%H:%M:%S")
    return pd.DataFrame({"shop": shop, "day": days, "sales": list(sales), **columns})
