"""Is the champion worse than the one before it, which is scored in shadow on the same origins.

A difference that is there but small is found by Diebold and Mariano's test once there are dates enough; a gross one, of
a model that should never have been promoted, by the skill CUSUM within days, with the predecessor as its baseline.
"""

from typing import Final

import pandas as pd
from pandera.typing import DataFrame
from pydantic import BaseModel

from loopcast.evidence.comparison import Comparison, compare
from loopcast.evidence.record import RECORD
from loopcast.health.skill_cusum import SkillState, SkillWatch, watch_skill
from loopcast.health.sums import KEYS, StepSums
from loopcast.sections.monitoring import Monitoring

SAME: Final = [key for key in KEYS if key != "model_version"]


class Shadow(BaseModel):
    """How the champion does against its predecessor."""

    model_config = RECORD

    vs_champion: Comparison
    """Of the predecessor's daily losses, with the champion's as reference: a gain speaks against the champion."""
    watch: SkillWatch
    is_worse: bool


def judge_shadow(
    champion: DataFrame[StepSums],
    predecessor: DataFrame[StepSums],
    state: SkillState,
    limits: Monitoring,
    *,
    horizon_days: int,
) -> Shadow:
    """Compare both on the steps that both forecast and that have come true; without such steps nothing is worse.

    Args:
        champion, predecessor: Since the champion was promoted, one model version each.
        state: Of the CUSUM of the champion against the predecessor, `start_skill` at the promotion.
        horizon_days: Days from an origin to its last target.
    """
    pairs = champion.merge(predecessor, on=SAME, suffixes=("", "_before"))
    pairs = pairs[(pairs["n_judged"] > 0) & (pairs["n_judged_before"] > 0)]
    losses = pd.DataFrame(
        {
            "day_utc": pairs["day_utc"],
            "horizon": pairs["horizon"],
            "loss": pairs["loss_in_reaches"] / pairs["n_judged"],
            "baseline_loss": pairs["loss_in_reaches_before"] / pairs["n_judged_before"],
        }
    )
    found = compare(
        losses["baseline_loss"].to_numpy(dtype=float),
        losses["loss"].to_numpy(dtype=float),
        losses["day_utc"].astype("int64").to_numpy(),
        horizon_days,
    )
    days = losses[losses["horizon"] == 1].groupby("day_utc")[["loss", "baseline_loss"]].mean()
    watch = watch_skill(state, days, limits)
    is_sure = found.n_dates >= limits.rollback_days and found.p_value < limits.rollback_alpha
    # A predecessor that errs to one side wins some weeks by luck: a gross failure must show over all common days too.
    is_clear = (is_sure or bool(watch.triggers)) and found.gain_ratio > limits.rollback_margin
    return Shadow(vs_champion=found, watch=watch, is_worse=is_clear)
