"""What widens or narrows intervals, in sentences for people who never saw a feature's name."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from loopcast.config import Problem
from loopcast.evidence.formats import format_percent, name_steps
from loopcast.families import lag_buckets
from loopcast.typing import Floats32

CALENDAR: Final = "calendar"
"""The group that is no feature of the past, but where the steps lie that are forecast."""


@dataclass(frozen=True)
class Group:
    """A feature in a bucket of lags.

    Attributes:
        feature: Its name.
        lag_bucket: Name of the bucket; empty for the calendar.
        first, last: Lags in it, in steps before the origin.
        is_high: Whether the feature lies above its average there.
        is_rise: Whether it is above zero there.
    """

    feature: str
    lag_bucket: str = ""
    first: int = 0
    last: int = 0
    is_high: bool = False
    is_rise: bool = False


def name_groups(features: tuple[str, ...], window: Floats32, average: Floats32, problem: Problem) -> list[Group]:
    """Each feature in each bucket of lags, feature by feature, and last the calendar where the problem has one.

    Args:
        window: Features up to the origin, shape (context, F).
        average: Of each feature, shape (F,).
    """
    groups = []
    for feature, values, usual in zip(features, window[::-1].T, average, strict=True):
        for name, first, last in lag_buckets(problem):
            mean = float(np.mean(values[first : last + 1]))
            groups.append(Group(feature, name, first, last, is_high=mean > usual, is_rise=mean > 0))
    return [*groups, Group(CALENDAR)] if problem.features.calendar else groups


def describe_effect(group: Group, log_stretch: float, problem: Problem) -> str:
    """What a group does to the intervals, in one sentence."""
    ratio = float(np.exp(log_stretch))
    verb = "widens" if ratio > 1 else "narrows"
    subject = _describe_group(group, problem)
    return f"{subject[0].upper()}{subject[1:]} {verb} the intervals by {format_percent(abs(ratio - 1))}."


def describe_width(ratio: float) -> str:
    """A width beside another one.

    >>> describe_width(1.2), describe_width(0.94), describe_width(1.0001)
    ('20.0 % wider than', '6.0 % narrower than', 'as wide as')
    """
    if abs(ratio - 1) < 0.0005:
        return "as wide as"
    return f"{format_percent(abs(ratio - 1))} {'wider' if ratio > 1 else 'narrower'} than"


def _describe_group(group: Group, problem: Problem) -> str:
    if group.feature == CALENDAR and not group.lag_bucket:
        names = ", ".join(name.replace("_", " ") for name in problem.features.calendar)
        return f"where the steps ahead lie in the calendar ({names})"
    is_last = group.last == 0
    ago = "" if is_last else f", {group.lag_bucket} steps before the last,"
    kind, _, length = group.feature.rpartition("_")
    over = _span(int(length), problem, is_last=is_last) if re.fullmatch(r"\d+", length) else ""
    level, move = "high" if group.is_high else "low", "a rise" if group.is_rise else "a fall"
    covariates = {each.column for each in problem.columns.covariates}
    if group.feature in covariates:
        return f"{level} {group.feature}{' at the last step' if is_last else ago}"
    if group.feature == "variance_all":
        return f"{level} volatility since the history began{' up to the last step' if is_last else ago}"
    if group.feature == "overnight_change":
        return f"{move} from close to open{' at the last step' if is_last else ago}"
    if kind == "variance":
        return f"{level} volatility {over}{ago}"
    if kind == "market_variance":
        return f"{level} volatility of all series {over}{ago}"
    return f"{move} {over or _span(1, problem, is_last=is_last)}{ago}"


def _span(n_steps: int, problem: Problem, *, is_last: bool) -> str:
    steps = name_steps(problem, n_steps).removeprefix("1 ")
    if is_last:
        return f"over the last {steps}"
    return f"over one {steps}" if n_steps == 1 else f"over {steps}"
