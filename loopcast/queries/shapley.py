"""Shapley values of many players: means over random orders, with their standard errors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from loopcast.typing import Bools, Floats

Value = Callable[[Bools], Floats]
"""What coalitions are worth, shape (c,): who is in each stands in a mask of shape (c, n)."""
MIN_ROUNDS: Final = 16
"""Pairs of orders below which their spread says little about the error."""


@dataclass(frozen=True)
class ShapleyValues:
    """What each of n players adds, estimated over some rounds.

    Attributes:
        values: Shape (n,); their sum is the worth of all less that of nobody, in every round.
        errors: Standard error of each, shape (n,).
        expected, found: Worth of nobody and of all.
        n_rounds: Pairs of orders that were walked.
    """

    values: Floats
    errors: Floats
    expected: float
    found: float
    n_rounds: int


def estimate_shapley(
    value: Value,
    n_players: int,
    *,
    max_error: float,
    max_rounds: int,
    seed: int = 0,
    tell: Callable[[int, float], None] = lambda _n_rounds, _error: None,
) -> ShapleyValues:
    """The Shapley values, as soon as every standard error is small enough, or after the last round.

    Each round walks through a random order of the players forth and back and sees what each adds where it stands.

    Args:
        value: Its coalitions come one after another in the order of such a walk.
        max_error: Standard error, in the unit of the worth.
        max_rounds: At least `MIN_ROUNDS`.
        tell: Is given the rounds that were walked, and the largest error so far; infinite at first.

    Source: Castro, Gómez and Tejada (2009), Polynomial calculation of the Shapley value based on sampling; Mitchell et
    al. (2022), Sampling permutations for Shapley value estimation (antithetic pairs).

    >>> found = estimate_shapley(lambda kept: kept @ np.array([1.0, 2.0]), 2, max_error=0.1, max_rounds=16)
    >>> found.values.tolist(), found.errors.tolist(), found.expected, found.found
    ([1.0, 2.0], [0.0, 0.0], 0.0, 3.0)
    """
    rng = np.random.default_rng(seed)
    mean, squares = np.zeros(n_players), np.zeros(n_players)
    errors = np.full(n_players, np.inf)
    expected = found = float("nan")
    n_rounds = 0
    while n_rounds < max_rounds and (n_rounds < MIN_ROUNDS or errors.max() > max_error):
        forth = rng.permutation(n_players)
        worths = [value(_walk(order)) for order in (forth, forth[::-1])]
        expected, found = float(worths[0][0]), float(worths[0][-1])
        added = np.empty((2, n_players))
        added[0, forth], added[1, forth[::-1]] = np.diff(worths[0]), np.diff(worths[1])
        n_rounds += 1
        difference = added.mean(axis=0) - mean
        mean += difference / n_rounds
        squares += difference * (added.mean(axis=0) - mean)
        if n_rounds > 1:
            errors = np.sqrt(squares / (n_rounds - 1) / n_rounds)
        tell(n_rounds, float(errors.max()) if n_rounds >= MIN_ROUNDS else float("inf"))
    return ShapleyValues(values=mean, errors=errors, expected=expected, found=found, n_rounds=n_rounds)


def _walk(order: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Bools:
    """Who is in, before anybody has come and after each has, shape (n + 1, n)."""
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    kept: Bools = rank < np.arange(len(order) + 1)[:, None]
    return kept
