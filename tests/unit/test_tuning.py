"""What the search for better settings tries, and what it makes of the best."""

import optuna
import pytest

from loopcast.features import build_design
from loopcast.model.tuning import configure, measure_trial, present_parameters, suggest_parameters
from tests.panels import make_panel, make_panel_problem

PRESENT = {
    "within": {},
    "outside": {"network": {"hidden_size": 5, "dropout": 0.7}, "training": {"learning_rate": 0.5, "weight_decay": 3.0}},
    "zero": {"network": {"dropout": 0.0}, "training": {"weight_decay": 0.0}},
}


@pytest.fixture(autouse=True)
def _quiet():
    """No lines of Optuna's own."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.parametrize("changes", PRESENT.values(), ids=PRESENT)
def test_the_present_settings_are_tried_first_and_unchanged(changes):
    """Wherever they lie, the space holds them, so tuning never ends worse than it began."""
    problem = make_panel_problem(**changes)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(present_parameters(problem))

    suggested = [suggest_parameters(study.ask(), problem) for _ in range(10)]

    assert suggested[0] == present_parameters(problem)
    assert configure(problem, suggested[0]) == problem
    assert len({tuple(each.values()) for each in suggested}) == 10


def test_further_trials_stay_within_the_ranges():
    """Of the problem's own tuning section."""
    problem = make_panel_problem(network={"hidden_size": 8}, tuning={"hidden_sizes": [8, 64], "dropouts": [0.1, 0.2],
                                 "learning_rates": [1e-4, 1e-2], "weight_decays": [0, 0.1]})  # fmt: skip
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    suggested = [suggest_parameters(study.ask(), problem) for _ in range(30)]

    assert {each["hidden_size"] for each in suggested} == {8, 64}
    assert all(0.1 <= each["dropout"] <= 0.2 for each in suggested)
    assert all(1e-4 <= each["learning_rate"] <= 1e-2 for each in suggested)
    assert all(0 <= each["weight_decay"] <= 0.1 for each in suggested)


def test_the_best_settings_replace_nothing_else():
    """Parameters go to network and training by name; all else is as the person wrote it."""
    problem = make_panel_problem()
    best = {"hidden_size": 32, "dropout": 0.1, "learning_rate": 0.002, "weight_decay": 0.03}

    configured = configure(problem, best)

    assert present_parameters(configured) == best
    assert configure(configured, present_parameters(problem)) == problem


def test_a_trial_knows_nothing_of_the_tested_time():
    """Another future gives the same value, to the last bit."""
    problem = make_panel_problem(
        training={"n_seeds": 1, "max_epochs": 2, "validation_steps": 120}, tuning={"n_seeds": 1}
    )
    panel = make_panel()
    changed = panel.copy()
    late = changed["timestamp_utc"] > changed["timestamp_utc"].quantile(0.8)
    changed.loc[late, "target"] *= 2

    values = [
        measure_trial(optuna.trial.FixedTrial(present_parameters(problem)), build_design(each, problem), problem)
        for each in (panel, changed)
    ]

    assert values[0] == values[1]
