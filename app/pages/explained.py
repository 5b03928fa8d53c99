"""Why a forecast is as wide as it is, in plain words: against what is usual for its series, and what makes the rest."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.answers.forecasts import Explanation
from app.pages.figures import show_percent
from loopcast.stores.champions import ServedProblem

ABOUT_THE_SAME: Final = 0.005
"""Share of the width below which nobody calls it wider or narrower."""
VOLATILITY: Final = "recent volatility, against its usual level"


@dataclass(frozen=True)
class WidthAccount:
    """What is said of a width.

    Attributes:
        headline: Against what is usual for the series.
        causes: Of the difference: words, logarithm of the ratio, the ratio as written. Together they make the headline.
    """

    headline: str
    causes: tuple[tuple[str, float, str], ...]


def account_for_width(series_id: str, served: ServedProblem, found: Explanation | None) -> WidthAccount:
    """Why the newest forecast of a series is wider or narrower than usual.

    Usual is what the model says of an average situation, at the median of the series' own volatility.

    Args:
        found: What the model adds to volatility; None where it is a formula, which adds nothing.
    """
    causes = [(VOLATILITY, math.log(_compare_volatility(series_id, served)))]
    if found is not None:
        causes += [(each.group, each.log_stretch) for each in found.contributions]
    change = math.exp(sum(value for _, value in causes)) - 1
    if abs(change) < ABOUT_THE_SAME:
        headline = f"The intervals are about as wide as usual for {series_id}."
    else:
        headline = f"The intervals are {describe_change(change)} than usual for {series_id}."
    return WidthAccount(headline, tuple((name, value, describe_change(math.exp(value) - 1)) for name, value in causes))


def describe_change(change: float) -> str:
    r"""How much wider or narrower.

    >>> describe_change(0.021), describe_change(-0.2), describe_change(0.0001)
    ('2.1\u202f% wider', '20.0\u202f% narrower', 'no change')
    """
    if round(abs(change), 3) == 0:
        return "no change"
    return f"{show_percent(abs(change))} {'wider' if change > 0 else 'narrower'}"


def _compare_volatility(series_id: str, served: ServedProblem) -> float:
    """Volatility at the last step, over the median of the series."""
    design, last = served.design, served.latest[series_id]
    is_own = (design.series == design.series[last]) & design.is_ready
    usual = float(np.median(design.ewma_deviation[is_own]))
    ratio = float(design.ewma_deviation[last]) / usual if usual > 0 else 1.0
    return ratio if ratio > 0 else 1.0
