"""What a step's prices say of its variance, and which jumps look like splits that nobody adjusted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loopcast.config import load_problem
from loopcast.errors import DataRefusedError
from loopcast.panel import build_panel
from loopcast.prices import measure_ranges
from loopcast.refusals import Ingest, check_refusals
from loopcast.stores.sources import read_source
from tests.factories import make_problem, make_rows

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
STILL = 7.0


def build_samples(**columns: object) -> Ingest:
    """The panel of the sample stocks, with other columns than the problem's."""
    problem = load_problem(CONFIGS / "google.yaml")
    problem = problem.model_copy(update={"columns": problem.columns.model_copy(update=columns)})
    return build_panel(read_source(problem), problem)


def make_walk(n_rows: int = 400, daily_sd: float = 0.01, seed: int = 0) -> np.ndarray:
    """A price from 100 with normal daily changes."""
    return 100 * np.exp(daily_sd * np.random.default_rng(seed).standard_normal(n_rows).cumsum())


def find_objections(prices: np.ndarray, **overrides: object) -> tuple[str, ...]:
    """What stands against a panel of one price."""
    return build_panel(make_rows(*prices), make_problem(transform="log", **overrides)).objections


def test_real_splits_are_found_in_unadjusted_prices():
    """Each split of the samples and nothing else, though the crash of 2000-09-29 more than halves Apple's price."""
    [objection] = build_samples(target="close").objections

    assert objection == (
        "google: 3 jumps look like share splits: AAPL on 2000-06-21 by 2, AAPL on 2005-02-28 by 2, "
        "MSFT on 2003-02-18 by 2; map an adjusted column to columns.target, or set quality.suspected_split: accept"
    )


def test_adjusted_prices_have_no_splits():
    """Neither crashes nor dividends are taken for one."""
    assert build_samples().objections == ()


def test_ranges_of_an_adjusted_price_are_those_of_the_unadjusted_one():
    """On a day without split or dividend the range says the same, at whatever level."""
    adjusted, unadjusted = build_samples().panel, build_samples(target="close").panel

    n_different = (~np.isclose(adjusted["range_variance"], unadjusted["range_variance"], equal_nan=True)).sum()

    assert n_different < 150  # IBM pays four dividends a year for 13 years, MSFT hardly fewer


@pytest.mark.parametrize("ratio", [2, 3, 10, 1.5, 1 / 4])
def test_a_jump_by_a_split_ratio_that_stays_is_suspected(ratio):
    """Splits lower the price, merged shares raise it; the market may move on the day as on any other."""
    prices = make_walk()
    prices[200:] /= ratio

    [objection] = find_objections(prices)

    assert f"north on 2024-07-19 by {ratio:.3g}" in objection


def test_a_jump_on_the_last_day_is_suspected():
    """Nothing says yet that it does not stay, and by tomorrow a model would have learnt from it."""
    prices = make_walk()
    prices[-1] /= 2

    assert len(find_objections(prices)) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda prices: prices * np.where(np.arange(400) == 200, 0.5, 1.0), "an error of one day"),
        (lambda prices: prices * np.where(np.arange(400) >= 200, 0.481, 1.0), "a crash beside the ratio"),
        (lambda prices: make_walk(daily_sd=0.15), "a series that moves so far on many days"),
        (lambda prices: np.where(np.arange(400) >= 200, 0.5, 0.25), "a rate that is set, and never moves by itself"),
    ],
)
def test_other_jumps_are_no_splits(change, why):
    """A split has the ratio, stays, and is far larger than what is usual."""
    assert find_objections(change(make_walk())) == (), why


def test_a_suspected_split_can_be_accepted():
    """Then the panel has a note in place of the objection."""
    raw = make_rows(*(make_walk() / np.where(np.arange(400) >= 200, 2, 1)))
    problem = make_problem(transform="log", quality={"suspected_split": "accept"})

    ingest = build_panel(raw, problem)

    check_refusals(ingest, problem)
    assert ingest.notes == ("1 jumps look like share splits: north on 2024-07-19 by 2; taken as they are",)


def test_a_suspected_split_stops_the_run():
    """The sentence names series, date, ratio and the two ways on."""
    problem = make_problem(transform="log")
    raw = make_rows(*(make_walk() / np.where(np.arange(400) >= 200, 2, 1)))

    with pytest.raises(DataRefusedError, match=r"north on 2024-07-19 by 2; map an adjusted column .* or set "):
        check_refusals(build_panel(raw, problem), problem)


@pytest.mark.parametrize(
    "bad",
    [
        {"high": 98.0},
        {"low": 103.0},
        {"open": 110.0},
        {"close": 90.0},
        {"low": 0.0},
        {"open": -1.0},
        {"high": np.nan},
    ],
)
def test_contradictory_prices_say_nothing_of_the_step(bad):
    """The range is unknown there, the value stays, and the day after is measured as usual."""
    prices = pd.DataFrame({"open": [100.0] * 3, "high": 102.0, "low": 99.0, "close": 101.0})
    prices.loc[1, list(bad)] = list(bad.values())

    variance, overnight = measure_ranges(np.full(3, 101.0), prices.to_numpy(), np.zeros(3, dtype=np.int64))

    assert np.isnan(variance).tolist() == np.isnan(overnight).tolist() == [True, True, False]


def test_a_step_without_any_move_has_the_least_variance():
    """A price that stood still all day is not known to a billionth."""
    variance, overnight = measure_ranges(np.full(2, STILL), np.full((2, 4), STILL), np.zeros(2, dtype=np.int64))

    np.testing.assert_allclose(variance, [np.nan, 1e-8])
    np.testing.assert_allclose(overnight, [np.nan, 0.0])


def test_the_head_of_a_segment_has_no_overnight_change():
    """A gap of weeks is no night."""
    overnight = measure_ranges(np.full(4, STILL), np.full((4, 4), STILL), np.array([0, 0, 1, 1]))[1]

    assert np.isnan(overnight).tolist() == [True, False, True, False]
