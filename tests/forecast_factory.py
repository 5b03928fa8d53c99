"""Forecasts with defaults, for tests that care about one thing at a time; no model makes them."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np

from loopcast.forecasts import Forecasts, ForecastSource, identify_forecasts

ISSUED_AT_UTC = datetime(2024, 3, 8, 21, 30, tzinfo=UTC)


def make_stored(
    n_origins: int = 1,
    *,
    series: tuple[str, ...] = ("GOOG",),
    start: str = "2024-03-07",
    horizon: int = 2,
    n_quantiles: int = 3,
    seed: int = 0,
    **changes: Any,
) -> Forecasts:
    """Forecasts as a batch run stores them: `n_origins` days from `start` on of each series, series after series.

    Args:
        changes: Fields of `Forecasts`; ids are identified anew unless they are among them, or random when online.
    """
    n = n_origins * len(series)
    rng = np.random.default_rng(seed)
    days = np.datetime64(start, "us") + np.arange(n_origins) * np.timedelta64(1, "D")
    origin_utc = np.tile(days, len(series))
    fields: dict[str, Any] = {
        "problem": "google",
        "model_version": 3,
        "source": ForecastSource.BATCH,
        "series_ids": np.repeat(np.array(series, dtype=object), n_origins),
        "origin_utc": origin_utc,
        "origin_value": 100 + rng.standard_normal(n),
        "ewma_deviation": np.full(n, 0.015),
        "target_utc": origin_utc[:, None] + np.arange(1, horizon + 1) * np.timedelta64(1, "D"),
        "quantiles": 100 + np.sort(rng.standard_normal((n, horizon, n_quantiles)), axis=2),
        "features_digest": np.frombuffer(rng.bytes(16 * n), dtype="V16"),
        "issued_at_utc": ISSUED_AT_UTC,
        "request_id": "run-1",
    } | changes
    if "ids" not in fields:
        fields["ids"] = _identify(fields)
    return Forecasts(**fields)


def make_answered(**changes: Any) -> Forecasts:
    """One forecast as the service makes it: under a random id."""
    return make_stored(source=ForecastSource.ONLINE, request_id=uuid4().hex, **changes)


def _identify(fields: dict[str, Any]) -> Any:
    if fields["source"] is ForecastSource.ONLINE:
        return np.frombuffer(b"".join(uuid4().bytes for _ in fields["series_ids"]), dtype="V16")
    names = ("source", "problem", "model_version", "series_ids", "origin_utc")
    return identify_forecasts(*(fields[name] for name in names))
