"""When so much is refused that a run must stop, and what it then says."""

import pandas as pd
import pytest

from loopcast.errors import DataRefusedError
from loopcast.panel import build_panel
from loopcast.refusals import NEXT_STEPS, Reason, check_refusals
from tests.factories import make_problem, make_rows


def test_a_share_above_the_allowed_one_stops_the_run():
    """The sentence gives count, share, reasons, examples by position and the next step; never the rows themselves."""
    raw = make_rows(1, "a secret", 3, 4, None, "another", 7, 8, 9, 10)
    problem = make_problem(quality={"max_refused_ratio": 0.2})

    with pytest.raises(DataRefusedError) as stopped:
        check_refusals(build_panel(raw, problem), problem)

    assert str(stopped.value) == (
        "shops: 3 of 10 rows refused (30.0%): 2 not_a_number, 1 missing_target; "
        "quality.max_refused_ratio allows 20.0%; "
        "for example row 1 (north): not_a_number; row 4 (north): missing_target; "
        "correct the cells, or set source.decimal where the mark is a comma"
    )


def test_a_share_up_to_the_allowed_one_passes():
    """Exactly the configured share is still allowed."""
    problem = make_problem(quality={"max_refused_ratio": 0.2})

    check_refusals(build_panel(make_rows(1, None, 3, 4, 5, 6, None, 8, 9, 10), problem), problem)


def test_copies_and_short_series_count_for_nothing():
    """Three of seven rows are set aside, and nothing of what they said is lost or wrong."""
    raw = pd.concat([make_rows(1, 2, 3, 4), make_rows(1), make_rows(1, 2, shop="new")])
    problem = make_problem(quality={"max_refused_ratio": 0.0})

    ingest = build_panel(raw, problem)
    check_refusals(ingest, problem)

    assert ingest.quarantine["reason"].tolist() == ["duplicate", "too_short_series", "too_short_series"]


def test_a_short_series_that_must_be_forecast_stops_the_run():
    """The sentence counts what was found, what is needed, and names the ways on."""
    raw = pd.concat([make_rows(*range(1, 101)), make_rows(1, None, 3, shop="south")])
    problem = make_problem(forecast_series=["south"])

    with pytest.raises(DataRefusedError) as stopped:
        check_refusals(build_panel(raw, problem), problem)

    assert str(stopped.value) == (
        "south: 3 rows, 1 refused, make 2 steps; needs 4; widen the source, lower quality.min_rows, or drop the series"
    )


def test_rows_in_short_runs_do_not_make_a_series():
    """A hundred rows of which no four follow each other hold no origin."""
    raw = make_rows(*range(1, 101)).drop(index=range(3, 100, 4))
    problem = make_problem(forecast_series=["north"], quality={"fill_steps": 0})

    with pytest.raises(DataRefusedError) as stopped:
        check_refusals(build_panel(raw, problem), problem)

    assert str(stopped.value) == (
        "north: 75 rows, 0 refused, make 75 steps, 0 of them in runs of 4 without a long gap; needs 4; "
        "widen the source, lower quality.min_rows, or drop the series"
    )


def test_a_forecast_series_that_the_source_lacks_stops_the_run():
    """The sentence offers the nearest id and the ids that were found."""
    problem = make_problem(forecast_series=["nord"])

    with pytest.raises(DataRefusedError) as stopped:
        check_refusals(build_panel(make_rows(1, 2, 3, 4), problem), problem)

    assert str(stopped.value) == (
        "shops: forecast_series names nord, which the source lacks; did you mean north? found north"
    )


def test_a_panel_without_series_stops_the_run():
    """Where no series is named each may be short, but not all of them."""
    problem = make_problem()
    raw = pd.concat([make_rows(1, 2, shop=f"s{k}") for k in range(7)])

    with pytest.raises(DataRefusedError, match=r"no series is long enough: s0: 2 rows, .* and 2 more$"):
        check_refusals(build_panel(raw, problem), problem)


def test_short_series_beside_the_forecast_ones_are_left_out_with_a_note():
    """They cannot be learnt from, and stop nothing."""
    raw = pd.concat([make_rows(1, 2, 3, 4), make_rows(1, 2, shop="new")])
    problem = make_problem(forecast_series=["north"])

    ingest = build_panel(raw, problem)

    check_refusals(ingest, problem)
    assert ingest.panel["series_id"].unique().tolist() == ["north"]
    assert ingest.notes == (
        "1 series left out: new: 2 rows, 0 refused, make 2 steps; needs 4; "
        "widen the source, lower quality.min_rows, or drop the series",
    )


def test_every_reason_has_a_next_step():
    """A person is never left with a bare name of a fault."""
    assert set(NEXT_STEPS) == set(Reason)
