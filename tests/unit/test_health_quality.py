"""Each fault of the data is one condition, with the figures it rests on; sound data have none."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from loopcast.health.condition import Finding, Severity
from loopcast.health.quality import Intake, assess_quality
from tests.health_factory import LIMITS, make_profile
from tests.panels import make_panel

AS_OF = datetime(2017, 9, 8, 21, tzinfo=UTC)
"""The evening of the panels' 700th business day."""


@pytest.fixture(scope="module")
def profile():
    """Of two simulated series, both alive at the end of training."""
    return make_profile(n_series=2)


@pytest.fixture
def panel():
    """The same two series, whole."""
    return make_panel(2, 700)


def assess(panel, profile, intake=Intake(), as_of=AS_OF, **changes):  # noqa: B008  # frozen
    """The quality of the window before the evening."""
    problem = profile[2].model_copy(update=changes)
    return assess_quality(panel, intake, profile[0], problem, LIMITS, as_of=as_of)


def findings(quality):
    """What was found, and of which series."""
    return {(each.finding, each.series_id) for each in quality.conditions}


def last_rows(panel, name, n):
    """Labels of the last rows of a series."""
    return panel.index[panel["series_id"] == name][-n:]


def test_sound_data_have_no_condition(panel, profile):
    """Sixty rows a series, nothing missing, nothing late."""
    found = assess(panel, profile)

    assert found.conditions == ()
    assert found.n_rows == 120
    assert found.series["S0"].lag_steps == 0


def test_a_day_without_data_is_one_condition(panel, profile):
    """Nothing came in: that is told once, not once for each series."""
    for empty in (panel.iloc[:0], panel[panel["timestamp_utc"] < "2016-01-01"]):
        found = assess(empty, profile)

        assert findings(found) == {(Finding.NO_DATA, None)}
        assert found.n_rows == 0


def test_a_series_that_stops_is_late_and_then_gone(panel, profile):
    """A week of silence is late; a whole window without a row is vanished."""
    late = assess(panel.drop(last_rows(panel, "S1", 6)), profile)
    gone = assess(panel[panel["series_id"] == "S0"], profile)

    assert findings(late) == {(Finding.LATE_SERIES, "S1")}
    assert findings(gone) == {(Finding.VANISHED_SERIES, "S1")}


def test_missing_steps_are_counted_against_training(panel, profile):
    """A fifth of the window is gone; filled rows are missing ones."""
    holes = last_rows(panel, "S0", 40)[:30:2]
    panel.loc[holes, "is_filled"] = True

    for each in (panel, panel.drop(holes)):
        [condition] = assess(each, profile).conditions
        assert (condition.finding, condition.series_id) == (Finding.MISSING_STEPS, "S0")
        assert condition.figures["found"] == pytest.approx(0.25)
        assert "25.0 % of the window's steps are missing, 0.0 % in training" in condition.sentence


def test_a_split_that_nobody_adjusted_is_out_of_range(panel, profile):
    """Half the price overnight is no move of this series."""
    panel.loc[last_rows(panel, "S0", 10), "target"] /= 2

    assert findings(assess(panel, profile)) == {(Finding.OUT_OF_RANGE, "S0")}


def test_a_frozen_feed_is_seen_within_a_week(panel, profile):
    """Five equal prices, where training never had two; four are not enough."""
    for n, expected in ((4, set()), (5, {(Finding.FROZEN_FEED, "S1")})):
        frozen = panel.copy()
        rows = last_rows(frozen, "S1", n)
        frozen.loc[rows, "target"] = frozen.loc[rows[0], "target"]

        assert findings(assess(frozen, profile)) == expected


def test_a_new_series_is_a_notice(panel, profile):
    """It is told of, and nobody is woken."""
    newcomer = panel[panel["series_id"] == "S0"].tail(20).assign(series_id="S9")
    [condition] = assess(pd.concat([panel, newcomer]), profile).conditions

    assert (condition.finding, condition.series_id) == (Finding.NEW_SERIES, "S9")
    assert condition.severity is Severity.NOTICE
    assert condition.key == "new_series/S9"


def test_faults_of_a_pooled_series_are_notices(panel, profile):
    """A series that is not forecast is no reason to alert."""
    [condition] = assess(panel[panel["series_id"] == "S0"], profile, forecast_series=("S0",)).conditions

    assert condition.severity is Severity.NOTICE


@pytest.mark.parametrize(
    ("intake", "expected"),
    [
        (Intake(n_rows=100, n_refused=2), {(Finding.REFUSED_ROWS, None)}),
        (Intake(n_rows=100, n_duplicated=2), {(Finding.DUPLICATED_ROWS, None)}),
        (Intake(n_rows=100, n_refused=1, n_duplicated=1), set()),
        (Intake(), set()),
    ],
)
def test_refused_and_repeated_rows_are_held_against_their_limits(panel, profile, intake, expected):
    """One in a hundred passes, two do not; nothing came in is no share at all."""
    assert findings(assess(panel, profile, intake)) == expected


def test_rows_of_the_future_are_left_out(panel, profile):
    """Replayed history is judged as of its day."""
    found = assess(panel, profile, as_of=datetime(2016, 3, 1, 21, tzinfo=UTC))

    assert found.n_rows == 120
    assert found.conditions == ()
    assert np.isfinite(found.series["S0"].largest_change)


def test_how_far_back_a_history_goes_changes_nothing(panel, profile):
    """Steps are counted alike for the window's end and for rows of another age."""
    old = panel.iloc[[0]].assign(timestamp_utc=pd.Timestamp("1998-06-01", tz="UTC"))

    found = assess(pd.concat([old, panel], ignore_index=True), profile)

    assert found == assess(panel, profile)
