"""From source rows to a panel: what is refused and why, what is kept, and that nothing looks ahead."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopcast.config import load_problem
from loopcast.panel import build_panel, segment_ids
from loopcast.refusals import Ingest, check_refusals
from loopcast.stores.sources import read_source
from tests.factories import make_problem, make_rows

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

PRICES = {
    "transform": "log",
    "columns": {"ohlc": {"open": "open", "high": "high", "low": "low", "close": "close"}},
}


def refused(ingest: Ingest) -> dict[int, str]:
    """Reason of each refused row, by its position in the source."""
    return dict(zip(ingest.quarantine["row_number"], ingest.quarantine["reason"], strict=True))


def test_rows_become_a_panel():
    """Columns get their canonical names, times become UTC, series and steps are put in order."""
    raw = pd.concat([make_rows(1, 2, 3, 4, shop="south"), make_rows(5, 6, 7, 8)])

    ingest = build_panel(raw, make_problem(time_zone="Europe/Zurich"))

    days = pd.to_datetime([f"{day}T23:00Z" for day in ("2023-12-31", "2024-01-01", "2024-01-02", "2024-01-03")])
    expected = pd.DataFrame(
        {
            "series_id": ["north"] * 4 + ["south"] * 4,
            "timestamp_utc": [*days, *days],
            "target": [5.0, 6.0, 7.0, 8.0, 1.0, 2.0, 3.0, 4.0],
            "is_filled": False,
        }
    ).astype({"timestamp_utc": "datetime64[us, UTC]"})
    pd.testing.assert_frame_equal(ingest.panel, expected)
    assert (ingest.notes, ingest.objections, ingest.refused_ratio, len(ingest.quarantine)) == ((), (), 0.0, 0)


def test_the_source_is_not_changed():
    """The caller's frame is as it was, whatever its index and types."""
    raw = make_rows("1", "x", 3, 4, 5.0, None).set_index(pd.Index([9, 9, 3, 2, 1, 0]))
    before = raw.copy(deep=True)

    build_panel(raw, make_problem())

    pd.testing.assert_frame_equal(raw, before)


def test_other_column_names_and_a_single_series_need_only_the_problem():
    """Without a column of ids there is one series, named as the problem is."""
    raw = pd.DataFrame({"Datum": ["01.02.2024", "02.02.2024", "03.02.2024", "04.02.2024"], "Wert °C": [1, 2, 3, 4]})
    columns = {"series_id": None, "timestamp": "Datum", "target": "Wert °C", "timestamp_format": "%d.%m.%Y"}

    panel = build_panel(raw, make_problem(name="lake", columns=columns)).panel

    assert panel["series_id"].tolist() == ["lake"] * 4
    assert panel["timestamp_utc"].iloc[0] == datetime(2024, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["007", " 7", "7 "], ["007", "7", "7"]),
        ([7, 7, 8], ["7", "7", "8"]),
        ([7.0, 8.0, np.nan], ["7", "8"]),
        ([7.5, "NA", None], ["7.5", "NA"]),
        (pd.Categorical(["b", "a", "a"]), ["a", "a", "b"]),
    ],
)
def test_ids_of_any_type_become_text(ids, expected):
    """Leading zeros stay, blanks around go, and whole numbers look whole though a gap made them floats."""
    raw = make_rows(1, 2, 3).assign(shop=ids)
    raw = pd.concat([raw.assign(day=day) for day in ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04")])
    raw["sales"] = range(len(raw))

    ingest = build_panel(raw, make_problem())

    assert sorted({*expected}) == sorted(ingest.panel["series_id"].unique())


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("shop", None, "missing_series_id"),
        ("shop", "  ", "missing_series_id"),
        ("day", None, "bad_timestamp"),
        ("day", "03/01/2024", "bad_timestamp"),
        ("sales", None, "missing_target"),
        ("sales", np.nan, "missing_target"),
        ("sales", "", "missing_target"),
        ("sales", "1'000", "not_a_number"),
        ("sales", "inf", "not_finite"),
        ("sales", -np.inf, "not_finite"),
        ("sales", 0, "not_positive"),
        ("sales", -3.5, "not_positive"),
    ],
)
def test_a_bad_cell_refuses_its_row_with_the_reason(column, cell, reason):
    """The other rows go on, and the row is kept whole under its position."""
    raw = make_rows(1, 2, 3, 4, 5, 6).astype(object)
    raw.loc[2, column] = cell

    ingest = build_panel(raw, make_problem(transform="log"))

    assert refused(ingest) == {2: reason}
    assert ingest.panel["target"][~ingest.panel["is_filled"]].tolist() == [1, 2, 4, 5, 6]
    assert ingest.refused_ratio == 1 / 6


def test_a_refused_row_keeps_all_its_values():
    """Values come back from the JSON as they stood, also those that JSON has no number for."""
    raw = make_rows(1, 2, 3, 4, 5, 6).astype(object)
    raw.loc[1, "sales"] = -np.inf
    raw.loc[3, ["shop", "sales"]] = [np.nan, 0.1 + 0.2]

    quarantine = build_panel(raw, make_problem()).quarantine

    assert quarantine[["row_number", "series_id", "reason"]].values.tolist() == [
        [1, "north", "not_finite"],
        [3, None, "missing_series_id"],
    ]
    assert [json.loads(row) for row in quarantine["row_json"]] == [
        {"shop": "north", "day": "2024-01-02", "sales": "-inf"},
        {"shop": None, "day": "2024-01-04", "sales": 0.1 + 0.2},
    ]


def test_a_row_with_several_faults_has_the_first_reason():
    """A row without a series says nothing more, however bad its other cells are."""
    raw = make_rows(1, 2, 3, 4, 5).astype(object)
    raw.loc[0] = [None, "yesterday", "much"]

    assert refused(build_panel(raw, make_problem())) == {0: "missing_series_id"}


def test_an_exact_copy_is_set_aside_and_counts_for_nothing():
    """A source that delivers a row twice has lost nothing."""
    raw = pd.concat([make_rows(1, 2, 3, 4), make_rows(1, 2)])

    ingest = build_panel(raw, make_problem())

    assert refused(ingest) == {0: "duplicate", 1: "duplicate"}
    assert ingest.panel["target"].tolist() == [1, 2, 3, 4]
    assert (ingest.n_refused, ingest.refused_ratio) == (0, 0.0)


def test_of_contradicting_rows_the_last_in_the_source_stays():
    """A later row corrects an earlier one of the same step, which is refused and counts."""
    raw = pd.concat([make_rows(1, 2, 3, 4), make_rows(9, 2)])

    ingest = build_panel(raw, make_problem())

    assert refused(ingest) == {0: "conflicting_duplicate", 1: "duplicate"}
    assert ingest.panel["target"].tolist() == [9, 2, 3, 4]
    assert ingest.n_refused == 1


def test_a_refused_row_corrects_nothing():
    """An empty correction leaves the value before it in place."""
    raw = pd.concat([make_rows(1, 2, 3, 4), make_rows(None)])

    ingest = build_panel(raw, make_problem())

    assert refused(ingest) == {4: "missing_target"}
    assert ingest.panel["target"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("frequency", "time", "is_refused"),
    [
        ("h", "2024-01-02T03:00:00.000001", True),
        ("15min", "2024-01-02T03:15", False),
        ("6h", "2024-01-02T05:00", True),
        ("D", "2024-01-02T17:30", False),
        ("B", "2024-01-06", True),
        ("W-MON", "2024-01-08T09:00", False),
        ("W-MON", "2024-01-09", True),
        ("MS", "2024-02-01", False),
        ("MS", "2024-01-31", True),
        ("ME", "2024-01-31", False),
    ],
)
def test_a_row_between_steps_is_refused(frequency, time, is_refused):
    """Below a day to the microsecond; from a day on the local date counts, and not the time of day."""
    problem = make_problem(frequency=frequency, time_zone="America/New_York")
    raw = make_rows(1).assign(day=time)

    reasons = set(refused(build_panel(raw, problem)).values())

    assert reasons == ({"off_grid"} if is_refused else {"too_short_series"})


def test_weekend_rows_never_reach_a_friday():
    """Also where several rows become one, or Friday would know what Sunday brought."""
    raw = make_rows(*range(1, 11), start="2024-01-01")  # a Monday

    ingest = build_panel(raw, make_problem(frequency="B", aggregate="last"))

    assert refused(ingest) == {5: "off_grid", 6: "off_grid"}
    assert ingest.panel["target"].tolist() == [1, 2, 3, 4, 5, 8, 9, 10]


def test_a_cell_of_a_covariate_that_is_no_number_is_emptied_with_a_note():
    """The row stays: its target is good."""
    raw = make_rows(1, 2, 3, 4, visitors=[5, "many", np.inf, None])

    ingest = build_panel(raw, make_problem(columns={"covariates": [{"column": "visitors"}]}))

    np.testing.assert_array_equal(ingest.panel["covariate_visitors"], [5, np.nan, np.nan, np.nan])
    assert ingest.notes == ("visitors: 2 cells are no finite numbers and were left empty",)


def test_a_flag_is_a_number_whatever_stands_beside_it():
    """One odd cell turns a column of a file into text, and its other flags must not be lost for that."""
    raw = make_rows(1, 2, 3, 4, is_open=["True", "false", "?", "TRUE"])

    ingest = build_panel(raw, make_problem(columns={"covariates": [{"column": "is_open"}]}))

    np.testing.assert_array_equal(ingest.panel["covariate_is_open"], [1, 0, np.nan, 1])
    assert ingest.notes == ("is_open: 1 cells are no finite numbers and were left empty",)


def test_a_covariate_without_a_value_is_told():
    """A column that is empty by mistake would else be trained on in silence."""
    raw = make_rows(1, 2, 3, 4, visitors=None)

    ingest = build_panel(raw, make_problem(columns={"covariates": [{"column": "visitors"}]}))

    assert ingest.notes == ("visitors: no row has a value, so that nothing is learnt from it",)


def test_rows_out_of_order_are_sorted_with_a_note():
    """Time may go backwards within a series; between series it says nothing."""
    raw = pd.concat([make_rows(5, 6, 7, 8), make_rows(1, 2, 3, 4, shop="east").iloc[[0, 2, 1, 3]]])

    ingest = build_panel(raw, make_problem())

    assert ingest.panel["target"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert ingest.notes == ("time goes backwards at 1 places; rows were sorted",)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(12)))
def test_the_order_of_rows_changes_nothing_but_the_note(order):
    """The same rows give the same panel, the same filled steps and the same refused rows, in whatever order."""
    raw = pd.concat([make_rows(1, 2, None, 4, 5, 6), make_rows(0.1, 0.2, 0.3, 0.7, "x", 0.4, shop="south")])
    raw = raw.assign(day=pd.to_datetime(raw["day"]) + pd.to_timedelta(np.tile([0, 3, 1, 3, 0, 2], 2), unit="h"))
    problem = make_problem(aggregate="mean", frequency="6h", quality={"fill_steps": 6, "bridge_steps": 6})

    straight, shuffled = build_panel(raw, problem), build_panel(raw.iloc[list(order)], problem)

    pd.testing.assert_frame_equal(straight.panel, shuffled.panel, check_exact=True)
    assert sorted(straight.quarantine["row_json"]) == sorted(shuffled.quarantine["row_json"])


def make_price_rows(seed: int, n_rows: int = 40, n_gaps: int = 8) -> pd.DataFrame:
    """Days of prices with a covariate, some days missing; the target is half the close."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(0.02 * rng.standard_normal(n_rows).cumsum())
    opened = close * np.exp(0.01 * rng.standard_normal(n_rows))
    high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99
    visitors = rng.uniform(1, 9, n_rows)
    raw = make_rows(*(0.5 * close), open=opened, high=high, low=low, close=close, visitors=visitors)
    return raw.drop(index=rng.choice(np.arange(1, n_rows - 1), n_gaps, replace=False)).reset_index(drop=True)


GAPPY_PRICES = make_problem(
    transform="log",
    columns=PRICES["columns"] | {"covariates": [{"column": "visitors"}]},
    quality={"fill_steps": 1, "bridge_steps": 2},
)


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 30), st.floats(0.1, 10.0), st.integers(0, 2**32 - 1))
def test_other_values_in_the_future_change_nothing_before_it(cut, factor, seed):
    """The panel up to a step is the same to the last bit, ranges and filled steps included."""
    raw = make_price_rows(seed)
    other = raw.astype({"visitors": float})
    other.loc[cut + 1 :, ["sales", "open", "high", "low", "close"]] *= factor
    other.loc[cut + 1 :, "visitors"] += factor

    panel, changed = build_panel(raw, GAPPY_PRICES).panel, build_panel(other, GAPPY_PRICES).panel

    until = pd.Timestamp(raw.loc[cut, "day"], tz="UTC")
    before = panel[panel["timestamp_utc"] <= until]
    pd.testing.assert_frame_equal(before, changed[changed["timestamp_utc"] <= until], check_exact=True)


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 30), st.integers(0, 2**32 - 1))
def test_a_source_that_ends_earlier_gives_the_same_panel_until_then(cut, seed):
    """What came later was not needed for a single bit of what was known before."""
    raw = make_price_rows(seed)

    panel, shorter = build_panel(raw, GAPPY_PRICES).panel, build_panel(raw[: cut + 1], GAPPY_PRICES).panel

    until = pd.Timestamp(raw.loc[cut, "day"], tz="UTC")
    assert shorter["timestamp_utc"].iloc[-1] == until
    pd.testing.assert_frame_equal(panel[panel["timestamp_utc"] <= until], shorter, check_exact=True)


def test_ranges_are_measured_at_the_level_of_the_target():
    """A target adjusted to half its close moves open, high and low with it."""
    raw = make_rows(
        50, 51, 52, 53, open=[99, 101, 103, 105], high=[104] * 2 + [108] * 2, low=98, close=[100, 102, 104, 106]
    )

    panel = build_panel(raw, make_problem(**PRICES)).panel

    overnight = np.log(101 / 100)
    variance = overnight**2 + 0.5 * np.log(104 / 98) ** 2 - (2 * np.log(2) - 1) * np.log(102 / 101) ** 2
    assert list(panel) == ["series_id", "timestamp_utc", "target", "is_filled", "range_variance", "overnight_change"]
    np.testing.assert_allclose(panel["overnight_change"][:2], [np.nan, overnight], rtol=1e-9)
    np.testing.assert_allclose(panel["range_variance"][:2], [np.nan, variance], rtol=1e-9)


def test_a_filled_step_carries_the_value_but_no_prices():
    """A range that nobody saw is unknown; the next overnight change reaches back to the last price."""
    raw = make_rows(50, 51, 52, 53, 54, open=[50, 51, 52, 53, 54], high=60, low=40, close=[50, 51, 52, 53, 54]).drop(
        index=2
    )

    ingest = build_panel(raw, make_problem(**PRICES))

    assert ingest.panel["target"].tolist() == [50, 51, 51, 53, 54]
    assert ingest.panel["is_filled"].tolist() == [False, False, True, False, False]
    np.testing.assert_allclose(ingest.panel["overnight_change"][2:4], [np.nan, np.log(53 / 51)])
    assert ingest.panel["range_variance"].isna().tolist() == [True, False, True, False, False]
    assert ingest.notes == ("1 missing steps carry the value before them",)


def test_segments_break_at_series_and_long_gaps():
    """Rows are neighbours across up to `bridge_steps` missing steps, and never across series."""
    raw = pd.concat([make_rows(*range(1, 12)).drop(index=[4, 8, 9]), make_rows(1, 2, 3, 4, shop="south")])
    problem = make_problem(quality={"fill_steps": 0, "bridge_steps": 1, "min_rows": 4})

    panel = build_panel(raw, problem).panel

    assert segment_ids(panel, problem).tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2]


def test_nothing_at_all_is_a_panel_too():
    """An empty source, or one whose every row is refused, gives an empty panel and says so."""
    raw = make_rows(1, 2, 3).assign(sales="?")

    empty, bad = build_panel(raw[:0], make_problem()), build_panel(raw, make_problem())

    assert (len(empty.panel), empty.n_rows, empty.refused_ratio) == (0, 0, 0.0)
    assert empty.objections == ("shops: no series is long enough: the source has no usable row",)
    assert (len(bad.panel), bad.n_rows, bad.refused_ratio) == (0, 3, 1.0)


@pytest.mark.parametrize(
    ("name", "n_series", "n_segments", "n_filled"),
    [("google", 5, 5, 0), ("sea_temperature", 1, 2, 0), ("glucose", 1, 87, 123)],
)
def test_the_samples_of_the_project_come_in(name, n_series, n_segments, n_filled):
    """Nothing stands against any of them; the sensors' long gaps cut, short ones are filled."""
    problem = load_problem(CONFIGS / f"{name}.yaml")

    ingest = build_panel(read_source(problem), problem)

    check_refusals(ingest, problem)
    assert ingest.panel["series_id"].nunique() == n_series
    assert segment_ids(ingest.panel, problem)[-1] == n_segments - 1
    assert ingest.panel["is_filled"].sum() == n_filled
