"""Rows become steps: several rows in one, and short gaps that are filled and never looked across."""

import numpy as np
import pandas as pd
import pytest

from loopcast.panel import build_panel
from tests.factories import make_problem, make_rows

HALF_HOURS = make_rows(1, 3, 5, 7, 2, 2, 9, 1, frequency="30min")


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("mean", [2, 6, 2, 5]), ("last", [3, 7, 2, 1]), ("sum", [4, 12, 4, 10])],
)
def test_rows_within_a_step_become_one(aggregate, expected):
    """The label is the start of the step; covariates are united as the target is."""
    raw = HALF_HOURS.assign(visitors=2 * HALF_HOURS["sales"])
    problem = make_problem(frequency="h", aggregate=aggregate, columns={"covariates": [{"column": "visitors"}]})

    panel = build_panel(raw, problem).panel

    assert panel["target"].tolist() == expected
    assert panel["covariate_visitors"].tolist() == [2 * value for value in expected]
    assert panel["timestamp_utc"].dt.strftime("%d %H:%M").tolist() == ["01 00:00", "01 01:00", "01 02:00", "01 03:00"]


def test_prices_within_a_step_become_its_first_highest_lowest_and_last():
    """Hours of trading become a day as an exchange would report it."""
    prices = {"open": [5, 6] * 4, "high": [9, 8] * 4, "low": [4, 3] * 4, "close": [6, 7] * 4}
    raw = make_rows(*prices["close"], frequency="12h", **prices)
    columns = {"ohlc": {"open": "open", "high": "high", "low": "low", "close": "close"}}

    panel = build_panel(raw, make_problem(aggregate="last", transform="log", columns=columns)).panel

    variance = np.log(5 / 7) ** 2 + 0.5 * np.log(9 / 3) ** 2 - (2 * np.log(2) - 1) * np.log(7 / 5) ** 2
    np.testing.assert_allclose(panel["range_variance"], [np.nan, variance, variance, variance])
    np.testing.assert_allclose(panel["overnight_change"], [np.nan, *[np.log(5 / 7)] * 3])


def test_an_empty_covariate_stays_empty_when_rows_are_summed():
    """The sum of nothing is unknown, not zero."""
    columns = {"covariates": [{"column": "visitors"}]}
    raw = HALF_HOURS.assign(visitors=[1, 2, None, None, None, 4, 5, 6])

    panel = build_panel(raw, make_problem(frequency="h", aggregate="sum", columns=columns)).panel

    np.testing.assert_array_equal(panel["covariate_visitors"], [3, np.nan, 4, 11])


@pytest.mark.parametrize(
    ("fill_steps", "target", "is_filled"),
    [
        (0, [1, 2, 4, 7, 8, 9, 10], [0, 0, 0, 0, 0, 0, 0]),
        (1, [1, 2, 2, 4, 7, 8, 9, 10], [0, 0, 1, 0, 0, 0, 0, 0]),
        (2, [1, 2, 2, 4, 4, 4, 7, 8, 9, 10], [0, 0, 1, 0, 1, 1, 0, 0, 0, 0]),
    ],
)
def test_short_gaps_carry_the_value_before_them(fill_steps, target, is_filled):
    """A run of missing steps is filled as a whole or not at all, and a covariate is carried with the value."""
    raw = make_rows(*range(1, 11), visitors=range(11, 21)).drop(index=[2, 4, 5])
    columns = {"covariates": [{"column": "visitors"}]}
    problem = make_problem(columns=columns, quality={"fill_steps": fill_steps, "min_rows": 4})

    panel = build_panel(raw, problem).panel

    assert panel["target"].tolist() == target
    assert panel["covariate_visitors"].tolist() == [value + 10 for value in target]
    assert panel["is_filled"].tolist() == [bool(flag) for flag in is_filled]


@pytest.mark.parametrize(
    ("frequency", "times", "filled"),
    [
        ("B", ["2024-03-28", "2024-04-01"], ["2024-03-29"]),
        ("MS", ["2024-01-01", "2024-04-01"], ["2024-02-01", "2024-03-01"]),
        ("W-SUN", ["2024-03-24", "2024-04-07"], ["2024-03-31"]),
        ("6h", ["2024-03-30 18:00", "2024-03-31 12:00"], ["2024-03-31 00:00", "2024-03-31 06:00"]),
        ("h", ["2024-03-31 01:00", "2024-03-31 04:00"], ["2024-03-31 03:00"]),
    ],
)
def test_filled_steps_lie_on_the_local_grid(frequency, times, filled):
    """Across weekends, months of any length, and the night on which the clocks of Zurich change."""
    problem = make_problem(frequency=frequency, time_zone="Europe/Zurich", quality={"fill_steps": 3, "min_rows": 4})
    offset = problem.offset
    before = [pd.Timestamp(times[0]) - k * offset for k in (3, 2, 1)]
    raw = pd.DataFrame({"shop": "north", "day": [*map(str, before), *times], "sales": 1.0})

    panel = build_panel(raw, problem).panel

    found = panel["timestamp_utc"][panel["is_filled"]].dt.tz_convert("Europe/Zurich").dt.tz_localize(None)
    assert found.tolist() == [pd.Timestamp(time) for time in filled]


def test_nothing_is_filled_after_the_end_or_between_series():
    """A series that stopped has no later values, and a new one no earlier ones."""
    raw = pd.concat([make_rows(1, 2, 3, 4), make_rows(5, 6, 7, 8, shop="south", start="2024-01-07")])

    panel = build_panel(raw, make_problem()).panel

    assert panel["target"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
