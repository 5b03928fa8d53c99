"""The search for better training settings: what a trial tries, and what it is judged by.

Trials see only what was known before the first tested block of the backtest, so that the settings they find know
nothing of the time in which they are judged.
"""

from typing import TYPE_CHECKING

import numpy as np

from loopcast.config import Problem
from loopcast.features import Design
from loopcast.model.split import split_walk_forward
from loopcast.model.training import train_network

if TYPE_CHECKING:
    from optuna import Trial


def configure(problem: Problem, parameters: dict[str, float]) -> Problem:
    """The problem with the given settings of network and training."""
    network = {"hidden_size": int(parameters["hidden_size"]), "dropout": float(parameters["dropout"])}
    training = {name: float(parameters[name]) for name in ("learning_rate", "weight_decay")}
    return problem.model_copy(
        update={
            "network": problem.network.model_copy(update=network),
            "training": problem.training.model_copy(update=training),
        }
    )


def present_parameters(problem: Problem) -> dict[str, float]:
    """The settings that the problem has now; they are tried first, so that tuning never ends worse."""
    return {
        "hidden_size": problem.network.hidden_size,
        "dropout": problem.network.dropout,
        "learning_rate": problem.training.learning_rate,
        "weight_decay": problem.training.weight_decay,
    }


def suggest_parameters(trial: "Trial", problem: Problem) -> dict[str, float]:
    """The settings to try next, within the ranges of `problem.tuning`, widened to hold the present ones."""
    space, present = problem.tuning, present_parameters(problem)
    sizes = sorted({*space.hidden_sizes, problem.network.hidden_size})
    ranges = {"dropout": space.dropouts, "learning_rate": space.learning_rates, "weight_decay": space.weight_decays}
    suggested: dict[str, float] = {"hidden_size": trial.suggest_categorical("hidden_size", sizes)}
    for name, (low, high) in ranges.items():
        low, high = min(low, present[name]), max(high, present[name])
        suggested[name] = trial.suggest_float(name, low, high, log=low > 0)
    return suggested


def measure_trial(trial: "Trial", design: Design, problem: Problem) -> float:
    """The best validation loss of a trial's settings, averaged over its seeds, in scales.

    Raises:
        optuna.TrialPruned: The first seed does worse than the median of earlier trials at the same epoch.
    """
    import optuna

    tried = configure(problem, suggest_parameters(trial, problem))
    split = split_walk_forward(design, problem)[0]

    def report(epoch: int, loss: float) -> bool:
        trial.report(loss, epoch)
        return trial.should_prune()

    first = problem.training.first_seed
    networks = [train_network(design, split, tried, first, report=report)]
    if trial.should_prune():
        raise optuna.TrialPruned
    networks += [train_network(design, split, tried, first + k) for k in range(1, problem.tuning.n_seeds)]
    return float(np.mean([network.curve[:, 1].min() for network in networks]))
