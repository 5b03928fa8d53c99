"""Trials in any process learn from one study, and each knows its own outcome."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import optuna
import pytest

from loopcast.settings import Settings
from loopcast.stores.database import open_database
from loopcast.stores.studies import open_study, run_trial


def test_a_trial_is_the_one_that_was_run_here(database, name):
    """Another that starts later and ends earlier is not taken for it."""
    both_run, other_ended = Barrier(2, timeout=60), Barrier(2, timeout=60)

    def run(loss: float, *, is_slow: bool) -> optuna.trial.FrozenTrial:
        study = open_study(database, name, seed=int(loss))

        def measure(trial: optuna.Trial) -> float:
            trial.suggest_float("x", 0, 1)
            both_run.wait()
            if is_slow:
                other_ended.wait()
            return loss

        ended = run_trial(study, measure)
        if not is_slow:
            other_ended.wait()
        return ended

    with ThreadPoolExecutor(2) as threads:
        slow, fast = threads.submit(run, 1.0, is_slow=True), threads.submit(run, 2.0, is_slow=False)
        ended = {trial.number: trial.value for trial in (slow.result(), fast.result())}

    assert (slow.result().value, fast.result().value) == (1.0, 2.0)
    assert ended == {trial.number: trial.value for trial in open_study(database, name).trials}


def test_the_first_settings_are_tried_first_and_once(database, name):
    """Opening the study again, as every trial does, adds nothing."""
    study = open_study(database, name, first_parameters={"x": 0.25})
    open_study(database, name, first_parameters={"x": 0.25})

    tried = [run_trial(study, lambda trial: trial.suggest_float("x", 0, 1)).params["x"] for _ in range(2)]

    assert tried[0] == 0.25
    assert tried[1] != 0.25
    assert open_study(database, name).best_params == {"x": min(tried)}


def test_a_pruned_trial_has_no_value(database, name):
    """Though it reported some before it was given up."""

    def give_up(trial: optuna.Trial) -> float:
        trial.report(1.0, 0)
        raise optuna.TrialPruned

    ended = run_trial(open_study(database, name), give_up)

    assert ended.state is optuna.trial.TrialState.PRUNED


def test_a_trial_that_fails_stops_its_process(database, name):
    """A fault of the code is not a bad setting."""

    def fail(trial: optuna.Trial) -> float:
        raise ZeroDivisionError(trial.number)

    with pytest.raises(ZeroDivisionError):
        run_trial(open_study(database, name), fail)


def test_studies_that_are_opened_at_once_are_all_made(home):
    """Also on a database on which there was none before, where Optuna has to make its tables."""
    database = open_database(Settings(home=home))

    with ThreadPoolExecutor(4) as threads:
        studies = list(threads.map(lambda k: open_study(database, f"study-{k}"), range(4)))

    assert [study.study_name for study in studies] == [f"study-{k}" for k in range(4)]
