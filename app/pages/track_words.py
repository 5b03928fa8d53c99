"""A track record in sentences that hide nothing: what the middle is worth, what the width is worth, what is missing."""

from dataclasses import dataclass
from typing import Final, Literal

from app.answers.track_record import TrackRecord
from app.pages.figures import show_percent
from loopcast.evidence.wording import NOTABLE_RATIO
from loopcast.health.track_record import TrackFigures
from loopcast.sections.monitoring import Monitoring

SURE_P: Final = 0.05
"""Chance of looking as good without being better, up to which a gain is called more than chance."""
Tone = Literal["good", "bad", ""]


@dataclass(frozen=True)
class Told:
    """What the figures mean.

    Attributes:
        middle: The median beside the last value.
        width: The intervals beside what they promise.
        skill: The whole forecast beside the EWMA baseline.
    """

    middle: str
    width: str
    skill: str


def tell_track(found: TrackRecord, limits: Monitoring) -> Told:
    """What some judged steps say."""
    return Told(_tell_middle(found), _tell_width(found.overall, limits), _tell_skill(found))


def judge_coverage(found: float | None, nominal: float, limits: Monitoring) -> Tone:
    """Whether an interval holds about what it promises, by the tolerance at which monitoring alerts."""
    if found is None:
        return ""
    return "good" if abs(found - nominal) <= limits.tolerance(nominal) else "bad"


def judge_skill(skill_ratio: float | None) -> Tone:
    """Whether a forecast is better than the baseline."""
    return "" if skill_ratio is None else "good" if skill_ratio > 0 else "bad"


def _tell_middle(found: TrackRecord) -> str:
    ratio = found.overall.error_ratio
    if ratio is None:
        return "Nothing can be said of the middle of the forecast yet."
    if ratio > 1 + NOTABLE_RATIO:
        return (
            f"The middle of the forecast was worse than the last known value: its error was {ratio:.2f} times that of "
            "saying that nothing changes."
        )
    if ratio > 1 - NOTABLE_RATIO:
        return (
            f"The middle of the forecast was no better than the last known value: its error was {ratio:.3f} times that "
            "of saying that nothing changes."
        )
    if found.vs_persistence.p_value > SURE_P:
        return (
            f"The middle of the forecast was {show_percent(1 - ratio)} closer to what came true than the last known "
            "value, which may be chance."
        )
    return (
        f"The middle of the forecast was {show_percent(1 - ratio)} closer to what came true than the last known value."
    )


def _tell_width(figures: TrackFigures, limits: Monitoring) -> str:
    held_80, held_95 = figures.coverage_80_ratio, figures.coverage_95_ratio
    if held_80 is None or held_95 is None:
        return "Nothing can be said of the intervals yet."
    held = (
        f"Intervals of 80 % held {show_percent(held_80)}, those of 95 % held {show_percent(held_95)} of what came true"
    )
    off = [
        found - nominal
        for nominal, found in ((0.80, held_80), (0.95, held_95))
        if judge_coverage(found, nominal, limits) == "bad"
    ]
    if not off:
        return f"{held}: about as many as they promise."
    return f"{held}: they are {'too narrow' if min(off) < 0 else 'too wide'}."


def _tell_skill(found: TrackRecord) -> str:
    skill = found.overall.skill_ratio
    if skill is None:
        return ""
    if skill <= 0:
        return f"All in all its loss was {show_percent(-skill)} above that of intervals from volatility alone (EWMA)."
    found_below = f"All in all its loss was {show_percent(skill)} below that of intervals from volatility alone (EWMA)"
    if found.vs_ewma.p_value > SURE_P:
        return f"{found_below}, which may be chance."
    return f"{found_below} over {found.vs_ewma.n_days:,} days, more than chance."


def tell_pending(figures: TrackFigures) -> str:
    """What of the steps is still open."""
    if not figures.n_pending:
        return "all that were forecast"
    return f"{figures.n_pending:,} more have not come true"
