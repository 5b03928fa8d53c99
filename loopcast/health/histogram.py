"""Histograms with fixed edges, which merge by addition, and the distances between two of them.

The edges are chosen once, from a reference sample: 1,792 equal bins hold all of it but a thousandth on either side, and
128 bins on each side, a tenth wider each, hold the tails.
"""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np

from loopcast.typing import Floats, Ints

N_TAIL: Final = 128
N_CORE: Final = 1792
N_BINS: Final = N_TAIL + N_CORE + N_TAIL
TAIL_RATIO: Final = 0.001
"""Share of the reference on either side of the equal bins."""
TAIL_GROWTH: Final = 1.1
"""Width of a tail's bin over that of the bin before: 128 of them reach a thousand times the width of the core."""
CONSTANT_RATIO: Final = 1e-6
"""Spread of the reference, relative to its size (or to 1), that is rounding and not variation."""
CHUNK: Final = 1 << 13
"""Values that are binned at once: their temporaries stay in a core's cache, and below the 128 KB from where memory is
fetched from the system each time, which costs eight times the binning."""


@dataclass(frozen=True)
class Bins:
    """The edges: N_CORE equal bins from `low` to `high`, and widening bins on either side."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """Of an equal bin."""
        return (self.high - self.low) / N_CORE

    @property
    def edges(self) -> Floats:
        """All of them, ascending, shape (N_BINS + 1,); values beyond the ends are in the outermost bins."""
        tail = self.width * (TAIL_GROWTH ** np.arange(1, N_TAIL + 1) - 1) / (TAIL_GROWTH - 1)
        core = self.low + self.width * np.arange(N_CORE + 1)
        return np.concatenate([self.low - tail[::-1], core, self.high + tail])

    def place(self, values: Floats) -> Ints:
        """The bin of each value.

        Args:
            values: Finite, or infinite, which is in the outermost bins; shape (n,).

        >>> Bins(0.0, 1.0).place(np.array([-np.inf, 0.0, 0.5, 7.0, np.inf])).tolist()
        [0, 128, 1024, 1993, 2047]
        """
        steps = (values - self.low) * (1 / self.width)
        places = np.clip(steps, -1, N_CORE).astype(np.int64)
        below, above = steps < 0, steps >= N_CORE
        if below.any():
            places[below] = -1 - _tail_bins(-steps[below])
        if above.any():
            places[above] = N_CORE + _tail_bins(steps[above] - N_CORE)
        return places + N_TAIL


@dataclass(frozen=True)
class Histogram:
    """Counts of a sample in fixed bins, with its moments.

    Attributes:
        counts: Shape (N_BINS,).
        n_missing: Values that were NaN, counted nowhere else.
        total, squares: Sums of the values and of their squares.
        minimum, maximum: +inf and -inf where there is no value.
    """

    bins: Bins
    counts: Ints
    n_missing: int = 0
    total: float = 0.0
    squares: float = 0.0
    minimum: float = float("inf")
    maximum: float = float("-inf")

    @classmethod
    def empty(cls, bins: Bins) -> Self:
        """Of no values: what a sum starts from."""
        return cls(bins, np.zeros(N_BINS, dtype=np.int64))

    @property
    def n(self) -> int:
        """Values that were counted."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """NaN where there is no value."""
        return self.total / self.n if self.n else float("nan")

    @property
    def deviation(self) -> float:
        """Standard deviation; NaN where there is no value."""
        return float(np.sqrt(max(self.squares / self.n - self.mean**2, 0.0))) if self.n else float("nan")

    @property
    def shares(self) -> Floats:
        """Share of the values up to each edge, shape (N_BINS + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.counts)]) / max(self.n, 1)

    def __add__(self, other: Self) -> Self:
        """The histogram of both samples.

        Raises:
            ValueError: The edges differ.
        """
        if self.bins != other.bins:
            raise ValueError(f"found edges {self.bins} and {other.bins}; needs the same to merge or compare")
        return type(self)(
            self.bins,
            self.counts + other.counts,
            self.n_missing + other.n_missing,
            self.total + other.total,
            self.squares + other.squares,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same counts and moments."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    __hash__ = None  # type: ignore[assignment]  # holds an array


def choose_bins(reference: Floats) -> Bins:
    """The edges for a column whose values look like these; a constant has bins around it that are 1 wide together.

    Args:
        reference: Shape (n,); NaN and infinities are left out.

    Raises:
        ValueError: There is no finite value.

    >>> choose_bins(np.array([2.0, 2.0, np.nan]))
    Bins(low=1.5, high=2.5)
    """
    finite = reference[np.isfinite(reference)]
    if len(finite) == 0:
        raise ValueError(f"none of {len(reference)} values is finite; needs one to choose edges")
    low, middle, high = (float(q) for q in np.quantile(finite, [TAIL_RATIO, 0.5, 1 - TAIL_RATIO]))
    if high - low <= CONSTANT_RATIO * max(1.0, abs(middle)):
        return Bins(middle - 0.5, middle + 0.5)
    return Bins(low, high)


def count_values(values: Floats, bins: Bins) -> Histogram:
    """The histogram of a sample.

    Args:
        values: Shape (n,); NaN is counted as missing, infinities are in the outermost bins and in no moment.

    >>> counted = count_values(np.array([0.1, 0.9, np.nan]), Bins(0.0, 1.0))
    >>> counted.n, counted.n_missing, counted.mean
    (2, 1, 0.5)
    """
    counts = np.zeros(N_BINS, dtype=np.int64)
    n_missing, total, squares, minimum, maximum = 0, 0.0, 0.0, float("inf"), float("-inf")
    for start in range(0, len(values), CHUNK):
        chunk = values[start : start + CHUNK]
        if not np.isfinite(found := float(chunk.sum())):
            chunk = chunk[~np.isnan(chunk)]
            n_missing += len(values[start : start + CHUNK]) - len(chunk)
        counts += np.bincount(bins.place(chunk), minlength=N_BINS)
        if not np.isfinite(found):
            chunk = chunk[np.isfinite(chunk)]
        if len(chunk):
            total += float(chunk.sum())
            squares += float(chunk @ chunk)
            minimum, maximum = min(minimum, float(chunk.min())), max(maximum, float(chunk.max()))
    return Histogram(bins, counts, n_missing, total, squares, minimum, maximum)


def measure_ks(ours: Histogram, reference: Histogram) -> float:
    """Largest difference between the shares of two samples up to a value: 0 for equal, 1 for disjoint, NaN for none.

    Never more than the exact Kolmogorov-Smirnov statistic, and less by at most the fullest bin's share.

    >>> bins = Bins(0.0, 1.0)
    >>> measure_ks(count_values(np.array([0.1, 0.2]), bins), count_values(np.array([0.1, 0.8]), bins))
    0.5
    """
    _require_same_bins(ours, reference)
    if not (ours.n and reference.n):
        return float("nan")
    return float(np.abs(ours.shares - reference.shares).max())


def measure_wasserstein(ours: Histogram, reference: Histogram) -> float:
    """Mean distance that one sample must be moved to become the other, in the column's unit; NaN for none.

    Values are taken to lie evenly within a bin.

    Source: Vallender (1974), Theory of Probability and Its Applications 18(4).

    >>> bins = Bins(0.0, 1.0)
    >>> ours, reference = count_values(np.array([0.1, 0.2]), bins), count_values(np.array([0.6, 0.7]), bins)
    >>> round(measure_wasserstein(ours, reference), 3)
    0.5
    """
    _require_same_bins(ours, reference)
    if not (ours.n and reference.n):
        return float("nan")
    gap = ours.shares - reference.shares
    left, right = np.abs(gap[:-1]), np.abs(gap[1:])
    mean = (left + right) / 2
    crosses = gap[:-1] * gap[1:] < 0
    mean[crosses] = (left[crosses] ** 2 + right[crosses] ** 2) / (2 * (left[crosses] + right[crosses]))
    return float(mean @ np.diff(ours.bins.edges))


def read_quantiles(histogram: Histogram, levels: Floats) -> Floats:
    """Quantiles of the sample, shape (k,), to within a bin; NaN where there is no value.

    Args:
        levels: In [0, 1], shape (k,).

    >>> read_quantiles(count_values(np.linspace(0, 1, 1001), Bins(0.0, 1.0)), np.array([0.1, 0.5])).round(2).tolist()
    [0.1, 0.5]
    """
    if not histogram.n:
        return np.full(len(levels), np.nan)
    shares, edges = histogram.shares, histogram.bins.edges
    upper = np.clip(np.searchsorted(shares, levels, side="left"), 1, N_BINS)
    lower = upper - 1
    part = (levels - shares[lower]) / np.maximum(shares[upper] - shares[lower], np.finfo(float).tiny)
    found = edges[lower] + np.clip(part, 0, 1) * (edges[upper] - edges[lower])
    return np.clip(found, histogram.minimum, histogram.maximum)


def _tail_bins(distance: Floats) -> Ints:
    """Number of the tail's bin, counted from the core, of a distance from the core in widths of its bins."""
    bins = np.log1p(distance * (TAIL_GROWTH - 1)) / np.log(TAIL_GROWTH)
    return np.asarray(np.minimum(bins, N_TAIL - 1), dtype=np.int64)


def _require_same_bins(ours: Histogram, reference: Histogram) -> None:
    if ours.bins != reference.bins:
        raise ValueError(f"found edges {ours.bins} and {reference.bins}; needs the same to merge or compare")
