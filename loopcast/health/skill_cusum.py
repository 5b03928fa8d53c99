"""The skill CUSUM: has the champion been losing to the naive baseline for long enough to train again.

Day by day the champion's loss beyond the EWMA baseline's, in units of the baseline's average loss, is added up as far
as it exceeds a floor; the sum never falls below zero. An error that doubles for both says nothing of the model and
moves nothing. Only the next step counts: its labels come first, and do not overlap from day to day.

Source: Page (1954), Continuous inspection schemes, Biometrika 41(1/2).
"""

from datetime import date
from typing import Final

import numpy as np
import pandas as pd
from pandera.typing import DataFrame
from pydantic import BaseModel

from loopcast.evidence.record import RECORD
from loopcast.health.sums import StepSums, expected_pinball
from loopcast.sections.monitoring import Monitoring
from loopcast.typing import Floats

PRIOR_DAYS: Final = 10.0
"""Days that the baseline's expected loss counts for before any is seen, so that none sets the scale alone."""


class SkillState(BaseModel):
    """All that the CUSUM remembers from one day to the next."""

    model_config = RECORD

    statistic: float = 0.0
    """Excess loss gathered so far, in average daily losses of the baseline."""
    baseline_total: float
    """Weighted sum of the baseline's losses, in reaches."""
    baseline_weight: float
    cooldown_days: int = 0
    """Judged days left in which nothing is raised."""
    last_day: date | None = None
    triggered_on: date | None = None
    """Day of the last trigger against this champion."""

    @property
    def is_lost(self) -> bool:
        """Whether this champion's skill was lost, until the cool-down ends."""
        return self.triggered_on is not None and (self.cooldown_days > 0 or self.triggered_on == self.last_day)


class SkillWatch(BaseModel):
    """What a run of days did to the CUSUM."""

    model_config = RECORD

    state: SkillState
    days: tuple[date, ...]
    statistics: tuple[float, ...]
    """After each day, before a trigger sets it back."""
    triggers: tuple[date, ...]
    """Days on which a retraining was called for."""
    threshold: float


def start_skill(levels: Floats) -> SkillState:
    """The state before the first day, of a baseline that does as well as it expects.

    Args:
        levels: Of the problem's quantiles, shape (K,).
    """
    return SkillState(baseline_total=PRIOR_DAYS * expected_pinball(levels), baseline_weight=PRIOR_DAYS)


def renew_skill(state: SkillState) -> SkillState:
    """The state for a new champion: nothing gathered against it, the scale kept, the cool-down kept."""
    return state.model_copy(update={"statistic": 0.0, "triggered_on": None})


def average_days(sums: DataFrame[StepSums]) -> pd.DataFrame:
    """Loss of the next step on each judged day, the mean over its series, in reaches.

    Returns:
        Indexed by day_utc, ascending; columns loss, baseline_loss.
    """
    rows = sums[(sums["horizon"] == 1) & (sums["n_judged"] > 0)]
    names = {"loss_in_reaches": "loss", "baseline_loss_in_reaches": "baseline_loss"}
    by_series = rows.groupby(["day_utc", "series_id"])[["n_judged", *names]].sum()
    means = by_series[list(names)].div(by_series["n_judged"], axis=0).rename(columns=names)
    return means.groupby("day_utc").mean()


def watch_skill(state: SkillState, days: pd.DataFrame, limits: Monitoring) -> SkillWatch:
    """Carry the CUSUM over some more days; days that the state has seen already are passed over.

    Args:
        days: As `average_days` gives them, every loss finite.
    """
    known = pd.DatetimeIndex(days.index).date
    if state.last_day is not None:
        is_new = known > state.last_day
        days, known = days.loc[is_new], known[is_new]
    if len(days) == 0:
        return SkillWatch(state=state, days=(), statistics=(), triggers=(), threshold=limits.skill_threshold)
    decay = 1 - 1 / limits.skill_memory_days
    baseline_loss = days["baseline_loss"].to_numpy(dtype=float)
    totals = _carry(state.baseline_total, baseline_loss, decay)
    weights = _carry(state.baseline_weight, np.ones(len(days)), decay)
    excess = (days["loss"].to_numpy(dtype=float) - baseline_loss) * weights[:-1] / totals[:-1]
    taken = np.clip(excess, -limits.skill_clip, limits.skill_clip) - limits.skill_floor
    statistics, triggers, cooldown = _add_up(taken, state, limits)
    return SkillWatch(
        state=SkillState(
            statistic=0.0 if triggers and triggers[-1] == len(days) - 1 else float(statistics[-1]),
            baseline_total=float(totals[-1]),
            baseline_weight=float(weights[-1]),
            cooldown_days=cooldown,
            last_day=known[-1],
            triggered_on=known[triggers[-1]] if triggers else state.triggered_on,
        ),
        days=tuple(known),
        statistics=tuple(statistics.tolist()),
        triggers=tuple(known[k] for k in triggers),
        threshold=limits.skill_threshold,
    )


def _carry(start: float, values: Floats, decay: float) -> Floats:
    """A weighted sum before the first value and after each, shape (n + 1,)."""
    from scipy.signal import lfilter  # two thirds of a second and 80 MB, which a service does not need

    carried, _ = lfilter([1.0], [1.0, -decay], values, zi=np.array([decay * start]))
    return np.concatenate([[start], carried])


def _add_up(excess: Floats, state: SkillState, limits: Monitoring) -> tuple[Floats, list[int], int]:
    """The CUSUM after each day, the days on which it triggered, and the cool-down that is left."""
    n, at, carried, cooldown = len(excess), 0, state.statistic, state.cooldown_days
    statistics, triggers = np.zeros(n), []
    while at < n:
        if cooldown:
            rest = min(cooldown, n - at)
            at, cooldown, carried = at + rest, cooldown - rest, 0.0
            continue
        sums = np.cumsum(excess[at:])
        path = sums - np.minimum(np.minimum.accumulate(sums), -carried)
        over = np.flatnonzero(path > limits.skill_threshold)
        end = at + int(over[0]) + 1 if len(over) else n
        statistics[at:end] = path[: end - at]
        if len(over):
            triggers.append(end - 1)
            carried, cooldown = 0.0, limits.cooldown_days
        at = end
    return statistics, triggers, cooldown
