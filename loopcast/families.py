"""Which features a problem has, the few families in which a person thinks of them, and the buckets of how long ago."""

from enum import StrEnum
from itertools import pairwise

from loopcast.config import Problem


class Family(StrEnum):
    """What a group of features tells; no more than eight, so that every combination of them can be tried."""

    LAST_CHANGE = "last_change"
    CHANGES = "changes"
    RECENT_VARIANCE = "recent_variance"
    PAST_VARIANCE = "past_variance"
    OVERNIGHT_CHANGE = "overnight_change"
    COVARIATES = "covariates"
    MARKET = "market"
    CALENDAR = "calendar"
    """Not a feature of the past, but where the steps lie that are forecast."""


def list_features(problem: Problem) -> tuple[tuple[str, Family], ...]:
    """Name and family of each feature that a design of the problem has, in their order."""
    scales = problem.features.scales
    recent, past = _split_scales(problem)
    return (
        ("change", Family.LAST_CHANGE),
        *((f"variance_{m}", Family.RECENT_VARIANCE) for m in recent),
        *((f"variance_{m}", Family.PAST_VARIANCE) for m in past),
        ("variance_all", Family.PAST_VARIANCE),
        *((f"change_{m}", Family.CHANGES) for m in scales[1:3]),
        *([("overnight_change", Family.OVERNIGHT_CHANGE)] if problem.columns.ohlc else []),
        *((each.column, Family.COVARIATES) for each in problem.columns.covariates),
        *((f"market_variance_{m}", Family.MARKET) for m in scales[:2] if problem.columns.series_id is not None),
    )


def feature_names(problem: Problem) -> tuple[str, ...]:
    """Names of the features that a design of the problem has, in their order."""
    return tuple(name for name, _ in list_features(problem))


def describe_family(family: Family, problem: Problem) -> str:
    """A family in words, with the lengths and columns of the problem."""
    covariates = [each.column for each in problem.columns.covariates]
    changes = problem.features.scales[1:3]
    calendars = [name.replace("_", " ") for name in problem.features.calendar]
    recent, past = _split_scales(problem)
    return {
        Family.LAST_CHANGE: "change of the last step",
        Family.CHANGES: f"change over the last {' and '.join(map(str, changes))} steps",
        Family.RECENT_VARIANCE: f"volatility of the last {_count_steps(recent[-1])}",
        Family.PAST_VARIANCE: f"volatility of the last {_count_steps(past[-1])} and of all before",
        Family.OVERNIGHT_CHANGE: "change from close to open",
        Family.COVARIATES: ", ".join(covariates) if len(covariates) <= 3 else f"{len(covariates)} covariates",
        Family.MARKET: "volatility of all series at the same time",
        Family.CALENDAR: f"calendar of the steps ahead: {', '.join(calendars)}",
    }[family]


def lag_buckets(problem: Problem) -> list[tuple[str, int, int]]:
    """Name, first and last lag of each bucket, in steps before the origin, nearest first.

    The buckets end where the windows of the features do; the origin itself is one of its own.
    """
    length = problem.network.context_length
    edges = [0, *(edge for edge in problem.features.scales if edge < length), length]
    edges = sorted(set(edges))
    pairs = [(first, following - 1) for first, following in pairwise(edges)]
    return [(f"{first}" if first == last else f"{first}–{last}", first, last) for first, last in pairs]


def _split_scales(problem: Problem) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shorter and the longer half of the windows, at least one each."""
    scales = problem.features.scales
    return scales[: len(scales) // 2], scales[len(scales) // 2 :]


def _count_steps(n_steps: int) -> str:
    return "step" if n_steps == 1 else f"{n_steps} steps"
