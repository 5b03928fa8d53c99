"""Drift alone alerts, lost skill retrains, a worse champion is rolled back; nothing found is nothing done."""

from datetime import UTC, datetime

import numpy as np
import pytest

from loopcast.health.condition import Condition, Finding, Severity
from loopcast.health.drift import Drift
from loopcast.health.performance import measure_performance
from loopcast.health.quality import DataQuality
from loopcast.health.shadow import judge_shadow
from loopcast.health.skill_cusum import start_skill, watch_skill
from loopcast.health.verdict import reach_verdict
from tests.health_factory import LIMITS, make_days, make_sums

START = start_skill(np.array([0.1, 0.5, 0.9]))
DRIFTED = Condition(finding=Finding.WIDTH_DRIFTED, series_id="S0", sentence="S0: wide")
NOTICED = Condition(finding=Finding.NEW_SERIES, series_id="S9", severity=Severity.NOTICE, sentence="S9: new")


def decide(*, quality=(), drift=(), sums=None, excess=(), shadow=None):
    """The verdict over a sound window in which only what is given is wrong."""
    sums = make_sums() if sums is None else sums
    return reach_verdict(
        DataQuality(n_rows=60, refused_ratio=0.0, duplicated_ratio=0.0, series={}, conditions=quality),
        Drift(tests=(), false_alarms_per_year=0.5, n_untested=0, conditions=drift),
        measure_performance(sums, {}, due_until=datetime(2030, 1, 1, tzinfo=UTC), horizon_days=1),
        watch_skill(START, make_days(excess), LIMITS),
        shadow,
        LIMITS,
    )


def judge(loss, before, n_days=60, seed=0):
    """The champion's shadow, with losses that vary from day to day and share most of it."""
    rng = np.random.default_rng(seed)
    common = rng.uniform(0.2, 0.4, n_days)
    ours, theirs = (common * mean / 0.3 * rng.uniform(0.97, 1.03, n_days) for mean in (loss, before))
    champion, predecessor = (make_sums(n_days, loss_in_reaches=each) for each in (ours, theirs))
    return judge_shadow(champion, predecessor.assign(model_version=0), START, LIMITS, horizon_days=1)


def outcome(verdict):
    """What is to be done."""
    return verdict.is_alerting, verdict.needs_retraining, verdict.needs_rollback


def test_a_sound_day_asks_for_nothing():
    """No condition, no action."""
    verdict = decide()

    assert outcome(verdict) == (False, False, False)
    assert verdict.conditions == ()


def test_drift_alone_alerts():
    """Somebody is told; nothing is trained."""
    assert outcome(decide(drift=(DRIFTED,))) == (True, False, False)


def test_a_notice_wakes_nobody():
    """It stands in the report."""
    verdict = decide(quality=(NOTICED,))

    assert outcome(verdict) == (False, False, False)
    assert verdict.conditions == (NOTICED,)


def test_lost_skill_retrains():
    """Three days at twice the baseline's loss, and the sentence says when and how much."""
    verdict = decide(excess=[1.0, 1.0, 1.0])

    assert outcome(verdict) == (True, True, False)
    assert verdict.conditions[0].finding is Finding.SKILL_LOST
    assert verdict.conditions[0].sentence.startswith("On 2020-01-07 the loss beyond the EWMA baseline's")


@pytest.mark.parametrize(("loss", "is_worse"), [(0.33, True), (0.312, True), (0.3, False), (0.25, False)])
def test_a_champion_that_is_clearly_worse_than_its_predecessor_is_rolled_back(loss, is_worse):
    """A loss of four percent shows in a quarter; an equal or better champion stays."""
    shadow = judge(loss, 0.3)

    assert outcome(decide(shadow=shadow)) == (is_worse, False, is_worse)


def test_a_poisoned_champion_is_rolled_back_within_days():
    """Long before a test has dates enough, and without training on top of it."""
    shadow = judge(0.6, 0.3, n_days=4)
    verdict = decide(excess=[1.0, 1.0, 1.0], shadow=shadow)

    assert shadow.vs_champion.p_value == 0.5
    assert outcome(verdict) == (True, False, True)
    assert {each.finding for each in verdict.conditions} == {Finding.SKILL_LOST, Finding.WORSE_THAN_PREDECESSOR}


def test_a_difference_that_is_sure_but_tiny_is_no_reason_to_go_back():
    """Half a percent, however certain."""
    shadow = judge(0.3015, 0.3, n_days=2000)

    assert not shadow.is_worse


def test_without_common_steps_nothing_is_worse():
    """The predecessor has not been scored yet, or nothing has come true."""
    sums, none = make_sums(), make_sums().iloc[:0]

    for before in (none, make_sums(n_judged=0.0), make_sums(series_id="S7")):
        assert not judge_shadow(sums, before, START, LIMITS, horizon_days=1).is_worse


@pytest.mark.parametrize(
    ("sums", "finding"),
    [
        (make_sums().iloc[:0], Finding.NO_FORECASTS),
        (make_sums(n_judged=0.0, loss=0.0, expected_pending=0.003), Finding.NO_LABELS),
        (make_sums(n_steps=1.1), Finding.LATE_LABELS),
        (make_sums(n_covered_80=0.55), Finding.COVERAGE_OFF),
        (make_sums(n_covered_95=0.80), Finding.COVERAGE_OFF),
    ],
)
def test_what_is_missing_or_off_is_told(sums, finding):
    """A window without forecasts, without labels, with late ones, with intervals that do not hold."""
    verdict = decide(sums=sums)

    assert [each.finding for each in verdict.conditions] == [finding]
    assert outcome(verdict) == (True, False, False)


def test_nothing_is_concluded_from_a_few_days():
    """A week's coverage is luck."""
    assert decide(sums=make_sums(7, n_covered_80=0.4)).conditions == ()
