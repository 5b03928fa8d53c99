"""As if: what a source with other values would have led to, told beside what is."""

import numpy as np
import pandas as pd
import pytest

from loopcast.errors import DataRefusedError
from loopcast.features import build_design
from loopcast.panel import build_panel
from loopcast.queries.requests import ColumnChange, Operation, WhatIfRequest
from loopcast.queries.what_if import ask_what_if, change_history
from tests.panels import make_panel_problem
from tests.queried import PRICED, hear_nothing, make_champion

PROBLEM = make_panel_problem(columns=PRICED, quality={"min_rows": 100})


def make_source(n_steps=150):
    """Rows of two series as a source has them; the target is half of the close, as adjusted prices are."""
    rng = np.random.default_rng(3)
    days = pd.bdate_range("2015-01-05", periods=n_steps).strftime("%Y-%m-%d")
    frames = []
    for name in ("S0", "S1"):
        close = 100 * np.exp(rng.normal(0, 0.01, n_steps).cumsum())
        opened = close * np.exp(rng.normal(0, 0.005, n_steps))
        frames.append(
            pd.DataFrame(
                {
                    "name": name, "day": days, "open": opened, "close": close, "price": close / 2,
                    "high": np.maximum(opened, close) * 1.01, "low": np.minimum(opened, close) * 0.99,
                    "volume": rng.uniform(1000, 2000, n_steps),
                }
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def change(column, operation, value, last_n_steps=1):
    """One change."""
    return ColumnChange(column=column, operation=Operation(operation), value=value, last_n_steps=last_n_steps)


@pytest.mark.parametrize(
    ("changed", "factor"),
    [
        (change("price", "multiply", 0.9, 3), 0.9),
        (change("price", "add", 7.0, 1), None),
        (change("price", "set", 50.0, 2), None),
    ],
)
def test_a_changed_target_is_a_source_whose_prices_all_moved_with_it(changed, factor):
    """The panel is the one that such a source becomes, ranges and overnight changes included."""
    source = make_source()
    last = (source["name"] == "S1") & (source.groupby("name").cumcount() >= 150 - changed.last_n_steps)
    target = {"multiply": source["price"] * 0.9, "add": source["price"] + 7, "set": source["price"] * 0 + 50}
    moved = (target[changed.operation] / source["price"]).where(last, 1.0)
    as_if = source.assign(**{name: source[name] * moved for name in ("open", "high", "low", "close", "price")})

    found = change_history(build_panel(source, PROBLEM).panel, "S1", [changed], PROBLEM)

    expected = build_panel(as_if, PROBLEM).panel
    pd.testing.assert_frame_equal(found[expected.columns], expected, rtol=1e-6)
    assert factor is None or found["target"].iloc[-1] == pytest.approx(factor * source["price"].iloc[-1])


@pytest.mark.parametrize(("operation", "expected"), [("add", [11.0, 12.0]), ("multiply", [10, 20]), ("set", [10, 10])])
def test_a_covariate_is_changed_in_the_last_steps_of_one_series_alone(operation, expected):
    """Everything else stays as it was, and so does what was handed in."""
    history = build_panel(make_source(), PROBLEM).panel.assign(covariate_volume=1.0)
    history.loc[len(history) - 1, "covariate_volume"] = 2.0
    before = history.copy()

    found = change_history(history, "S1", [change("volume", operation, 10.0, 2)], PROBLEM)

    assert found["covariate_volume"].tolist()[-2:] == expected
    pd.testing.assert_frame_equal(found.iloc[:-2], before.iloc[:-2])
    pd.testing.assert_frame_equal(history, before)


def test_the_target_goes_by_its_name_in_the_api_too():
    """Whoever sends histories knows the column by that name."""
    panel = build_panel(make_source(), PROBLEM).panel
    by_source, by_api = (change(name, "multiply", 0.9) for name in ("price", "target"))

    found = change_history(panel, "S1", [by_api], PROBLEM)

    pd.testing.assert_frame_equal(found, change_history(panel, "S1", [by_source], PROBLEM))


def test_changes_are_made_one_after_another():
    """The second sees what the first did."""
    history = build_panel(make_source(), PROBLEM).panel

    changes = [change("volume", "set", 5.0), change("volume", "add", 2.0)]
    found = change_history(history, "S0", changes, PROBLEM)

    assert found["covariate_volume"].iloc[149] == 7.0


def test_missing_steps_that_carry_a_changed_value_carry_it_changed():
    """Steps are counted by what was observed."""
    problem = make_panel_problem(columns=PRICED, quality={"fill_steps": 4, "min_rows": 100})
    source = make_source()
    history = build_panel(source.drop(index=[298]), problem).panel

    found = change_history(history, "S1", [change("price", "multiply", 2.0, 2)], problem)

    ratio = found["target"].to_numpy() / history["target"].to_numpy()
    assert history["is_filled"].to_numpy().nonzero()[0].tolist() == [298]
    assert ratio[-4:].tolist() == [1.0, 2.0, 2.0, 2.0]


def test_the_answer_has_both_forecasts_and_says_how_they_differ(tmp_path):
    """As if is what the model says of the changed history; a fall of a fifth takes the median along."""
    champion = make_champion(tmp_path)
    asked = WhatIfRequest(series_id="S1", changes=[change("price", "multiply", 0.8)])

    found = ask_what_if(asked, champion, hear_nothing)

    row, problem = champion.find_latest("S1"), champion.problem
    design = build_design(change_history(champion.history, "S1", asked.changes, problem), problem)
    as_if = np.exp(design.level[row] + champion.model.quantiles(design, np.array([row]))[0])
    as_it_is = np.exp(champion.design.level[row] + champion.model.quantiles(champion.design, np.array([row]))[0])
    first = found.steps[0]
    assert [each.as_if for each in found.steps] == [pytest.approx(values) for values in as_if]
    assert [each.as_it_is for each in found.steps] == [pytest.approx(values) for values in as_it_is]
    assert first.median_difference == pytest.approx(first.as_if[6] - first.as_it_is[6])
    assert found.origin_value_as_if == pytest.approx(0.8 * found.origin_value_as_it_is)
    assert first.width_80_ratio > 1.5
    assert found.sentences[0] == "As if: price times 0.8 in the last business day."
    assert "1 business day ahead the 80 % interval is" in found.sentences[1]
    assert "wider than it is now, the median goes from" in found.sentences[1]


def test_what_changes_nothing_leaves_the_forecast_as_it_is(tmp_path):
    """And says so."""
    asked = WhatIfRequest(series_id="S1", changes=[change("volume", "add", 0.0, 5)])

    found = ask_what_if(asked, make_champion(tmp_path), hear_nothing)

    assert all(each.as_if == each.as_it_is for each in found.steps)
    assert found.sentences[1].startswith(
        "1 business day ahead the 80 % interval is as wide as it is now, the median stays"
    )


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (change("mood", "add", 1.0), "prices: found a change of `mood`, needs one of price, volume$"),
        (change("open", "add", 1.0), "found a change of `open`, needs one of price, volume; prices move with price"),
        (change("price", "add", -1e6), "price: as if it would be -999,.*, needs a finite value above zero"),
        (change("price", "multiply", 1e308), "price: as if it would be –, needs a finite value above zero"),
        (change("volume", "set", 0.0), "volume: as if it would be 0, needs a finite value above zero"),
        (change("volume", "add", 1.0, 501), "S1: found a change of the last 501 steps, needs at most 500"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, asked, sentence):
    """With what was found and what is needed."""
    with pytest.raises(DataRefusedError, match=sentence):
        ask_what_if(WhatIfRequest(series_id="S1", changes=[asked]), make_champion(tmp_path), hear_nothing)
