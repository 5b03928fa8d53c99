"""What only prices have: the variance that a step's range shows, and share splits that nobody adjusted."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from loopcast.typing import Floats, Ints

ROUNDING: Final = 1e-4
"""Log differences below a hundredth of a percent are rounding; a step that never moved has this range."""

SPLIT_RATIOS: Final = np.array([3 / 2, 2, 3, 4, 5, 7, 10, 20])
"""New shares for an old one, or the other way round."""
SPLIT_TOLERANCE: Final = 0.025
"""Log distance from a split ratio: the market moves a price on the day of its split too."""
SPLIT_SCALES: Final = 8.0
"""A split is larger than this many usual moves; what moves so far every month is no price of a share."""
DAYS_AROUND: Final = 5
"""Steps before and after a split that lie at their own level, while an error in one price is gone in the next."""


@dataclass(frozen=True)
class Split:
    """A jump that looks like a share split."""

    series_id: str
    timestamp_utc: pd.Timestamp
    ratio: float
    """New shares for an old one; below 1 where shares were merged."""


def measure_ranges(target: Floats, prices: Floats, segments: Ints) -> tuple[Floats, Floats]:
    """Variance over each step from its range, and the overnight change; unknown where prices contradict each other.

    Prices are moved to the target's level first: an adjusted target lies below the close of its day.

    Args:
        target: Above zero, shape (n,).
        prices: Open, high, low and close of each step, shape (n, 4), NaN where unknown.
        segments: Run of neighbouring steps that each row is in, shape (n,).

    Returns:
        Squared overnight change + Garman-Klass variance, and log of the open over the target before it, each of shape
        (n,); NaN where unknown and at the head of a segment.

    Source:
        Garman and Klass (1980), On the estimation of security price volatilities from historical data.
    """
    target = np.log(target)
    opened, high, low, close = np.log(np.where(prices > 0, prices, np.nan)).T
    inner = np.stack([opened, close])
    is_sound = (high >= low) & (inner <= high + ROUNDING).all(axis=0) & (inner >= low - ROUNDING).all(axis=0)
    opened = opened - close + target
    overnight = np.r_[np.nan, opened[1:] - target[:-1]] if len(target) else target
    overnight[np.diff(segments, prepend=-1) != 0] = np.nan
    range_variance = 0.5 * (high - low) ** 2 - (2 * np.log(2) - 1) * (target - opened) ** 2
    variance = overnight**2 + np.maximum(range_variance, ROUNDING**2)
    return np.where(is_sound, variance, np.nan), np.where(is_sound, overnight, np.nan)


def find_splits(panel: pd.DataFrame, segments: Ints) -> list[Split]:
    """Jumps of a positive target by the ratio of a share split that are far from usual and stay.

    Where the overnight change is known it may show the ratio too: the market has not moved on by then.

    Args:
        panel: n rows with `series_id`, `timestamp_utc` and a positive `target`, perhaps `overnight_change`.
        segments: Run of neighbouring steps that each row is in, shape (n,).
    """
    level = np.log(panel["target"].to_numpy(dtype=float))
    change = np.where(np.diff(segments, prepend=-1) == 0, np.diff(level, prepend=np.nan), 0.0)
    size = pd.Series(np.abs(change))
    usual = 1.4826 * size.groupby(pd.factorize(panel["series_id"])[0]).transform("median").to_numpy()
    is_large = (np.abs(change) > SPLIT_SCALES * usual) & (usual > 0)
    moves = np.stack([change, panel["overnight_change"].to_numpy()] if "overnight_change" in panel else [change])
    distance = np.fmin.reduce(np.abs(np.abs(moves)[..., None] - np.log(SPLIT_RATIOS)))
    jumps = np.flatnonzero(is_large & (distance.min(axis=1) < SPLIT_TOLERANCE))
    first, last = np.searchsorted(segments, segments[jumps]), np.searchsorted(segments, segments[jumps], "right") - 1
    before = np.maximum(jumps[:, None] - np.arange(1, DAYS_AROUND + 1), first[:, None])
    after = np.minimum(jumps[:, None] + np.arange(DAYS_AROUND), last[:, None])
    stays = (np.median(level[after], axis=1) - np.median(level[before], axis=1)) / change[jumps] > 0.5
    return [
        Split(
            series_id=str(panel["series_id"].iloc[row]),
            timestamp_utc=panel["timestamp_utc"].iloc[row],
            ratio=float(SPLIT_RATIOS[distance[row].argmin()] ** -np.sign(change[row])),
        )
        for row in jumps[stays]
    ]
