"""Are the data of a window as they were in training: there, in time, once, in range, and moving."""

from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from pandera.typing import DataFrame
from pydantic import BaseModel

from loopcast.config import Problem
from loopcast.contracts import Panel
from loopcast.evidence.formats import format_percent
from loopcast.evidence.record import RECORD
from loopcast.grid import place_on_grid
from loopcast.health.condition import Condition, Finding, Severity
from loopcast.health.profile import Profile, SeriesProfile, measure_changes
from loopcast.sections.monitoring import Monitoring
from loopcast.typing import Floats, Ints

MOMENT: Final = "datetime64[us]"


class Intake(BaseModel):
    """What became of the source's rows on their way into the panel."""

    model_config = RECORD

    n_rows: int = 0
    n_refused: int = 0
    n_duplicated: int = 0
    """Refused because series and time had been seen already."""


class SeriesQuality(BaseModel):
    """One series in the window."""

    model_config = RECORD

    n_rows: int
    missing_ratio: float
    """Share of the steps up to its last row that were not observed."""
    lag_steps: int
    """Steps from its last row to now."""
    repeats: int
    """Rows at its end that hold one value."""
    largest_change: float
    """Of the level over one step."""


UNFIT: Final = frozenset({Finding.FROZEN_FEED, Finding.OUT_OF_RANGE})
"""Mistakes of the feed far more often than of the model."""


class DataQuality(BaseModel):
    """The data of a window."""

    model_config = RECORD

    n_rows: int
    refused_ratio: float
    duplicated_ratio: float
    series: dict[str, SeriesQuality]
    conditions: tuple[Condition, ...]

    @property
    def is_fit_to_judge(self) -> bool:
        """Whether a model may be judged by these data before somebody has looked at them."""
        return not any(condition.finding in UNFIT for condition in self.conditions)


def assess_quality(
    panel: DataFrame[Panel],
    intake: Intake,
    profile: Profile,
    problem: Problem,
    limits: Monitoring,
    *,
    as_of: datetime,
) -> DataQuality:
    """Hold the window that ends at `as_of` against the contract and the training data.

    Args:
        panel: Of all series, the window long or longer; later rows are left out, empty where nothing came in.
        intake: Of the rows that came in since the last assessment.
    """
    times = panel["timestamp_utc"].dt.tz_convert(None).to_numpy(dtype=MOMENT)
    end = np.datetime64(pd.Timestamp(as_of).tz_convert(None), "us")
    placed = place_on_grid(np.append(times, end), problem).numbers  # together: the counts of two calls may differ
    numbers, now = placed[:-1], int(placed[-1])
    is_taken = (numbers > now - limits.window_steps) & (numbers <= now) & ~panel["is_filled"].to_numpy(dtype=bool)
    frame = panel[is_taken].assign(number=numbers[is_taken])
    series = {
        str(name): _assess(rows["target"].to_numpy(dtype=float), rows["number"].to_numpy(), now, problem)
        for name, rows in frame.groupby("series_id")
    }
    conditions = _check_intake(intake, problem, limits)
    if series:
        for name, found in series.items():
            conditions += _check_series(name, found, profile.series.get(name), problem, limits)
        conditions += _find_vanished(series, profile, problem, limits)
    else:
        sentence = f"{problem.name}: no row in the last {limits.window_steps} steps before {as_of:%Y-%m-%d %H:%M}"
        conditions.append(Condition(finding=Finding.NO_DATA, sentence=f"{sentence}; look at the source"))
    return DataQuality(
        n_rows=len(frame),
        refused_ratio=_share(intake.n_refused, intake.n_rows),
        duplicated_ratio=_share(intake.n_duplicated, intake.n_rows),
        series=series,
        conditions=tuple(conditions),
    )


def _assess(target: Floats, numbers: Ints, now: int, problem: Problem) -> SeriesQuality:
    changes = measure_changes(target, numbers, problem)
    return SeriesQuality(
        n_rows=len(target),
        missing_ratio=1 - len(target) / float(numbers[-1] - numbers[0] + 1),
        lag_steps=int(now - numbers[-1]),
        repeats=int(np.argmax(np.r_[target[::-1] != target[-1], True])),
        largest_change=float(changes.max()) if len(changes) else 0.0,
    )


def _check_intake(intake: Intake, problem: Problem, limits: Monitoring) -> list[Condition]:
    conditions = []
    for finding, n, most, what in (
        (Finding.REFUSED_ROWS, intake.n_refused, problem.quality.max_refused_ratio, "were refused"),
        (Finding.DUPLICATED_ROWS, intake.n_duplicated, limits.max_duplicated_ratio, "repeat a series and time"),
    ):
        if (ratio := _share(n, intake.n_rows)) > most:
            sentence = f"{n} of {intake.n_rows} rows {what}, more than {format_percent(most)}; look into the quarantine"
            figures = {"ratio": ratio, "limit": most}
            conditions.append(Condition(finding=finding, figures=figures, sentence=sentence))
    return conditions


def _check_series(
    name: str, found: SeriesQuality, trained: SeriesProfile | None, problem: Problem, limits: Monitoring
) -> list[Condition]:
    severity = Severity.ALERT if problem.is_forecast(name) else Severity.NOTICE

    def tell(finding: Finding, value: float, limit: float, sentence: str) -> Condition:
        figures = {"found": value, "limit": limit}
        return Condition(
            finding=finding, series_id=name, severity=severity, figures=figures, sentence=f"{name}: {sentence}"
        )

    conditions = []
    if found.lag_steps > limits.late_steps:
        sentence = f"the last row is {found.lag_steps} steps old, more than {limits.late_steps}; look at the feed"
        conditions.append(tell(Finding.LATE_SERIES, found.lag_steps, limits.late_steps, sentence))
    if trained is None:
        severity = Severity.NOTICE
        sentence = f"not in the training data, {found.n_rows} rows so far; it is learnt at the next training"
        return [*conditions, tell(Finding.NEW_SERIES, found.n_rows, 0, sentence)]
    if found.missing_ratio > (most := trained.missing_ratio + limits.max_missing_ratio):
        sentence = (
            f"{format_percent(found.missing_ratio)} of the window's steps are missing, "
            f"{format_percent(trained.missing_ratio)} in training; fill them in the source"
        )
        conditions.append(tell(Finding.MISSING_STEPS, found.missing_ratio, most, sentence))
    if found.largest_change > (most := limits.range_factor * trained.largest_change):
        sentence = (
            f"a change of {found.largest_change:.3g} in one step, at most {trained.largest_change:.3g} in training; "
            "look for a split that is not adjusted, or for another unit"
        )
        conditions.append(tell(Finding.OUT_OF_RANGE, found.largest_change, most, sentence))
    if found.repeats >= (least := max(limits.frozen_steps, limits.frozen_factor * trained.longest_run)):
        sentence = (
            f"the last {found.repeats} rows hold one value, at most {trained.longest_run} in training; "
            "the feed seems frozen"
        )
        conditions.append(tell(Finding.FROZEN_FEED, found.repeats, least, sentence))
    return conditions


def _find_vanished(
    series: dict[str, SeriesQuality], profile: Profile, problem: Problem, limits: Monitoring
) -> list[Condition]:
    """Series that were there at the end of training and have no row in the window."""
    end = max(each.last_utc for each in profile.series.values())
    conditions = []
    for name, trained in profile.series.items():
        window_days = limits.window_steps / trained.steps_per_year * 365.25
        if name not in series and (end - trained.last_utc).total_seconds() < window_days * 86_400:
            conditions.append(
                Condition(
                    finding=Finding.VANISHED_SERIES,
                    series_id=name,
                    severity=Severity.ALERT if problem.is_forecast(name) else Severity.NOTICE,
                    sentence=f"{name}: no row in the last {limits.window_steps} steps; look at the feed, "
                    "or drop the series from the problem",
                )
            )
    return conditions


def _share(n: int, n_rows: int) -> float:
    return n / n_rows if n_rows else 0.0
