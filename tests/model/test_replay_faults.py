"""A replay with each fault ends as its table says; without one, nothing is done. Small simulated prices throughout."""

from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from loopcast.config import Problem, load_problem
from loopcast.replay.faults import Fault, FaultKind, Faults
from loopcast.replay.incidents import Incident, list_incidents
from loopcast.replay.outcome import Outcome, Policy, What
from loopcast.replay.run import run_replay
from loopcast.stores.sources import read_source
from tests.panels import make_panel, make_panel_problem
from tools.demo import CRISIS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
START, BEGIN, END = date(2017, 1, 2), date(2017, 2, 1), date(2017, 4, 13)
ACTIONS = {What.PROMOTED, What.REJECTED, What.ROLLED_BACK, What.UNTRAINED}
STEPS = 640


def make_problem() -> Problem:
    """One that trains in a second, with a gate that a model passes which is about as good as the baselines."""
    gate = {"naive_alpha": 0.49, "alpha": 0.45, "coverage_tolerance": 0.5, "min_dates": 60}
    training = {"n_seeds": 1, "max_epochs": 2, "validation_steps": 100}
    return make_panel_problem(gate=gate, training=training, forecast_series=["S0"])


def make_raw() -> pd.DataFrame:
    """Rows as a CSV has them."""
    panel = make_panel(n_series=1, n_steps=STEPS, seed=3)
    rows = panel.rename(columns={"timestamp_utc": "day", "target": "price", "series_id": "name"})
    return rows[["day", "price", "name"]].assign(day=rows["day"].dt.strftime("%Y-%m-%d"))


@cache
def replay_fault(kind: FaultKind | None, days: int = 10) -> Outcome:
    """A quarter with one fault, or with none."""
    faults = () if kind is None else (Fault(kind=kind, begin=BEGIN, days=days),)
    return run_replay(make_raw(), make_problem(), Faults(faults=faults), START, END, n_processes=1, n_seeds=1)


def find_deeds(outcome: Outcome) -> list[What]:
    """What was done after the first day, on which the first model comes."""
    return [each.what for each in outcome.happenings if each.what in ACTIONS and each.day != outcome.days[0]]


def follow(kind: FaultKind) -> Incident:
    """The only row of the table."""
    [incident] = list_incidents(replay_fault(kind))
    return incident


def test_without_a_fault_nothing_is_done():
    """No training, no rollback; and the loop is doing nothing, to the last bit."""
    outcome = replay_fault(None)

    assert find_deeds(outcome) == []
    assert outcome.arm(Policy.LOOP).loss == outcome.arm(Policy.NOTHING).loss
    assert outcome.n_trainings[Policy.LOOP] == 0


def test_an_unadjusted_split_is_refused_the_same_day_and_nothing_is_trained_on_it():
    """Forecasts stop, and go on when the source is put right."""
    incident = follow(FaultKind.UNADJUSTED_SPLIT)
    outcome = replay_fault(FaultKind.UNADJUSTED_SPLIT)
    first = outcome.days.index(BEGIN)

    assert (incident.delay_days, incident.by, incident.done) == (0, "ingest refused", "refused 10 days")
    assert find_deeds(outcome) == []
    assert np.isnan(outcome.arm(Policy.LOOP).loss[first : first + 10]).all()
    assert np.isfinite(outcome.arm(Policy.LOOP).loss[first + 10 : first + 30]).all()


def test_a_frozen_feed_is_told_within_a_fortnight():
    """By the alarm that speaks of it; no model that learnt from it comes into service."""
    incident = follow(FaultKind.FROZEN_FEED)

    assert incident.by == "frozen feed"
    assert incident.delay_days is not None
    assert incident.delay_days <= 8
    assert What.PROMOTED not in find_deeds(replay_fault(FaultKind.FROZEN_FEED))


def test_missing_days_are_told_as_late():
    """Without a crash, and the walk goes on."""
    incident = follow(FaultKind.MISSING_DAYS)
    outcome = replay_fault(FaultKind.MISSING_DAYS)

    assert incident.by in {"late labels", "late series"}
    assert incident.done == "told"
    assert find_deeds(outcome) == []
    assert np.isfinite(outcome.arm(Policy.LOOP).loss[-10:]).all()


def test_a_bias_of_half_a_deviation_is_trained_away():
    """The CUSUM finds it, the challenger passes the gate, and the loss is lower than without the loop."""
    incident = follow(FaultKind.BIASED_FORECASTS)
    outcome = replay_fault(FaultKind.BIASED_FORECASTS)

    assert find_deeds(outcome) == [What.PROMOTED]
    assert incident.done == "retrained: version 2"
    assert incident.over_nothing_ratio > 0
    assert outcome.arm(Policy.LOOP).version[-1] == 2


def test_a_poisoned_model_is_rolled_back():
    """To the version that it took the place of, and nothing is trained on top of it."""
    incident = follow(FaultKind.POISONED_MODEL)
    outcome = replay_fault(FaultKind.POISONED_MODEL)

    assert find_deeds(outcome) == [What.ROLLED_BACK]
    assert incident.done == "rolled back to 1"
    assert incident.over_nothing_ratio > 0
    assert outcome.arm(Policy.LOOP).version[-1] == 1


def test_the_crisis_of_the_demo_ends_as_the_readme_says():
    """Noticed after seven days, rolled back, and the loop's loss is lower than that of either other way."""
    words = dict(zip(CRISIS[::2], CRISIS[1::2], strict=True))
    problem = load_problem(ROOT / "configs" / "google.yaml")
    faults = Faults.model_validate(yaml.safe_load((ROOT / words["--faults"]).read_text(encoding="utf-8")))
    start, end = (date.fromisoformat(words[name]) for name in ("--start", "--end"))

    [incident] = list_incidents(run_replay(read_source(problem), problem, faults, start, end, n_processes=2))

    assert (incident.delay_days, incident.by, incident.done) == (7, "worse than predecessor", "rolled back to 1")
    assert min(incident.over_nothing_ratio, incident.over_quarterly_ratio) > 0.05


def test_what_comes_later_changes_nothing_that_was_decided_before():
    """Other prices after a day, and up to it the same happenings, versions and statistics, to the last bit."""
    day = date(2017, 3, 15)
    raw = make_raw()
    is_later = raw["day"] > day.isoformat()
    raw.loc[is_later, "price"] *= np.exp(np.random.default_rng(1).normal(0, 0.03, int(is_later.sum())).cumsum())
    faults = Faults(faults=(Fault(kind=FaultKind.BIASED_FORECASTS, begin=BEGIN),))

    changed = run_replay(raw, make_problem(), faults, START, END, n_processes=1, n_seeds=1)
    outcome, n = replay_fault(FaultKind.BIASED_FORECASTS), changed.days.index(day) + 1

    assert [e for e in changed.happenings if e.day <= day] == [e for e in outcome.happenings if e.day <= day]
    assert changed.arm(Policy.LOOP).version[:n] == outcome.arm(Policy.LOOP).version[:n]
    np.testing.assert_array_equal(changed.cusum[:n], outcome.cusum[:n])
