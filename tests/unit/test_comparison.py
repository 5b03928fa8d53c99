"""The Diebold-Mariano test on date means."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from loopcast.evidence.comparison import MIN_DATES, Comparison, compare
from loopcast.typing import Floats


def compare_naively(loss: Floats, reference: Floats, dates: Floats, horizon: int) -> tuple[float, float]:
    """The t statistic and its p-value, written out as the papers do."""
    days = sorted(set(dates.tolist()))
    difference = [float(np.mean([reference[i] - loss[i] for i in range(len(loss)) if dates[i] == day])) for day in days]
    n, mean = len(days), sum(difference) / len(days)
    lag = max(horizon - 1, math.floor(4 * (n / 100) ** (2 / 9)))
    variance = 0.0
    for k in range(-lag, lag + 1):
        covariance = sum((difference[i] - mean) * (difference[i - abs(k)] - mean) for i in range(abs(k), n)) / n
        variance += (1 - abs(k) / (lag + 1)) * covariance
    factor = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    t = mean / math.sqrt(variance / n) * factor
    return t, float(stats.t.sf(t, n - 1))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_dates=st.integers(MIN_DATES, 90),
    n_series=st.integers(1, 3),
    horizon=st.integers(1, 12),
)
def test_the_test_equals_its_definition(seed: int, n_dates: int, n_series: int, horizon: int) -> None:
    """Whatever the number of series a date, the overlap, and the order of the rows."""
    rng = np.random.default_rng(seed)
    dates = rng.permutation(np.concatenate([np.arange(n_dates), rng.integers(0, n_dates, n_dates * (n_series - 1))]))
    loss, reference = rng.gamma(2, 1, len(dates)), rng.gamma(2, 1.1, len(dates))

    result = compare(loss, reference, dates, horizon)

    assert (result.t_statistic, result.p_value) == pytest.approx(compare_naively(loss, reference, dates, horizon))


def test_a_comparison_holds_gain_test_and_size() -> None:
    """The gain is of the mean losses of dates."""
    noise = np.tile([0.1, -0.1], 50)

    result = compare(0.9 + noise, 1.0 + 2 * noise, np.arange(100), horizon=1)

    assert (result.gain_ratio, result.n_dates) == (pytest.approx(0.1), 100)
    assert result.t_statistic > 5
    assert result.p_value < 1e-6


def test_swapping_the_two_turns_the_statistic() -> None:
    """Evidence for one is evidence against the other."""
    rng = np.random.default_rng(3)
    a, b, dates = rng.gamma(2, 1, 200), rng.gamma(2, 1, 200), np.arange(200)

    there, back = compare(a, b, dates, horizon=5), compare(b, a, dates, horizon=5)

    assert there.t_statistic == pytest.approx(-back.t_statistic)
    assert there.p_value == pytest.approx(1 - back.p_value)


@pytest.mark.parametrize(
    ("loss", "reference", "gain"),
    [
        (np.ones(100), np.ones(100), 0.0),  # the same model twice
        (np.full(100, 0.9), np.full(100, 1.0), 0.1),  # a constant is an artefact, not a sample
        (0.1 * np.arange(100) + 0.3, 0.1 * np.arange(100) + 0.3 + 0.1, 0.1 / 5.35),  # constant up to rounding
        (np.zeros(100), np.zeros(100), float("nan")),
        (np.ones(MIN_DATES - 1), 2 + np.arange(MIN_DATES - 1.0), 1 - 1 / 16),  # too few to tell
        (np.ones(0), np.ones(0), float("nan")),
    ],
)  # fmt: skip
def test_what_does_not_vary_or_is_too_little_proves_nothing(loss: Floats, reference: Floats, gain: float) -> None:
    """Such data would otherwise divide by zero, or promote on nothing."""
    result = compare(loss, reference, np.arange(len(loss)), horizon=5)

    expected = Comparison(gain_ratio=gain, t_statistic=0.0, p_value=0.5, n_dates=len(loss))
    assert result.model_dump() == pytest.approx(expected.model_dump(), nan_ok=True)


@pytest.mark.parametrize("horizon", [40, 41, 168])
def test_a_horizon_beyond_the_sample_proves_nothing(horizon: int) -> None:
    """The small-sample factor reaches zero at the sample's length, and would grow again behind it."""
    rng = np.random.default_rng(4)

    result = compare(rng.gamma(2, 1, 40), rng.gamma(3, 1, 40), np.arange(40), horizon)

    assert (result.t_statistic, result.p_value) == (0.0, 0.5)


def test_losses_that_are_not_finite_are_refused() -> None:
    """A diverged model must not be compared by what is left of it."""
    with pytest.raises(ValueError, match="1 of 40 pairs hold a loss that is not finite"):
        compare(np.r_[np.nan, np.ones(39)], np.ones(40), np.arange(40), horizon=1)


def test_losses_that_do_not_pair_are_refused() -> None:
    """Otherwise one value would be compared with all."""
    with pytest.raises(ValueError, match="found 40 losses, 1 references"):
        compare(np.ones(40), np.ones(1), np.arange(40), horizon=1)
