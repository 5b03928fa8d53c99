"""A day is judged by its parts and by what could be known then; late labels hold the CUSUM up, and not for ever."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from loopcast.config import Problem
from loopcast.health.condition import Finding
from loopcast.health.day import (
    DayJudgement,
    DayMaterial,
    ShadowSums,
    begin_step,
    begin_window,
    end_of_days,
    hide_later,
    judge_day,
    reach_in_days,
    take_complete_days,
)
from loopcast.health.quality import Intake
from loopcast.health.skill_cusum import start_skill
from loopcast.health.steps import measure_columns
from loopcast.health.sums import StepSums, sum_steps
from loopcast.health.watched import split_tracks
from tests.health_factory import LIMITS, make_history, make_profile, make_sums
from tests.panels import make_panel_problem

DAILY = make_panel_problem()
HOURLY = make_panel_problem(frequency="h", features={"calendar": ["hour"]})


@pytest.fixture(scope="module")
def material() -> DayMaterial:
    """A day in the middle of simulated data, which the EWMA baseline forecast."""
    panel, problem, steps = make_history()
    profile, _, _ = make_profile()
    return DayMaterial(
        problem=problem,
        as_of=panel["timestamp_utc"].iloc[500].to_pydatetime(),
        profile=profile,
        panel=panel,
        intake=Intake(n_rows=700),
        tracks=split_tracks(steps, measure_columns(steps, problem)),
        sums=sum_steps(steps, problem),
        skill=start_skill(np.asarray(problem.quantiles)),
    )


def findings(judged: DayJudgement) -> set[Finding]:
    """What was found."""
    return {each.finding for each in judged.verdict.conditions}


def test_what_came_later_changes_nothing(material):
    """Judged with the years that followed in every frame, or without them, a day is the same."""
    later = pd.Timestamp(material.as_of)
    end = end_of_days(material.as_of, material.problem)
    sums = hide_later(material.sums, end)
    then = replace(material, panel=material.panel[material.panel["timestamp_utc"] <= later], sums=sums)

    assert str(judge_day(material, LIMITS)) == str(judge_day(then, LIMITS))


def test_a_day_is_kept_as_json(material):
    """Undefined figures and all."""
    judged = judge_day(material, LIMITS)

    assert str(DayJudgement.model_validate_json(judged.model_dump_json())) == str(judged)


def test_a_model_is_not_judged_by_a_frozen_feed(material):
    """The days wait until the feed is mended; then they are judged, the frozen ones by what came instead."""
    panel = material.panel.copy()
    frozen = panel.index[panel["timestamp_utc"] <= pd.Timestamp(material.as_of)][-20:]
    panel.loc[frozen, "target"] = panel.loc[frozen[0], "target"]

    judged = judge_day(replace(material, panel=panel), LIMITS)

    assert Finding.FROZEN_FEED in findings(judged)
    assert judged.skill.state == material.skill
    assert judge_day(material, LIMITS).skill.state != material.skill


def test_a_day_without_anything_is_judged(material):
    """No row, no forecast, no label, nothing of the predecessor: two findings, and nothing to do."""
    nothing = material.sums.iloc[:0]
    bare = replace(
        material, panel=material.panel.iloc[:0], tracks={}, sums=nothing, shadow=ShadowSums(nothing, nothing)
    )

    judged = judge_day(bare, LIMITS)

    assert findings(judged) == {Finding.NO_DATA, Finding.NO_FORECASTS}
    assert not judged.verdict.needs_retraining
    assert not judged.verdict.needs_rollback
    assert judged.skill.state == material.skill


def test_a_champion_without_forecasts_of_its_own_is_no_finding_while_others_are_fresh(material):
    """It was promoted tonight; ten days later it is one."""
    fresh = replace(material, sums=material.sums.iloc[:0])
    horizon = pd.Timestamp(material.as_of) - 10 * material.problem.offset
    n = int(np.searchsorted(material.tracks["S0"].origin_utc, horizon.tz_convert(None).to_datetime64()))
    stopped = replace(fresh, tracks={"S0": replace_track(material, n)})

    assert findings(judge_day(fresh, LIMITS)) == set()
    assert findings(judge_day(stopped, LIMITS)) == {Finding.NO_FORECASTS}


def replace_track(material: DayMaterial, n: int):
    """The first origins of the track."""
    track = material.tracks["S0"]
    return type(track)(track.origin_utc[:n], {column: values[:n] for column, values in track.values.items()})


@pytest.mark.parametrize(
    ("problem", "as_of", "end"),
    [
        (DAILY, "2024-03-01T23:30", "2024-03-04"),
        (DAILY, "2024-03-01T00:00", "2024-03-04"),
        (DAILY, "2024-03-04T00:00", "2024-03-05"),
        (HOURLY, "2024-03-01T22:59", "2024-03-01"),
        (HOURLY, "2024-03-01T23:00", "2024-03-02"),
    ],
)
def test_a_day_is_over_when_no_further_step_ends_in_it(problem: Problem, as_of, end):
    """On a Friday evening that of a daily problem is; that of an hourly one with its last hour."""
    found = end_of_days(datetime.fromisoformat(as_of).replace(tzinfo=UTC), problem)

    assert found == pd.Timestamp(end, tz="UTC")


def test_a_window_begins_its_steps_before_the_moment():
    """Sixty business days are twelve weeks."""
    assert begin_window(datetime(2024, 3, 29, 23, 30, tzinfo=UTC), DAILY, LIMITS) == pd.Timestamp(
        "2024-01-05", tz="UTC"
    )


@pytest.mark.parametrize(("n_days_since", "n_fed"), [(1, 3), (5, 3), (6, 10)])
def test_a_day_whose_labels_are_late_holds_up_those_behind_it(n_days_since, n_fed):
    """For as many steps as labels may be late; then the days go on without what is missing."""
    days = pd.bdate_range("2024-03-04", periods=10, tz="UTC").as_unit("us")
    n_judged = np.ones(10)
    n_judged[3] = 0.0
    sums = make_sums(10, day_utc=days, n_judged=n_judged)
    as_of = (days[3] + n_days_since * DAILY.offset).to_pydatetime()
    end = days[-1] + timedelta(days=1)

    fed = take_complete_days(sums, as_of, end, DAILY, LIMITS)

    assert len(fed) == n_fed


@pytest.mark.parametrize(("as_of", "n_fed"), [("2024-03-06T04:00", 2), ("2024-03-06T05:00", 3)])
def test_the_age_of_a_day_of_hours_counts_from_its_last(as_of, n_fed):
    """A day behind whose midnight no hour's label is late yet is awaited, as a day is by days."""
    days = pd.date_range("2024-03-03", periods=3, tz="UTC").as_unit("us")
    sums = make_sums(3, day_utc=days, n_steps=24.0, n_judged=[24.0, 24.0, 20.0])
    moment = datetime.fromisoformat(as_of).replace(tzinfo=UTC)

    fed = take_complete_days(sums, moment, days[-1] + timedelta(days=1), HOURLY, LIMITS)

    assert len(fed) == n_fed


@pytest.mark.parametrize(
    ("frequency", "horizon", "n_days"), [("15min", 4, 2), ("h", 24, 2), ("h", 25, 3), ("B", 5, 5), ("W", 4, 4)]
)
def test_a_horizon_in_days_is_that_of_the_days_losses(frequency, horizon, n_days):
    """Days are compared, so that a forecast of 24 hours makes neighbours dependent, and not 24 days."""
    calendar = {"features": {"calendar": []}}

    problem = make_panel_problem(frequency=frequency, horizon=horizon, **calendar)

    assert reach_in_days(problem) == n_days
    assert reach_in_days(problem.model_copy(update={"horizon": 99}), horizon) == n_days


@pytest.mark.parametrize(
    ("frequency", "as_of", "begin"),
    [("MS", "2024-02-20", "2024-02-01"), ("W", "2024-02-20", "2024-02-25"), ("h", "2024-02-20", "2024-02-20")],
)
def test_the_step_that_lasts_is_not_due(frequency, as_of, begin):
    """A month is awaited until it is over, though its label is its first day."""
    problem = make_panel_problem(frequency=frequency, features={"calendar": []})

    assert begin_step(datetime.fromisoformat(as_of).replace(tzinfo=UTC), problem) == pd.Timestamp(begin, tz="UTC")


def test_what_was_hidden_waits_for_its_label():
    """Steps of later days are counted and pending, with what the baseline expects of them."""
    sums = make_sums(4)

    hidden = hide_later(sums, sums["day_utc"].iloc[2])

    assert hidden["n_steps"].tolist() == [1.0] * 4
    assert hidden["n_judged"].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert hidden["expected_pending"].tolist() == [0.0, 0.0, 0.003, 0.003]
    assert StepSums.validate(hidden)["loss"].tolist() == [0.003, 0.003, 0.0, 0.0]
