"""One day's monitoring as a pure function: what was read goes in, what was found and what is to be done comes out.

`stores.monitoring` reads for a day of service, a replay for each day of history. What is done about a verdict stands in
`stores.actions`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from pandas.tseries.offsets import Day, Tick
from pandera.typing import DataFrame
from pydantic import BaseModel

from loopcast.config import Problem
from loopcast.contracts import Panel
from loopcast.evidence.record import RECORD
from loopcast.grid import place_on_grid, steps_after
from loopcast.health.drift import Drift, measure_drift
from loopcast.health.performance import Performance, measure_performance
from loopcast.health.profile import Profile
from loopcast.health.quality import DataQuality, Intake, assess_quality
from loopcast.health.shadow import Shadow, judge_shadow
from loopcast.health.skill_cusum import SkillState, SkillWatch, average_days, start_skill, watch_skill
from loopcast.health.sums import StepSums
from loopcast.health.verdict import Verdict, reach_verdict
from loopcast.health.watched import Track
from loopcast.sections.monitoring import Monitoring
from loopcast.typing import Ints, Times

JUDGED: Final = (
    "n_judged", "loss", "baseline_loss", "loss_in_reaches", "baseline_loss_in_reaches", "n_covered_80", "n_covered_95",
    "absolute_error", "expected_loss", "persistence_error",
)  # fmt: skip
"""Sums over steps whose actual is known."""
DAY: Final = pd.Timedelta(days=1)
LAST_MOMENT: Final = DAY - pd.Timedelta(1, "us")
"""Of a day, behind its midnight."""


@dataclass(frozen=True)
class ShadowSums:
    """What champion and predecessor did on the same origins, since both were trained."""

    champion: DataFrame[StepSums]
    predecessor: DataFrame[StepSums]


@dataclass(frozen=True)
class DayMaterial:
    """All that a day is judged by.

    Attributes:
        as_of: Until when things could be known, UTC; what is later in the frames is passed over.
        profile: Of the champion.
        panel: Of all series, from `begin_window` or earlier.
        intake: Of the rows that came in since the last day.
        tracks: Of forecasts by any version, from `begin_window` or earlier; none where nothing was forecast.
        sums: Of the champion's steps, from `begin_window` and from the last day of `skill`, or earlier, to the last
            target.
        skill: The CUSUM before the day: that of the day before, renewed where the champion is new.
        shadow: None where the champion has no predecessor.
    """

    problem: Problem
    as_of: datetime
    profile: Profile
    panel: DataFrame[Panel]
    intake: Intake
    tracks: Mapping[str, Track]
    sums: DataFrame[StepSums]
    skill: SkillState
    shadow: ShadowSums | None = None


class DayJudgement(BaseModel):
    """What a day came to; `skill.state` is that of the next day."""

    model_config = RECORD

    quality: DataQuality
    drift: Drift
    performance: Performance
    skill: SkillWatch
    shadow: Shadow | None
    verdict: Verdict


def judge_day(material: DayMaterial, limits: Monitoring) -> DayJudgement:
    """Judge data, drift and skill of a day, and weigh them; what there is nothing of is found missing, and told."""
    problem, as_of = material.problem, material.as_of
    end_utc = end_of_days(as_of, problem)
    known = hide_later(material.sums, end_utc)
    in_window = known[known["day_utc"] >= begin_window(as_of, problem, limits)]
    tracks = {name: _cut_track(track, as_of) for name, track in material.tracks.items()}
    quality = assess_quality(material.panel, material.intake, material.profile, problem, limits, as_of=as_of)
    drift = measure_drift(tracks, material.profile, limits)
    performance = measure_performance(
        in_window,
        material.profile.mean_changes(),
        due_until=begin_step(as_of, problem),
        horizon_days=reach_in_days(problem),
    )
    complete = take_complete_days(known, as_of, end_utc, problem, limits)
    if not quality.is_fit_to_judge:
        complete = complete.iloc[:0]  # the days wait, and are judged by what the feed says when it is mended
    skill = watch_skill(material.skill, average_days(complete), limits)
    shadow = None if material.shadow is None else _judge_shadow(material.shadow, end_utc, problem, limits)
    lag_steps = _measure_lag(material.panel, tracks, as_of, problem)
    verdict = reach_verdict(quality, drift, performance, skill, shadow, limits, forecast_lag_steps=lag_steps)
    return DayJudgement(
        quality=quality, drift=drift, performance=performance, skill=skill, shadow=shadow, verdict=verdict
    )


def begin_window(as_of: datetime, problem: Problem, limits: Monitoring) -> pd.Timestamp:
    """Midnight of the day on which the window begins that ends at a moment, UTC."""
    begin: pd.Timestamp = (pd.Timestamp(as_of).tz_convert("UTC") - limits.window_steps * problem.offset).floor("D")
    return begin


def reach_in_days(problem: Problem, horizon: int | None = None) -> int:
    """Days from an origin's to its last target's, whose losses so depend on each other; of longer steps their number.

    A forecast by steps below a day begins within one, and so reaches into one more than it is long.

    Args:
        horizon: Steps to the last target that is looked at; by default the problem's.
    """
    step, n_steps = problem.offset, horizon or problem.horizon
    if not isinstance(step, Tick) or isinstance(step, Day):
        return n_steps
    return -(-n_steps * step.nanos // DAY.value) + 1


def begin_step(as_of: datetime, problem: Problem) -> pd.Timestamp:
    """Label of the step that a moment lies in, UTC: its actual is not due, those of the steps before are."""
    moment = np.array([pd.Timestamp(as_of).tz_convert(None)], dtype="datetime64[us]")
    return pd.Timestamp(place_on_grid(moment, problem).steps_utc[0], tz="UTC")


def end_of_days(as_of: datetime, problem: Problem) -> pd.Timestamp:
    """Midnight behind the last day, in UTC, in which no further step can end after a moment."""
    moment = np.array([pd.Timestamp(as_of).tz_convert(None)], dtype="datetime64[us]")
    following = steps_after(place_on_grid(moment, problem).steps_utc, 1, problem)
    end: pd.Timestamp = pd.Timestamp(following[0], tz="UTC").floor("D")
    return end


def hide_later(sums: DataFrame[StepSums], end_utc: pd.Timestamp) -> DataFrame[StepSums]:
    """The sums as they were known at the end of a day: steps of later days are there, and not judged yet."""
    is_later = (sums["day_utc"] >= end_utc) & (sums["n_judged"] > 0)
    if not is_later.any():
        return sums
    hidden = sums.copy()
    hidden.loc[is_later, "expected_pending"] += hidden.loc[is_later, "expected_loss"]
    hidden.loc[is_later, list(JUDGED)] = 0.0
    return hidden


def take_complete_days(
    sums: DataFrame[StepSums], as_of: datetime, end_utc: pd.Timestamp, problem: Problem, limits: Monitoring
) -> DataFrame[StepSums]:
    """The sums of the next step, of the days that the CUSUM may be fed: over, and with every label.

    The CUSUM takes days in their order and each once, so that a day whose labels are late holds up those behind it;
    until its last step is more than `late_steps` old, and it is taken as it is.

    Args:
        end_utc: As `end_of_days` gives it.
    """
    rows: DataFrame[StepSums] = sums[(sums["horizon"] == 1) & (sums["day_utc"] < end_utc)]
    counts = rows.groupby("day_utc")[["n_steps", "n_judged"]].sum()
    ends = (pd.DatetimeIndex(counts.index).tz_localize(None) + LAST_MOMENT).to_numpy(dtype="datetime64[us]")
    age = _count_steps(ends, np.datetime64(pd.Timestamp(as_of).tz_convert(None), "us"), problem)
    is_awaited = (counts["n_judged"] < counts["n_steps"]).to_numpy() & (age <= limits.late_steps)
    if not is_awaited.any():
        return rows
    first = counts.index[int(np.argmax(is_awaited))]
    complete: DataFrame[StepSums] = rows[rows["day_utc"] < first]
    return complete


def _count_steps(times: Times, now: np.datetime64, problem: Problem) -> Ints:
    """Steps from each time to now, shape (n,)."""
    if not len(times):
        return np.empty(0, dtype=np.int64)
    numbers = place_on_grid(np.append(times, now), problem).numbers
    steps: Ints = numbers[-1] - numbers[:-1]
    return steps


def _cut_track(track: Track, as_of: datetime) -> Track:
    n = int(np.searchsorted(track.origin_utc, np.datetime64(pd.Timestamp(as_of).tz_convert(None), "us"), side="right"))
    return (
        track
        if n == len(track.origin_utc)
        else Track(track.origin_utc[:n], {c: v[:n] for c, v in track.values.items()})
    )


def _judge_shadow(sums: ShadowSums, end_utc: pd.Timestamp, problem: Problem, limits: Monitoring) -> Shadow:
    champion, predecessor = (each[each["day_utc"] < end_utc] for each in (sums.champion, sums.predecessor))
    start = start_skill(np.asarray(problem.quantiles))
    return judge_shadow(champion, predecessor, start, limits, horizon_days=reach_in_days(problem))


def _measure_lag(panel: DataFrame[Panel], tracks: Mapping[str, Track], as_of: datetime, problem: Problem) -> int | None:
    """Steps from the last forecast to the last row that could have had one; None where there is no forecast."""
    origins = [track.origin_utc[-1] for track in tracks.values() if len(track.origin_utc)]
    if not origins:
        return None
    is_taken = (panel["timestamp_utc"] <= pd.Timestamp(as_of)) & ~panel["is_filled"]
    if problem.forecast_series:
        is_taken &= panel["series_id"].isin(problem.forecast_series)
    if not is_taken.any():
        return 0
    last = panel.loc[is_taken, "timestamp_utc"].max().tz_convert(None)
    return int(_count_steps(np.array([max(origins)], dtype="datetime64[us]"), np.datetime64(last, "us"), problem)[0])
