"""Optuna studies on the shared PostgreSQL, so that trials in any process or container learn from each other."""

import warnings
from typing import TYPE_CHECKING, Any

from loopcast.config import Problem
from loopcast.features import Design
from loopcast.stores.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna import Study, Trial
    from optuna.trial import FrozenTrial


def open_study(database: Database, name: str, seed: int = 0, first_parameters: dict[str, Any] | None = None) -> "Study":
    """The study of this name, made when it is missing; lower is better.

    Args:
        seed: Of the sampler; another one in each process, or all of them try the same.
        first_parameters: Tried before anything else when the study is new.
    """
    import optuna
    from sqlalchemy import NullPool

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Optuna makes its tables at the first use, and not safely at once; it warns of what is new in it.
    with database.locked("studies"), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = optuna.storages.RDBStorage(
            database.sqlalchemy_url_for("optuna"),
            engine_kwargs={"poolclass": NullPool},  # nobody closes a study, so nothing may stay open between its uses
            heartbeat_interval=30,  # seconds; a trial whose process was killed is tried again
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=2),
        )
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            direction="minimize",
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=10),
            load_if_exists=True,
        )
        if first_parameters is not None and not study.trials:
            study.enqueue_trial(first_parameters)
    return study


def run_trial(study: "Study", measure: "Callable[[Trial], float]") -> "FrozenTrial":
    """The study's next trial as it ended here, whatever other processes finish meanwhile."""
    ended: list[FrozenTrial] = []
    study.optimize(measure, n_trials=1, callbacks=[lambda _, trial: ended.append(trial)])
    return ended[0]


def run_logged_trial(study: "Study", design: Design, problem: Problem) -> float:
    """The value of the study's next trial, NaN for a pruned one; logged in the active MLflow run."""
    import mlflow

    from loopcast.model.tuning import measure_trial

    done = run_trial(study, lambda trial: measure_trial(trial, design, problem))
    mlflow.log_params(done.params)
    value = float("nan") if done.value is None else done.value
    mlflow.log_metrics({"validation_loss": value, "is_pruned": float(done.value is None)})
    return value
