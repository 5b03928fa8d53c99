"""Forecasts as pages show them: made and stored once for each state of a series, and shown to all who look at it."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import numpy as np
from starlette.requests import Request

from app.answers.base import as_utc
from app.answers.forecasts import Explanation
from app.explaining import explain_series
from app.forecasting import make_and_keep
from app.parts import Asked, read_asked
from app.recent import RecentReadings
from app.requests import SeriesBody
from loopcast.stores.champions import ServedProblem
from loopcast.typing import Floats, Times

MAX_KEPT: Final = 4096
"""Forecasts and explanations in memory, some five kilobytes each; what was looked at longest ago makes room."""
HISTORY_STEPS: Final = 126
"""Shown before the forecast: half a year of trading days, in which a horizon of a week can still be seen."""


@dataclass(frozen=True)
class Answered:
    """A forecast that was stored, and the end of the history that it continues; H steps, K levels, n steps before.

    Attributes:
        id: Under which it is stored.
        issued_at_utc: When it was made.
        origin_value: Last observed value.
        target_utc: Shape (H,).
        quantiles: Shape (H, K).
        past_utc: Shape (n,), the last one the origin.
        past: Shape (n,); NaN where the series is cut.
    """

    id: UUID
    series_id: str
    issued_at_utc: datetime
    origin_utc: datetime
    origin_value: float
    target_utc: Times
    quantiles: Floats
    past_utc: Times
    past: Floats


def find_forecast(series_id: str, served: ServedProblem, request: Request) -> Answered:
    """The forecast of a series by the model and from the history that are in service.

    Raises:
        Refusal: The series is not known.
        JournalFullError, StoreError: It is new, and cannot be stored.
    """
    key = ("forecast", *_name_state(series_id, served))
    return _read_kept(request).get(key, lambda: _answer(series_id, served, read_asked(request)))


def find_explanation(series_id: str, served: ServedProblem, request: Request) -> Explanation:
    """Why the intervals of that forecast are as wide as they are; some six milliseconds when it is new.

    Raises:
        Refusal: The series is not known.
        AttributionError: The model is a formula.
    """
    key = ("explanation", *_name_state(series_id, served))
    series = _name_series(series_id)
    return _read_kept(request).get(key, lambda: explain_series(series, served, read_asked(request).record.request_id))


def keep_answers() -> RecentReadings:
    """Where an app keeps them; they stay true as long as model and history stay."""
    return RecentReadings(fresh_s=math.inf, max_readings=MAX_KEPT)


def _name_series(series_id: str) -> SeriesBody:
    """A series as a body names it; also by a name that no body may have, which is then not known."""
    return SeriesBody.model_construct(series_id=series_id)


def _read_kept(request: Request) -> RecentReadings:
    kept: RecentReadings = request.app.state.kept_answers
    return kept


def _name_state(series_id: str, served: ServedProblem) -> tuple[str, int, str, str]:
    return served.record.problem, served.version, served.history_sha256, series_id


def _answer(series_id: str, served: ServedProblem, asked: Asked) -> Answered:
    [made] = make_and_keep([_name_series(series_id)], served, asked)
    last = served.latest[series_id]
    past_utc, past = _read_past(served, last)
    return Answered(
        id=UUID(bytes=made.ids[0].tobytes()),
        series_id=series_id,
        issued_at_utc=made.issued_at_utc.astimezone(UTC),
        origin_utc=as_utc(made.origin_utc[0]),
        origin_value=float(made.origin_value[0]),
        target_utc=made.target_utc[0],
        quantiles=made.quantiles[0],
        past_utc=past_utc,
        past=past,
    )


def _read_past(served: ServedProblem, last: int) -> tuple[Times, Floats]:
    """The last steps of a series up to a row, with a gap wherever steps are missing that no row stands for."""
    design = served.design
    rows = np.arange(max(0, last + 1 - HISTORY_STEPS), last + 1)
    rows = rows[design.series[rows] == design.series[last]]
    cuts = np.flatnonzero(design.position[rows] == 0)
    cuts = cuts[cuts > 0]
    times, values = design.timestamp_utc[rows], design.target[rows].astype(float)
    return np.insert(times, cuts, times[cuts - 1] + np.timedelta64(1, "s")), np.insert(values, cuts, np.nan)
