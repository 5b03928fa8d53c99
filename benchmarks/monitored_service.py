"""A service whose forecasts are monitored in the benchmark: hourly series, several thousand requests an hour.

The series are simulated, with volatility that comes in clusters; forecasts are the EWMA baseline's, each of its own
history and so a little different from the others of its hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import ndtri

from loopcast.config import Problem
from loopcast.features import Design, build_design
from loopcast.forecasts import Forecasts, ForecastSource
from loopcast.health.profile import Profile, build_profile, replay_steps
from loopcast.sections.monitoring import Monitoring
from loopcast.typing import Floats, Ints

N_SERIES: Final = 8
N_DAYS: Final = 30
HOURS: Final = 24
WINDOW_STEPS: Final = N_DAYS * HOURS
TRAINING_STEPS: Final = 5 * WINDOW_STEPS
START: Final = np.datetime64("2024-03-01", "us")
"""Begin of the live window, which lies in one month, and so in one partition."""
HOUR: Final = np.timedelta64(1, "h")
VERSION: Final = 1
LEVELS: Final = (0.025, 0.1, 0.5, 0.9, 0.975)
LIMITS: Final = Monitoring(window_steps=WINDOW_STEPS)
PROBLEM: Final = Problem.model_validate(
    {
        "name": "hourly",
        "title": "Hourly prices",
        "unit": "USD",
        "source": {"uri": "none.csv"},
        "columns": {"timestamp": "time", "target": "value", "series_id": "name"},
        "frequency": "h",
        "transform": "log",
        "horizon": 3,
        "quantiles": list(LEVELS),
    }
)


@dataclass(frozen=True)
class Service:
    """The simulated series and what is forecast of them.

    Attributes:
        n_forecasts: In the whole window.
    """

    n_forecasts: int

    @cached_property
    def panel(self) -> pd.DataFrame:
        """Training and live rows in the canonical form, and a day more for the last targets."""
        n, rng = TRAINING_STEPS + WINDOW_STEPS + HOURS, np.random.default_rng(0)
        wander = np.cumsum(0.02 * rng.standard_normal((N_SERIES, n)), axis=1)
        deviation = 0.004 * np.exp(wander - 0.5 * wander.mean(axis=1, keepdims=True))
        level = np.log(100) + np.cumsum(deviation * rng.standard_normal((N_SERIES, n)), axis=1)
        times = pd.date_range(pd.Timestamp(START - TRAINING_STEPS * HOUR, tz="UTC"), periods=n, freq="h")
        return pd.DataFrame(
            {
                "series_id": np.repeat([f"S{k}" for k in range(N_SERIES)], n),
                "timestamp_utc": np.tile(times.astype("datetime64[us, UTC]"), N_SERIES),
                "target": np.exp(level).ravel(),
                "is_filled": False,
            }
        )

    @cached_property
    def design(self) -> Design:
        """Of the panel."""
        return build_design(self.panel, PROBLEM)

    def profile(self) -> Profile:
        """Of the training rows."""
        design = self.design
        rows = np.flatnonzero(design.is_origin & (design.timestamp_utc < START - 4 * HOUR))
        panel = self.panel[self.panel["timestamp_utc"] < pd.Timestamp(START, tz="UTC")]
        reach = design.ewma_deviation[rows, None] * np.sqrt(np.arange(1, PROBLEM.horizon + 1))
        return build_profile(
            panel, replay_steps(design, rows, reach[..., None] * ndtri(LEVELS), PROBLEM), PROBLEM, LIMITS
        )

    def observed(self, day: int) -> pd.DataFrame:
        """Rows that are new at the end of a day; on the first, those of the first origins as well."""
        first = pd.Timestamp(START + day * HOURS * HOUR, tz="UTC") - (
            pd.Timedelta(hours=HOURS) if day == 0 else pd.Timedelta(0)
        )
        end = pd.Timestamp(START + (day + 1) * HOURS * HOUR, tz="UTC")
        return self.panel[(self.panel["timestamp_utc"] >= first) & (self.panel["timestamp_utc"] < end)]

    def forecast(self, day: int, at_once: int = 50_000) -> Iterator[Forecasts]:
        """The forecasts of a day, in parts."""
        rng = np.random.default_rng([1, day])
        times = self.design.timestamp_utc
        hours = START + (day * HOURS + np.arange(HOURS)) * HOUR
        rows = np.flatnonzero(np.isin(times, hours))
        n = round(self.n_forecasts * (day + 1) / N_DAYS) - round(self.n_forecasts * day / N_DAYS)
        chosen = rows[np.sort(rng.integers(0, len(rows), n))]
        for start in range(0, n, at_once):
            yield self._forecast(chosen[start : start + at_once], rng)

    def _forecast(self, rows: Ints, rng: np.random.Generator) -> Forecasts:
        design, n = self.design, len(rows)
        horizons = np.arange(1, PROBLEM.horizon + 1)
        deviation = design.ewma_deviation[rows] * np.exp(0.02 * rng.standard_normal(n))
        reach = deviation[:, None] * np.sqrt(horizons)
        shape: Floats = (1 + 0.03 * rng.standard_normal(n))[:, None, None] * ndtri(LEVELS)
        shape = shape + 0.05 * rng.standard_normal(n)[:, None, None]
        level = design.level[rows]
        names = np.array(design.series_ids, dtype=object)
        return Forecasts(
            problem=PROBLEM.name,
            model_version=VERSION,
            source=ForecastSource.ONLINE,
            ids=np.frombuffer(rng.bytes(16 * n), dtype="V16"),
            series_ids=names[design.series[rows]],
            origin_utc=design.timestamp_utc[rows],
            origin_value=np.exp(level),
            ewma_deviation=deviation,
            target_utc=design.timestamp_utc[rows][:, None] + horizons * HOUR,
            quantiles=np.exp(level[:, None, None] + reach[..., None] * shape),
            features_digest=np.frombuffer(rng.bytes(16 * n), dtype="V16"),
            issued_at_utc=datetime(2024, 4, 1, tzinfo=UTC),
            request_id="benchmark",
        )
