"""A batch run: which forecasts it makes, in which order and parts, and what it hands from step to step.

How they are computed stands in `bulk`, how they are stored in `stores.batch`.
"""

from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from loopcast.config import Problem
from loopcast.errors import DataRefusedError, LoopcastError
from loopcast.features import Design
from loopcast.model.served import latest_origins
from loopcast.sections.base import NonNegativeInt, PositiveInt
from loopcast.typing import Ints

MAX_PART_FORECASTS: Final = 500_000
"""Forecasts of one part: about half a minute for two cores, beside which the ten seconds weigh little in which a pod
starts and reads the history; and so much is lost at most where a part fails."""
MAX_SHOWN_SERIES: Final = 10
"""Series whose forecasts a summary shows: with five steps each, what a person reads on two pages of a terminal."""
DATE_LENGTH: Final = len("2012-01-31")
RECORD: Final = ConfigDict(frozen=True, extra="forbid")


class ChosenModel(BaseModel):
    """The model version that makes all forecasts of a run, whatever becomes champion meanwhile."""

    model_config = RECORD

    problem: str
    version: PositiveInt
    weights_sha256: str
    request_id: str
    """Of the run, which stands beside each of its forecasts."""


class Span(BaseModel):
    """A range of origins, both ends included."""

    model_config = RECORD

    since_utc: datetime
    until_utc: datetime


class Part(BaseModel):
    """A stretch of a run's forecasts, in the order of `choose_origins`."""

    model_config = RECORD

    first: NonNegativeInt
    end: NonNegativeInt
    """The first that is not in it."""


class BatchPlan(BaseModel):
    """Which forecasts a run makes."""

    model_config = RECORD

    span: Span | None
    """None: each series from its latest step."""
    n_forecasts: PositiveInt
    n_series: PositiveInt
    shown_series: tuple[str, ...]
    """The first of them, of which the summary shows the forecasts."""
    quantile_levels: tuple[float, ...]
    """Of every forecast."""
    first_origin_utc: datetime
    last_origin_utc: datetime
    left_out: tuple[str, ...]
    """Series that are not forecast, each with the reason."""

    def cut(self) -> list[Part]:
        """The plan in parts of `MAX_PART_FORECASTS`."""
        firsts = range(0, self.n_forecasts, MAX_PART_FORECASTS)
        return [Part(first=first, end=min(first + MAX_PART_FORECASTS, self.n_forecasts)) for first in firsts]


class BatchOutcome(BaseModel):
    """What a run led to."""

    model_config = RECORD

    problem: str
    version: PositiveInt
    n_series: PositiveInt
    n_forecasts: PositiveInt
    n_new: NonNegativeInt
    """Those that were not stored before."""
    first_origin_utc: datetime
    last_origin_utc: datetime
    n_actuals_new: NonNegativeInt
    """Steps of which the run learned first what came true."""
    n_actuals_corrected: NonNegativeInt
    """Steps of which the source says something else than before."""
    left_out: tuple[str, ...]


def read_span(start: str, end: str, problem: Problem) -> Span:
    """The span between two moments; a date stands for the whole day in the problem's time zone.

    Args:
        start, end: ISO 8601, such as 2012-01-31 or 2012-01-31T09:30; without an offset in the problem's time zone.

    Raises:
        LoopcastError: A text is no time, or the end lies before the start.
    """
    since, until = _read_moment("start", start, time.min, problem), _read_moment("end", end, time.max, problem)
    if until < since:
        raise LoopcastError(f"found start {start} and end {end}, needs an end that is not before the start")
    return Span(since_utc=since, until_utc=until)


def plan_batch(design: Design, model_problem: Problem, wanted: Problem, span: Span | None) -> BatchPlan:
    """Which forecasts a run makes, and which series it leaves out.

    Args:
        model_problem: That the model was fitted to, and the design was built for.
        wanted: Says which series are forecast.

    Raises:
        DataRefusedError: There is nothing to forecast from.
    """
    rows = choose_origins(design, wanted, span)
    names = [design.series_ids[code] for code in np.unique(design.series[rows])]
    absent = [name for name in wanted.forecast_series or design.series_ids if name not in set(names)]
    left_out = tuple(_tell_left_out(name, design, model_problem, span) for name in absent)
    if not names:
        raise DataRefusedError(f"{wanted.name}: no series can be forecast: {'; '.join(left_out)}")
    first, last = (_as_moment(design, row) for row in rows[[0, -1]])
    return BatchPlan(
        span=span,
        n_forecasts=len(rows),
        n_series=len(names),
        shown_series=tuple(names[:MAX_SHOWN_SERIES]),
        quantile_levels=model_problem.quantiles,
        first_origin_utc=first,
        last_origin_utc=last,
        left_out=left_out,
    )


def choose_origins(design: Design, wanted: Problem, span: Span | None) -> Ints:
    """The rows from which a run forecasts, by time and then by series; the same for the same arguments."""
    if span is None:
        rows = np.array(list(latest_origins(design, wanted).values()), dtype=np.int64)
    else:
        is_wanted = np.array([wanted.is_forecast(name) for name in design.series_ids])
        since, until = (
            np.datetime64(each.astimezone(UTC).replace(tzinfo=None)) for each in (span.since_utc, span.until_utc)
        )
        is_within = (design.timestamp_utc >= since) & (design.timestamp_utc <= until)
        rows = np.flatnonzero(design.is_ready & is_wanted[design.series] & is_within)
    return rows[np.lexsort((rows, design.timestamp_utc[rows]))]


def _tell_left_out(name: str, design: Design, problem: Problem, span: Span | None) -> str:
    if name not in design.series_ids:
        return f"{name}: too short or absent in the source"
    mine = np.flatnonzero(design.series == design.series_ids.index(name))
    first, last = (f"{_as_moment(design, row):%Y-%m-%d %H:%M}" for row in mine[[0, -1]])
    n_needed = problem.features.scales[-1] + 1
    if span is None:
        n_found = design.position[mine[-1]] + 1
        return f"{name}: {n_found} steps without a long gap up to {last} UTC, needs {n_needed}"
    return (
        f"{name}: no step from {span.since_utc:%Y-%m-%d %H:%M} to {span.until_utc:%Y-%m-%d %H:%M} UTC that ends "
        f"{n_needed} without a long gap; its history goes from {first} to {last} UTC"
    )


def _read_moment(name: str, text: str, time_of_day: time, problem: Problem) -> datetime:
    """The moment that a text names, or the given time of the day that it names."""
    try:
        is_day = len(text) == DATE_LENGTH
        found = datetime.combine(date.fromisoformat(text), time_of_day) if is_day else datetime.fromisoformat(text)
    except ValueError as exc:
        raise LoopcastError(f"{name}: found `{text}`, needs a date such as 2012-01-31, or 2012-01-31T09:30") from exc
    return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(problem.time_zone))).astimezone(UTC)


def _as_moment(design: Design, row: int) -> datetime:
    return pd.Timestamp(design.timestamp_utc[row], tz=UTC).to_pydatetime()
