"""The champion's predecessor in shadow: what it would have forecast from the same origins, made and judged in memory.

How both are compared stands in `health.shadow`.
"""

import logging
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from pandera.typing import DataFrame
from threadpoolctl import threadpool_limits

from loopcast.config import Problem
from loopcast.contracts import Panel
from loopcast.errors import LoopcastError
from loopcast.features import Design, build_design
from loopcast.forecasts import Forecasts, ForecastSource
from loopcast.health.day import ShadowSums, end_of_days
from loopcast.health.steps import pair_steps
from loopcast.health.sums import StepSums, add_sums, sum_steps
from loopcast.model.bulk import speed_up
from loopcast.model.served import ServedModel, make_forecasts, open_served_model
from loopcast.stores.promotion import find_predecessor
from loopcast.stores.rollups import RollUpStore
from loopcast.typing import Floats, Ints

if TYPE_CHECKING:
    from loopcast.stores.model_version import ModelVersion
    from loopcast.stores.opened import Stores

BLOCK_FORECASTS: Final = 4096
"""Forecasts that are made and judged at once: a few megabytes."""
LONGEST: Final = pd.Timedelta(days=366)
"""How far back both are compared: a champion that has held for a year is not undone by the year before."""

log = logging.getLogger(__name__)


def read_shadow(
    stores: "Stores", problem: Problem, champion: "ModelVersion", panel: DataFrame[Panel], as_of: datetime
) -> ShadowSums | None:
    """What champion and predecessor did since both were trained; None where there is no predecessor to ask.

    Args:
        panel: Of all series; what is later than `as_of` is passed over.
    """
    number = find_predecessor(stores.decisions, problem.name, champion.version)
    before = None if number is None else stores.registry.find_version(problem.name, number)
    if before is None:
        return None
    trained_until = max(champion.trained_until_utc, before.trained_until_utc)
    since = max(pd.Timestamp(trained_until), pd.Timestamp(as_of) - LONGEST)
    end = end_of_days(as_of, problem)
    sums = RollUpStore(stores.database).read_sums(
        problem.name, champion.version, begin_next_day(since).to_pydatetime(), end.to_pydatetime()
    )
    if sums["n_judged"].sum() == 0:
        return None
    try:
        with TemporaryDirectory(prefix="loopcast-shadow-") as folder:
            files = stores.registry.fetch(before, Path(folder))
            known = panel[panel["timestamp_utc"] < end]
            found = forecast_in_shadow(open_served_model(files), files, known, problem, before.version, since)
    except LoopcastError as exc:  # a version that cannot be asked any more is none to go back to either
        log.warning("%s: version %d cannot be asked in shadow: %s", problem.name, before.version, exc)
        return None
    return None if found is None else ShadowSums(champion=sums, predecessor=found)


def forecast_in_shadow(
    model: ServedModel, folder: Path, panel: DataFrame[Panel], problem: Problem, version: int, since: pd.Timestamp
) -> DataFrame[StepSums] | None:
    """The sums of a model's forecasts from every origin after a moment; None where it forecasts nothing that compares.

    Args:
        folder: That the model was opened from.
        panel: Its observed steps are what came true.
    """
    if any(getattr(model.problem, name) != getattr(problem, name) for name in ("quantiles", "transform", "frequency")):
        return None
    design = build_design(panel, model.problem)
    is_wanted = np.array([problem.is_forecast(name) for name in design.series_ids], dtype=np.bool_)
    after = np.datetime64(since.tz_convert(None), "us")
    rows = np.flatnonzero(design.is_ready & is_wanted[design.series] & (design.timestamp_utc > after))
    if not len(rows):
        return None
    observed = np.flatnonzero(~panel["is_filled"].to_numpy(dtype=bool))
    parts = []
    with threadpool_limits(1):
        fast = speed_up(model, folder, design, rows)
        for first in range(0, len(rows), BLOCK_FORECASTS):
            block = rows[first : first + BLOCK_FORECASTS]
            forecasts = make_forecasts(
                fast, design, block, version=version, source=ForecastSource.REPLAY, request_id="",
                issued_at_utc=since.to_pydatetime(),
            )  # fmt: skip
            parts.append(sum_steps(pair_steps(forecasts, _look_up(design, observed, block, forecasts)), problem))
    return add_sums(*parts)


def begin_next_day(moment: datetime) -> pd.Timestamp:
    """Midnight behind the day of a moment, UTC."""
    following: pd.Timestamp = pd.Timestamp(moment).tz_convert("UTC").floor("D") + pd.Timedelta(days=1)
    return following


def _look_up(design: Design, observed: Ints, rows: Ints, forecasts: Forecasts) -> Floats:
    """What came true of each target, NaN where it was not observed, shape (n, H).

    Args:
        observed: Rows that were, ascending.
        rows: Origins of the forecasts, shape (n,).
    """
    times = np.unique(design.timestamp_utc[observed])
    known = design.series[observed] * len(times) + np.searchsorted(times, design.timestamp_utc[observed])
    numbers = np.minimum(np.searchsorted(times, forecasts.target_utc), len(times) - 1)
    wanted = design.series[rows, None] * len(times) + numbers
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    is_known = (known[places] == wanted) & (times[numbers] == forecasts.target_utc)
    actual: Floats = np.where(is_known, design.target[observed][places], np.nan)
    return actual
