"""How histories that were sent become the arrays of a model: times in the problem's zone, gaps as NaN."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from app.requests import PRICES, HistoryBody, SeriesBody
from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.features import Design
from loopcast.grid import has_calendar_steps
from loopcast.history import SeriesHistory, design_histories
from loopcast.typing import Floats, Times

CACHED_TIMESTAMPS: Final = 2**15
"""Timestamps kept as read, some 8 MB: histories of neighbouring requests share most of them, and zones are slow."""
MAX_AHEAD: Final = timedelta(days=1)
"""How far the end of a history may lie in the future: zones and clocks differ by less."""


def design_sent(series: Sequence[SeriesBody], problem: Problem) -> Design:
    """The design of the histories that series bring with them.

    Raises:
        DataRefusedError: A history has what would be refused in a source, or is too short.
    """
    histories = [_read_history(each, problem) for each in series]
    with np.errstate(over="ignore", invalid="ignore"):  # numbers beyond all measure lead to forecasts that are refused
        return design_histories(histories, problem)


def read_timestamps(texts: Sequence[str], problem: Problem) -> Times:
    """The instants of timestamps in ISO 8601, shape (n,), datetime64[us] in UTC.

    Raises:
        DataRefusedError: One is no time, has no offset where it needs one, or lies in the future.
    """
    zone = problem.time_zone if has_calendar_steps(problem) else None
    instants = np.array([_read_timestamp(text, zone) for text in texts], dtype="datetime64[us]")
    is_ahead = instants > np.datetime64(datetime.now(UTC).replace(tzinfo=None) + MAX_AHEAD)
    if is_ahead.any():
        raise DataRefusedError(f"found timestamp `{texts[int(is_ahead.argmax())]}`, needs one that has come")
    return instants


@lru_cache(maxsize=CACHED_TIMESTAMPS)
def _read_timestamp(text: str, zone: str | None) -> np.datetime64:
    """The instant of one timestamp.

    Args:
        zone: In which a time without an offset is read; None where each needs one.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=ZoneInfo(zone))
        if moment.tzinfo is not None:
            return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")
    except (ValueError, OverflowError):
        raise DataRefusedError(f"found timestamp `{text}`, needs ISO 8601 such as 2024-02-29T15:30:00Z") from None
    raise DataRefusedError(f"found timestamp `{text}`, needs its offset from UTC, such as {text}Z")


def _read_history(series: SeriesBody, problem: Problem) -> SeriesHistory:
    history = series.history
    assert history is not None, "only series that bring a history come here"
    try:
        _refuse_unread(history, problem)
        timestamp_utc = read_timestamps(history.timestamp, problem)
    except DataRefusedError as exc:
        raise DataRefusedError(f"{problem.name}: {series.series_id}: {exc}") from exc
    return SeriesHistory(
        series_id=series.series_id,
        timestamp_utc=timestamp_utc,
        target=np.array(history.target),
        ohlc=_read_prices(history),
        covariates={name: np.array(values, dtype=float) for name, values in history.covariates.items()},
    )


def _read_prices(history: HistoryBody) -> Floats | None:
    if history.open is None:
        return None
    return np.array([getattr(history, name) for name in PRICES], dtype=float).T


def _refuse_unread(history: HistoryBody, problem: Problem) -> None:
    """Refuse columns that the problem does not read, which somebody may have sent in the belief that it does."""
    known = [covariate.column for covariate in problem.columns.covariates]
    unread = [name for name in history.covariates if name not in known]
    if problem.columns.ohlc is None and history.open is not None:
        unread += PRICES
    if unread:
        reads = f"covariates {', '.join(known)}" if known else "no covariates"
        raise DataRefusedError(
            f"found {', '.join(unread)}, which are not read; the problem has {reads}; leave them out"
        )
