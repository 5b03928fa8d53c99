"""Random orders lead to Shapley values, and their spread to how well they are known."""

from itertools import permutations

import numpy as np
import pytest

from loopcast.queries.shapley import MIN_ROUNDS, estimate_shapley

N_PLAYERS = 5


def worth(kept):
    """A game whose players help and hinder each other."""
    pairs = np.random.default_rng(0).normal(size=(N_PLAYERS, N_PLAYERS))
    players = kept.astype(float)
    return 3 + players @ np.arange(N_PLAYERS) + ((players @ pairs) * players).sum(axis=1) + players.prod(axis=1)


def enumerate_shapley():
    """The values by their definition: the mean of what each adds, over all orders."""
    values, orders = np.zeros(N_PLAYERS), list(permutations(range(N_PLAYERS)))
    for order in orders:
        kept = np.zeros((1, N_PLAYERS), dtype=bool)
        for player in order:
            before = worth(kept)[0]
            kept[0, player] = True
            values[player] += worth(kept)[0] - before
    return values / len(orders)


def test_the_estimates_lie_within_their_errors_of_the_exact_values():
    """Four standard errors, and those are as small as was asked."""
    found = estimate_shapley(worth, N_PLAYERS, max_error=0.01, max_rounds=100_000)

    assert found.errors.max() <= 0.01
    assert (np.abs(found.values - enumerate_shapley()) <= 4 * found.errors + 1e-12).all()


def test_the_errors_are_those_of_repeated_estimates():
    """Over many seeds the values spread as much as each estimate says."""
    repeated = [estimate_shapley(worth, N_PLAYERS, max_error=0, max_rounds=32, seed=seed) for seed in range(200)]

    spread = np.std([each.values for each in repeated], axis=0)
    told = np.mean([each.errors for each in repeated], axis=0)
    assert spread == pytest.approx(told, rel=0.25)


def test_the_values_add_up_however_few_rounds_there_were():
    """The worth of nobody and all values together are the worth of all."""
    found = estimate_shapley(worth, N_PLAYERS, max_error=0, max_rounds=1)

    assert found.n_rounds == 1
    assert found.expected + found.values.sum() == pytest.approx(found.found)
    assert (found.expected, found.found) == (3.0, pytest.approx(worth(np.ones((1, N_PLAYERS), dtype=bool))[0]))


def test_a_game_without_interplay_ends_after_the_fewest_rounds():
    """All orders agree, so that the error is zero."""
    rounds = []

    found = estimate_shapley(
        lambda kept: kept @ np.array([1.0, -2.0, 0.0]), 3, max_error=0.01, max_rounds=100,
        tell=lambda n_rounds, error: rounds.append((n_rounds, error)),
    )  # fmt: skip

    assert (found.n_rounds, found.values.tolist()) == (MIN_ROUNDS, [1.0, -2.0, 0.0])
    assert rounds == [(n, np.inf) for n in range(1, MIN_ROUNDS)] + [(MIN_ROUNDS, 0.0)]
