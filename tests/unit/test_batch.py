"""What a batch run forecasts: from which steps, of which series, in which parts, and what it leaves out and why."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from loopcast.errors import DataRefusedError, LoopcastError
from loopcast.features import build_design
from loopcast.model.batch import MAX_PART_FORECASTS, Part, Span, choose_origins, plan_batch, read_span
from tests.panels import make_panel, make_panel_problem

PROBLEM = make_panel_problem(time_zone="America/New_York")


def make_ragged_panel() -> pd.DataFrame:
    """Two series of 200 steps, S0 and S1, and S2, of which only the last 30 steps are there."""
    panel = make_panel(n_series=3, n_steps=200)
    return panel[(panel["series_id"] != "S2") | (panel.groupby("series_id").cumcount() >= 170)].reset_index(drop=True)


DESIGN = build_design(make_ragged_panel(), PROBLEM)


def name_origins(rows):
    """Series and date of each row."""
    return [(DESIGN.series_ids[DESIGN.series[row]], str(DESIGN.timestamp_utc[row])[:10]) for row in rows]


def test_without_a_span_each_series_is_forecast_from_its_latest_step():
    """One origin a series, and none for a series that is not ready."""
    rows = choose_origins(DESIGN, PROBLEM, None)

    assert name_origins(rows) == [("S0", "2015-10-09"), ("S1", "2015-10-09")]


def test_a_span_has_every_ready_step_between_its_ends_by_time_and_then_by_series():
    """Both ends are included, and what lies beside each other in time is written together."""
    span = Span(since_utc=datetime(2015, 10, 7, tzinfo=UTC), until_utc=datetime(2015, 10, 8, tzinfo=UTC))

    rows = choose_origins(DESIGN, PROBLEM, span)

    assert name_origins(rows) == [
        ("S0", "2015-10-07"),
        ("S1", "2015-10-07"),
        ("S0", "2015-10-08"),
        ("S1", "2015-10-08"),
    ]


def test_a_step_that_is_not_warm_yet_is_no_origin():
    """The first 66 steps of a series have no feature over 66 steps behind them."""
    span = Span(since_utc=datetime(2015, 1, 1, tzinfo=UTC), until_utc=datetime(2016, 1, 1, tzinfo=UTC))

    rows = choose_origins(DESIGN, PROBLEM, span)

    assert len(rows) == 2 * (200 - 66)
    assert DESIGN.is_ready[rows].all()


def test_a_series_that_is_not_ready_or_not_there_is_left_out_with_the_reason():
    """The others are forecast."""
    wanted = PROBLEM.model_copy(update={"forecast_series": ("S0", "S2", "S9")})

    plan = plan_batch(DESIGN, PROBLEM, wanted, None)

    assert (plan.n_forecasts, plan.n_series, plan.shown_series) == (1, 1, ("S0",))
    assert plan.left_out == (
        "S2: 30 steps without a long gap up to 2015-10-09 00:00 UTC, needs 67",
        "S9: too short or absent in the source",
    )


def test_a_span_before_the_history_is_refused_with_what_there_is():
    """Nothing to forecast from is an error, which an evening's run must not hide."""
    span = Span(since_utc=datetime(2001, 1, 1, tzinfo=UTC), until_utc=datetime(2001, 1, 31, tzinfo=UTC))

    with pytest.raises(DataRefusedError, match=r"S0: no step from 2001-01-01 .* goes from 2015-01-05 .* to 2015-10-09"):
        plan_batch(DESIGN, PROBLEM, PROBLEM, span)


def test_the_parts_of_a_plan_cover_each_forecast_once():
    """Also where the last part is smaller."""
    plan = plan_batch(DESIGN, PROBLEM, PROBLEM, None).model_copy(update={"n_forecasts": 2 * MAX_PART_FORECASTS + 1})

    assert plan.cut() == [
        Part(first=0, end=MAX_PART_FORECASTS),
        Part(first=MAX_PART_FORECASTS, end=2 * MAX_PART_FORECASTS),
        Part(first=2 * MAX_PART_FORECASTS, end=2 * MAX_PART_FORECASTS + 1),
    ]


@pytest.mark.parametrize(
    ("start", "end", "since", "until"),
    [
        ("2012-01-03", "2012-01-03", "2012-01-03T05:00:00Z", "2012-01-04T04:59:59.999999Z"),
        ("2012-07-02T09:30", "2012-07-02T16:00", "2012-07-02T13:30:00Z", "2012-07-02T20:00:00Z"),
        ("2012-01-03T00:00Z", "2012-01-03T05:00+01:00", "2012-01-03T00:00:00Z", "2012-01-03T04:00:00Z"),
    ],
    ids=["whole days of the zone", "local times", "times with an offset"],
)
def test_a_span_is_read_in_the_time_zone_of_the_problem(start, end, since, until):
    """A date stands for all of its day there, in summer and in winter."""
    assert read_span(start, end, PROBLEM) == Span(since_utc=since, until_utc=until)


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        ("yesterday", "2012-01-03", "start: found `yesterday`, needs a date such as"),
        ("2012-01-03", "", "end: found ``, needs a date such as"),
        ("2012-02-30", "2012-03-01", "start: found `2012-02-30`"),
        ("2012-01-04", "2012-01-03", "found start 2012-01-04 and end 2012-01-03, needs an end"),
    ],
)
def test_what_is_no_span_is_refused_with_what_was_found(start, end, sentence):
    """Words, days that no calendar has, and ends in the wrong order."""
    with pytest.raises(LoopcastError, match=sentence):
        read_span(start, end, PROBLEM)
