"""What a batch run did, as a terminal prints it: the forecasts of some series step by step, and what was left out."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from loopcast.config import Problem
from loopcast.evidence.formats import align_columns, format_time, format_value
from loopcast.model.batch import BatchOutcome

MAX_LEFT_OUT: Final = 20
"""Series named as left out; the others are counted."""


class ForecastStep(NamedTuple):
    """One step of a forecast, in the target's unit."""

    series_id: str
    origin_utc: datetime
    target_utc: datetime
    median: float
    low: float
    high: float
    """Ends of the 80 % interval."""


def summarize_batch(
    outcome: BatchOutcome, steps: Sequence[ForecastStep], notes: Sequence[str], problem: Problem
) -> str:
    """The run as a terminal prints it.

    Args:
        steps: Of the series that are shown, one forecast after another.
        notes: On the data.
    """
    bullets = [f"- {each}" for each in (*_tell(outcome, steps, problem), *notes)]
    return "\n".join([problem.title, "", *_tabulate(steps, problem), "", *bullets])


def _tabulate(steps: Sequence[ForecastStep], problem: Problem) -> list[str]:
    """A line for each step; of a forecast only the first names series and origin."""
    rows = [["series", "origin", "target", f"median, {problem.unit}", "80 % from", "to"]]
    before = None
    for step in steps:
        forecast = (step.series_id, format_time(problem, step.origin_utc))
        values = [format_value(value) for value in (step.median, step.low, step.high)]
        rows.append([*(("", "") if forecast == before else forecast), format_time(problem, step.target_utc), *values])
        before = forecast
    return align_columns(rows)


def _tell(outcome: BatchOutcome, steps: Sequence[ForecastStep], problem: Problem) -> Iterator[str]:
    n_hidden = outcome.n_series - len({step.series_id for step in steps})
    if n_hidden:
        yield f"{n_hidden:,} more series are not shown"
    first, last = (format_time(problem, each) for each in (outcome.first_origin_utc, outcome.last_origin_utc))
    forecasts = f"{outcome.n_forecasts:,} forecast{'' if outcome.n_forecasts == 1 else 's'}"
    yield (
        f"{forecasts} of {outcome.n_series:,} series by version {outcome.version}, "
        f"{outcome.n_new:,} new; origins from {first} to {last}"
    )
    yield f"{outcome.n_actuals_new:,} new actuals, {outcome.n_actuals_corrected:,} corrected"
    yield from (f"left out: {each}" for each in outcome.left_out[:MAX_LEFT_OUT])
    if len(outcome.left_out) > MAX_LEFT_OUT:
        yield f"left out: {len(outcome.left_out) - MAX_LEFT_OUT:,} more"
