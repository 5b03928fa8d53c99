"""The skill CUSUM adds up what exceeds the floor, triggers, and then keeps still for a while."""

import numpy as np
import pytest
import scipy.signal  # noqa: F401  what the first example would wait for
from hypothesis import given, settings
from hypothesis import strategies as st

from loopcast.health.skill_cusum import SkillState, average_days, renew_skill, start_skill, watch_skill
from loopcast.health.sums import add_sums
from loopcast.sections.monitoring import Monitoring
from tests.health_factory import make_days, make_sums

LEVELS = np.array([0.1, 0.5, 0.9])
LIMITS = Monitoring(cooldown_days=3)
START = start_skill(LEVELS)
LOSSES = st.lists(st.tuples(st.floats(0, 3), st.floats(0.05, 1)), max_size=60)


def add_up_plainly(days, limits):
    """The same recursion, a day at a time: the reference for the fast one."""
    state, statistic, cooldown = START, 0.0, 0
    total, weight, decay = state.baseline_total, state.baseline_weight, 1 - 1 / limits.skill_memory_days
    statistics, triggers = [], []
    for day, row in days.iterrows():
        excess = (row["loss"] - row["baseline_loss"]) / (total / weight)
        excess = min(max(excess, -limits.skill_clip), limits.skill_clip)
        total, weight = decay * total + row["baseline_loss"], decay * weight + 1
        if cooldown:
            cooldown -= 1
            statistics.append(0.0)
            continue
        statistic = max(0.0, statistic + excess - limits.skill_floor)
        statistics.append(statistic)
        if statistic > limits.skill_threshold:
            triggers.append(day.date())
            statistic, cooldown = 0.0, limits.cooldown_days
    return statistics, triggers


@given(LOSSES)
def test_the_fast_recursion_is_the_plain_one(losses):
    """Day by day the same statistic, and the same triggers."""
    days = make_days(np.zeros(len(losses)))
    days[["loss", "baseline_loss"]] = np.array(losses).reshape(-1, 2)
    watch = watch_skill(START, days, LIMITS)
    statistics, triggers = add_up_plainly(days, LIMITS)

    assert list(watch.statistics) == pytest.approx(statistics, abs=1e-9)
    assert list(watch.triggers) == triggers


@settings(max_examples=50)
@given(LOSSES, st.integers(0, 60))
def test_it_can_be_carried_on_from_any_day(losses, cut):
    """Two portions end as the whole does, by way of JSON, and a day that comes twice counts once."""
    days = make_days(np.zeros(len(losses)))
    days[["loss", "baseline_loss"]] = np.array(losses).reshape(-1, 2)
    whole = watch_skill(START, days, LIMITS)
    first = watch_skill(START, days.iloc[:cut], LIMITS)
    state = SkillState.model_validate_json(first.state.model_dump_json())
    second = watch_skill(state, days, LIMITS)

    assert first.triggers + second.triggers == whole.triggers
    assert first.days + second.days == whole.days
    assert second.state.statistic == pytest.approx(whole.state.statistic, abs=1e-9)
    assert second.state.cooldown_days == whole.state.cooldown_days


def test_a_loss_within_the_floor_never_triggers():
    """A tenth worse than the baseline for ten years is not worth a training."""
    assert watch_skill(START, make_days(np.full(2520, 0.09)), LIMITS).triggers == ()


def test_an_error_that_doubles_for_both_moves_nothing():
    """A crisis raises the loss of any forecast; the model is not to blame."""
    days = make_days(np.zeros(200))
    days.iloc[100:] *= 2

    assert max(watch_skill(START, days, LIMITS).statistics) == 0.0


def test_a_single_wild_day_never_triggers():
    """However bad it was."""
    excess = np.zeros(100)
    excess[50] = 1e6

    assert watch_skill(START, make_days(excess), LIMITS).triggers == ()


def test_a_trigger_starts_a_cooldown():
    """Lost skill is called once, and again when it is still lost after the cool-down."""
    watch = watch_skill(START, make_days(np.full(14, 1.0)), LIMITS)

    positions = [watch.days.index(day) for day in watch.triggers]
    assert positions[0] <= 2
    assert np.diff(positions).tolist() == [LIMITS.cooldown_days + 2] * (len(positions) - 1)


def test_a_new_champion_starts_from_nothing():
    """What its predecessor gathered is forgotten; scale, cool-down and day are kept."""
    state = watch_skill(START, make_days([0.8, 0.8]), LIMITS).state
    renewed = renew_skill(state)

    assert state.statistic > 1
    assert renewed == state.model_copy(update={"statistic": 0.0})


def test_a_day_is_the_mean_over_its_series():
    """A series that is asked for a hundred times counts once, later horizons and unjudged steps not at all."""
    often = make_sums(2, n_judged=100.0, loss_in_reaches=20.0)
    once = make_sums(2, series_id="S1", loss_in_reaches=0.4)
    later = make_sums(2, horizon=2, loss_in_reaches=9.0)
    open_ones = make_sums(2, series_id="S2", n_judged=0.0, loss_in_reaches=0.0)

    days = average_days(add_sums(often, once, later, open_ones))

    assert days["loss"].tolist() == pytest.approx([0.3, 0.3])
    assert len(average_days(make_sums(2).iloc[:0])) == 0


def test_no_days_change_nothing():
    """A day without labels leaves the state as it was."""
    watch = watch_skill(START, make_days([]), LIMITS)

    assert (watch.state, watch.days, watch.triggers) == (START, (), ())
