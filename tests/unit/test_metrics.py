"""The figures by which one candidate is judged."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from loopcast.evidence.metrics import Score, crossing_ratio, interval_ends, pinball_loss, score
from loopcast.evidence.point import direction_ratio, scaled_errors
from loopcast.typing import Floats

LEVELS = np.array([0.025, 0.1, 0.5, 0.9, 0.975])
values = st.floats(-1e6, 1e6)


def score_rows(actual: Floats, quantiles: Floats, **changes: Any) -> Score:
    """Score of rows that start at 0, each at a date of its own, with unit scales."""
    n = len(actual)
    context: dict[str, Any] = {
        "last": np.zeros(n), "mean_change": np.ones(n), "rms_change": np.ones(n), "dates": np.arange(n),
    }  # fmt: skip
    return score(actual, quantiles, LEVELS, **context | changes)


@settings(deadline=None)
@given(arrays(float, (3, 2), elements=values), arrays(float, (3, 2, 5), elements=values))
def test_pinball_loss_equals_its_definition(actual: Floats, quantiles: Floats) -> None:
    """Under-forecasts cost the level, over-forecasts its complement, averaged over the levels."""
    expected = np.zeros((3, 2))
    for n in range(3):
        for h in range(2):
            for k, level in enumerate(LEVELS):
                miss = actual[n, h] - quantiles[n, h, k]
                expected[n, h] += (level * miss if miss >= 0 else (level - 1) * miss) / len(LEVELS)

    assert pinball_loss(actual, quantiles, LEVELS) == pytest.approx(expected)


def test_a_score_holds_every_figure() -> None:
    """Two rows and one horizon, small enough to check by hand."""
    actual = np.array([[1.0], [-5.0]])
    quantiles = np.array([[[-2.0, -1.0, 0.5, 1.0, 2.0]], [[-2.0, -1.0, 0.5, 1.0, 2.0]]])

    result = score_rows(actual, quantiles, mean_change=np.array([2.0, 4.0]), rms_change=np.array([2.0, 5.0]))

    assert result.figures() == pytest.approx({
        "n_rows": 2, "n_dates": 2,
        "pinball": np.mean([0.075 + 0.2 + 0.25 + 0 + 0.025, 2.925 + 3.6 + 2.75 + 0.6 + 0.175]) / 5,
        "mae": 3.0, "rmse": np.sqrt((0.25 + 30.25) / 2), "mae_ratio": 1.0, "rmse_ratio": np.sqrt(30.5 / 26),
        "mase": (0.25 + 1.375) / 2, "rmsse": np.sqrt((0.0625 + 1.21) / 2), "smape_ratio": (2 / 3 + 2) / 2,
        "direction_ratio": 0.5, "direction_se": result.direction_se, "rise_ratio": 1.0,
        "crossing_ratio": 0.0,
        "coverage_80_ratio": 0.5, "width_80": 2.0, "winkler_80": (2 + 2 + 40) / 2,
        "coverage_95_ratio": 0.5, "width_95": 4.0, "winkler_95": (4 + 4 + 120) / 2,
    })  # fmt: skip


def test_figures_by_horizon_average_to_the_pooled_ones() -> None:
    """Every row has every horizon, so that the mean of means is the mean."""
    rng = np.random.default_rng(0)
    result = score_rows(rng.normal(size=(50, 3)), np.sort(rng.normal(size=(50, 3, 5)), axis=-1))

    for interval in (result.interval_80, result.interval_95):
        assert np.mean(interval.coverage_ratio_by_horizon) == pytest.approx(interval.coverage_ratio)
        assert np.mean(interval.width_by_horizon) == pytest.approx(interval.width)
        assert np.mean(interval.winkler_by_horizon) == pytest.approx(interval.winkler)
    assert np.mean(result.pinball_by_horizon) == pytest.approx(result.pinball)


def test_a_constant_series_leaves_ratios_undefined_and_all_else_finite() -> None:
    """Nothing moved, so persistence errs by nothing and no error can be scaled."""
    result = score_rows(np.zeros((4, 2)), np.zeros((4, 2, 5)), mean_change=np.zeros(4), rms_change=np.zeros(4))

    undefined = {name for name, value in result.figures().items() if not np.isfinite(value)}
    assert undefined == {"mae_ratio", "rmse_ratio", "mase", "rmsse", "direction_ratio", "direction_se", "rise_ratio"}


def test_series_that_never_changed_are_left_out_of_scaled_errors() -> None:
    """One constant series must not make the others' figures infinite."""
    error = np.array([[1.0], [1.0]])

    assert scaled_errors(error, np.array([0.0, 2.0]), np.array([0.0, 4.0])) == (0.5, 0.25)


def test_a_score_survives_json_with_undefined_figures() -> None:
    """PostgreSQL and other readers take no bare NaN."""
    result = score_rows(np.zeros((4, 2)), np.zeros((4, 2, 5)))

    text = result.model_dump_json()

    assert ":NaN" not in text
    assert np.isnan(Score.model_validate_json(text).mae_ratio)


def test_percentages_are_taken_of_the_target_and_not_of_its_logarithm() -> None:
    """A price of 100 for one of 50 is off by two thirds, whatever the transform."""
    quantiles = np.full((1, 1, 5), np.log(50.0))

    result = score_rows(np.log([[100.0]]), quantiles, transform="log")

    assert result.smape_ratio == pytest.approx(2 / 3)


def test_series_that_move_together_do_not_make_the_direction_surer() -> None:
    """Four copies of a series are one series."""
    rng = np.random.default_rng(1)
    actual, point = rng.normal(size=(200, 1)), rng.normal(size=(200, 1))
    one = direction_ratio(actual, point, np.zeros(200), np.arange(200), horizon=1)

    four = direction_ratio(
        np.tile(actual, (4, 1)), np.tile(point, (4, 1)), np.zeros(800), np.tile(np.arange(200), 4), horizon=1
    )

    assert four == pytest.approx(one)


def test_overlapping_horizons_make_the_direction_less_sure() -> None:
    """A hundred origins of ten-step moves hold far fewer than a hundred independent moves."""
    level = np.cumsum(np.random.default_rng(2).normal(size=1010))
    move = (level[10:] - level[:-10])[:, None]
    point = np.ones_like(move)

    ratio, se = direction_ratio(move, point, np.zeros(1000), np.arange(1000), horizon=10)

    assert se > 1.8 * np.sqrt(ratio * (1 - ratio) / 1000)


def test_crossing_quantiles_are_counted() -> None:
    """One of the four neighbours stands in the wrong order."""
    assert crossing_ratio(np.array([[[1.0, 2.0, 4.0, 3.0, 5.0]]])) == 0.25


def test_an_interval_without_its_ends_is_refused() -> None:
    """The median of a list that lacks 0.1 must not stand in for it."""
    with pytest.raises(ValueError, match="80% interval needs its two ends"):
        interval_ends(np.zeros((1, 1, 3)), np.array([0.025, 0.5, 0.975]), nominal=0.8)


@pytest.mark.parametrize(
    ("actual", "message"), [(np.zeros((3, 2)), "found shapes"), (np.zeros((0, 2)), "at least one row")]
)
def test_rows_that_do_not_fit_are_refused(actual: Floats, message: str) -> None:
    """Broadcasting would score them silently."""
    with pytest.raises(ValueError, match=message):
        score(
            actual, np.zeros((len(actual), 2 if len(actual) == 0 else 1, 5)), LEVELS, last=np.zeros(len(actual)),
            mean_change=np.ones(len(actual)), rms_change=np.ones(len(actual)), dates=np.arange(len(actual)),
        )  # fmt: skip
