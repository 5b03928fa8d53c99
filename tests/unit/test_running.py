"""Means over what has gone before, beside what pandas says."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from loopcast.running import decayed_sums, lag, weighted_means, window_means, window_scores

VALUES = st.lists(st.one_of(st.just(np.nan), st.floats(-1e3, 1e3)), min_size=1, max_size=60)
LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=3, unique=True).map(tuple)
EXACT = {"rtol": 1e-9, "atol": 1e-9}


def positions(lengths: list[int]) -> np.ndarray:
    """Position of each row, for segments of these lengths."""
    return np.concatenate([np.arange(length) for length in lengths])


@given(VALUES, st.floats(0.05, 1))
def test_weighted_means_equal_those_of_pandas(values, decay):
    """Unknown values carry no weight, and the plain mean is the one without decay."""
    found = weighted_means(np.array([values]), np.array([decay]), np.arange(len(values)))[0]

    series = pd.Series(values, dtype=float)
    expected = series.expanding().mean() if decay == 1 else series.ewm(alpha=1 - decay).mean()
    np.testing.assert_allclose(found, expected, **EXACT)


@given(VALUES, LENGTHS)
def test_window_means_equal_those_of_pandas(values, lengths):
    """Windows may be longer than the series, and hold unknown values."""
    found = window_means(np.array(values), lengths, np.arange(len(values)))

    for length, means in zip(lengths, found, strict=True):
        expected = pd.Series(values, dtype=float).rolling(length, min_periods=1).mean()
        np.testing.assert_allclose(means, expected, **EXACT)


@given(st.lists(st.one_of(st.none(), st.integers(-5000, 5000)), min_size=1, max_size=60), st.integers(2, 70))
def test_window_scores_equal_a_naive_loop(cents, length):
    """The score is told by mean and deviation of the window alone, however far its values lie from zero."""
    values = np.array([np.nan if each is None else each / 128 for each in cents])

    found = window_scores(values[None] + 1e6, length, 2, np.arange(len(values)))[0]

    for row in range(len(values)):
        window = values[max(row + 1 - length, 0) : row + 1]
        known = window[~np.isnan(window)]
        spread = known.std(ddof=1) if len(known) >= 2 else np.nan
        expected = (values[row] - known.mean()) / spread if spread > 1e-6 else 0 * spread * values[row]
        np.testing.assert_allclose(found[row], expected, rtol=1e-6, atol=1e-6)


@settings(deadline=None)
@given(VALUES, VALUES, VALUES)
def test_neither_the_future_nor_another_segment_changes_a_bit(earlier, values, future):
    """A segment gives the same alone, behind another one, and with more rows at its end."""
    values = np.array(values)
    alone = np.arange(len(values))
    among = positions([len(earlier), len(values) + len(future)])
    longer = np.concatenate([earlier, values, future])
    own = slice(len(earlier), len(earlier) + len(values))

    def measure(given: np.ndarray, position: np.ndarray) -> np.ndarray:
        weighted = weighted_means(np.stack([given, given]), np.array([0.94, 1.0]), position)
        return np.stack(
            [*weighted, *window_means(given, (5, 22), position), *window_scores(given[None], 22, 5, position)]
        )

    assert np.array_equal(measure(longer, among)[:, own], measure(values, alone), equal_nan=True)


def test_a_constant_has_the_score_zero():
    """No spread means no surprise, and not a division by it."""
    found = window_scores(np.full((1, 40), 0.1), 22, 5, np.arange(40))[0]

    assert np.isnan(found[:4]).all()
    assert (found[4:] == 0).all()


def test_sums_decay_over_any_length():
    """Old values lose their weight without becoming numbers that no computer holds."""
    found = decayed_sums(np.ones((2, 5000)), np.array([0.5, 0.0]), np.arange(5000))

    np.testing.assert_allclose(found[0, -1], 2)
    assert (found[1] == 1).all()


def test_a_lag_never_reaches_into_another_segment():
    """Before a segment there is nothing, which is zero."""
    assert lag(np.arange(1.0, 7.0), 2, positions([4, 2])).tolist() == [0, 0, 1, 2, 0, 0]
    assert lag(np.ones(2), 5, np.arange(2)).tolist() == [0, 0]
