"""Histories that were sent become what a source with the same rows becomes, or are refused with the row."""

from contextlib import suppress
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.features import Design, build_design
from loopcast.grid import place_on_grid, steps_after
from loopcast.history import SeriesHistory, design_histories
from loopcast.panel import build_panel
from tests.factories import make_problem

PRICES = {"open": "first", "high": "most", "low": "least", "close": "last"}
SHARES = make_problem(
    name="shares",
    frequency="B",
    time_zone="America/New_York",
    transform="log",
    columns={"ohlc": PRICES, "covariates": [{"column": "volume", "transform": "log"}]},
    features={"scales": [1, 3, 8], "calendar": ["week_of_quarter"]},
    quality={"min_rows": 12, "suspected_split": "accept"},
    horizon=3,
)
PROBLEMS = [
    SHARES,
    make_problem(
        name="river",
        frequency="h",
        time_zone="Asia/Kolkata",
        columns={"series_id": None, "covariates": [{"column": "rain"}, {"column": "snow"}]},
        features={"scales": [1, 6], "calendar": ["hour", "day_of_week"]},
        quality={"min_rows": 9, "fill_steps": 2},
        horizon=2,
    ),
    make_problem(
        name="shops",
        frequency="D",
        time_zone="Europe/Zurich",
        aggregate="sum",
        features={"scales": [1, 2, 5], "calendar": ["month"]},
        quality={"min_rows": 8, "fill_steps": 1, "bridge_steps": 3},
        horizon=2,
    ),
    make_problem(
        name="ferry",
        frequency="6h",
        time_zone="America/Havana",
        columns={"ohlc": PRICES},
        transform="log",
        features={"scales": [1, 4]},
        quality={"min_rows": 7, "fill_steps": 3, "bridge_steps": 1, "suspected_split": "accept"},
        horizon=2,
    ),
]


def make_history(problem: Problem, n_steps: int = 60, seed: int = 0, series_id: str | None = None) -> SeriesHistory:
    """A random walk with what the problem needs, some of it unknown, and steps missing here and there."""
    rng = np.random.default_rng(seed)
    start = place_on_grid(np.array(["2024-03-01T00:00"], dtype="datetime64[us]"), problem).steps_utc
    times = steps_after(start, np.arange(n_steps), problem)
    times = times[(rng.random(n_steps) > rng.choice([0.0, 0.1])) | (np.arange(n_steps) >= n_steps - 12)]
    target = 100 * np.exp(0.02 * rng.normal(size=len(times)).cumsum())
    ohlc = None
    if problem.columns.ohlc:
        inner = target[:, None] * np.exp(0.01 * rng.normal(size=(len(times), 2)))
        inner[:, 1] = target
        ohlc = np.stack([inner[:, 0], inner.max(axis=1) * 1.01, inner.min(axis=1) * 0.99, target], axis=1)
        ohlc[rng.random(ohlc.shape) < 0.02] = rng.choice([np.nan, 0.0, np.inf])
    names = [each.column for each in problem.columns.covariates]
    covariates = {
        name: np.where(rng.random(len(times)) < 0.05, np.nan, rng.lognormal(size=len(times))) for name in names
    }
    name = series_id or (problem.name if problem.columns.series_id is None else "north")
    return SeriesHistory(name, times, target, ohlc, covariates)


def write_source(histories: list[SeriesHistory], problem: Problem) -> pd.DataFrame:
    """The rows of histories as a source delivers them."""
    columns, frames = problem.columns, []
    for each in histories:
        frame = pd.DataFrame({columns.timestamp: pd.DatetimeIndex(each.timestamp_utc, tz="UTC"), **each.covariates})
        frame[columns.target] = each.target
        if columns.series_id:
            frame[columns.series_id] = each.series_id
        if columns.ohlc and each.ohlc is not None:
            frame[list(columns.ohlc.model_dump().values())] = each.ohlc
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def list_differences(one: Design, other: Design) -> list[str]:
    """The attributes in which two designs differ by a bit."""
    names = [field.name for field in fields(Design)]
    pairs = {name: (np.asarray(getattr(one, name)), np.asarray(getattr(other, name))) for name in names}
    return [
        name
        for name, (a, b) in pairs.items()
        if a.dtype != b.dtype or not np.array_equal(a, b, equal_nan=a.dtype.kind in "fM")
    ]


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(PROBLEMS), st.integers(0, 10_000), st.integers(1, 3), st.integers(14, 90))
def test_a_history_becomes_what_a_source_with_its_rows_becomes(problem, seed, n_series, n_steps):
    """To the last bit, whatever is missing, filled, bridged or cut."""
    names = [None] if problem.columns.series_id is None else [f"S{k}" for k in range(n_series)]
    histories = [make_history(problem, n_steps, seed + k, name) for k, name in enumerate(names)]

    found = design_histories(histories[::-1], problem)

    ingest = build_panel(write_source(histories, problem), problem)
    assume(ingest.quarantine.empty)  # a source needs rows for the targets too, a history does not
    assert list_differences(found, build_design(ingest.panel, problem)) == []


def test_gaps_are_filled_bridged_and_cut_as_in_a_source():
    """One missing day is filled, three are bridged, more of them cut the history."""
    history = make_history(PROBLEMS[2], 40, seed=1)
    days = np.r_[0:10, 11:20, 23:30, 40:60]
    times = history.timestamp_utc[0] + days[: len(history.target)].astype("timedelta64[D]")

    design = design_histories([replace(history, timestamp_utc=times)], PROBLEMS[2])

    assert np.flatnonzero(~design.is_ready)[5:7].tolist() == [10, 27]
    assert design.segments[:, 0].tolist() == [0, 27]


def test_any_time_of_a_date_is_that_date():
    """Whoever sends closing times gets the answer of who sends midnights."""
    history = make_history(SHARES)
    at_close = replace(history, timestamp_utc=history.timestamp_utc + np.timedelta64(16, "h"))

    assert list_differences(design_histories([at_close], SHARES), design_histories([history], SHARES)) == []


def spoil(history: SeriesHistory, row: int, value: float) -> SeriesHistory:
    """The history with another target in one row."""
    return replace(history, target=np.where(np.arange(len(history.target)) == row, value, history.target))


def retime(history: SeriesHistory, row: int, time: str) -> SeriesHistory:
    """The history with another time in one row."""
    times = history.timestamp_utc.copy()
    times[row] = np.datetime64(time)
    return replace(history, timestamp_utc=times)


WHOLE = replace(make_history(PROBLEMS[2], 20), timestamp_utc=np.arange("2024-03-01T12", "2024-03-21T12", 24, "M8[h]"))


@pytest.mark.parametrize(
    ("histories", "problem", "sentence"),
    [
        ([], SHARES, "shares: no history was sent"),
        ([WHOLE, WHOLE], PROBLEMS[2], "shops: north: 2 histories; needs one for each series"),
        ([spoil(WHOLE, 3, np.nan)], PROBLEMS[2], "shops: north: row 3: nan needs a finite number"),
        ([spoil(WHOLE, 3, np.inf)], PROBLEMS[2], "shops: north: row 3: inf needs a finite number"),
        ([WHOLE, replace(spoil(WHOLE, 2, np.nan), series_id="south")], PROBLEMS[2], "shops: south: row 2: nan needs"),
        ([spoil(make_history(SHARES), 7, 0.0)], SHARES, "shares: north: row 7: 0.0 needs a value above zero"),
        ([retime(WHOLE, 4, "2024-03-04T12")], PROBLEMS[2], "north: row 4: 2024-03-04T12:00:00.000000 is not after"),
        ([retime(WHOLE, 4, "2024-03-04T13")], PROBLEMS[2], "north: row 4: 2024-03-04T13:00:00.000000 is not after"),
        ([retime(WHOLE, 4, "2024-03-01T12")], PROBLEMS[2], "north: row 4: 2024-03-01T12:00:00.000000 is not after"),
        ([retime(WHOLE, 4, "NaT")], PROBLEMS[2], "shops: north: row 4: NaT needs a time from 1700 to 2200"),
        ([retime(WHOLE, 19, "9999-12-31")], PROBLEMS[2], "shops: north: row 19: 9999-12-31"),
        ([retime(make_history(SHARES), 0, "2024-02-25T12")], SHARES, "row 0: 2024-02-25T12:00:00.000000 lies between"),
        ([make_history(PROBLEMS[1], series_id="rhine")], PROBLEMS[1], "river: found series rhine; there is one series"),
        ([replace(make_history(SHARES), ohlc=None)], SHARES, "shares: north: no open, high, low and close"),
        ([replace(make_history(SHARES), covariates={})], SHARES, "shares: north: no covariate volume"),
        ([replace(WHOLE, timestamp_utc=WHOLE.timestamp_utc[1:])], PROBLEMS[2], "20 targets and 19 rows of timestamp"),
        ([make_history(PROBLEMS[2], 0)], PROBLEMS[2], "shops: north: the history has no rows; needs 6"),
        ([make_history(PROBLEMS[2], 5)], PROBLEMS[2], "shops: north: 5 neighbouring steps up to 2024-03-04T23:00"),
        ([retime(WHOLE, 19, "2024-06-01")], PROBLEMS[2], "shops: north: 1 neighbouring steps up to 2024-05-31T22:00"),
        (
            [replace(make_history(SHARES), ohlc=np.full((len(make_history(SHARES).target), 4), np.nan))],
            SHARES,
            "shares: north: no step shows a variance",
        ),
    ],
)  # fmt: skip
def test_what_a_source_would_lose_is_refused_with_its_row(histories, problem, sentence):
    """The sentence names the series, counts rows from 0 within it, and says what is needed."""
    with pytest.raises(DataRefusedError) as refusal:
        design_histories(histories, problem)

    assert sentence in str(refusal.value)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=9, max_size=30))
def test_numbers_beyond_all_measure_are_designed_or_refused(values):
    """Whatever is sent, nothing else is raised, and what is ready has finite features and a scale."""
    history = replace(make_history(PROBLEMS[2], 20), target=np.array(values))
    times = np.datetime64("2024-03-01T12", "us") + np.arange(len(values)).astype("timedelta64[D]")

    with suppress(DataRefusedError):
        design = design_histories([replace(history, timestamp_utc=times)], PROBLEMS[2])

        assert np.isfinite(design.inputs[design.is_ready]).all()
        assert (design.scale[design.is_ready] > 0).all()
