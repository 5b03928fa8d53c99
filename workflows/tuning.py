"""The search for better training settings: trials side by side on one study, the best configuration out."""

from functools import partial

from flytekit import map_task, workflow

from loopcast.config import Problem
from loopcast.evidence.account import SnapshotFacts
from tasks.tuning import configure_best, plan_trials, run_trial

CONCURRENT_TRIALS = 4
"""Trials at once: each learns from those that are done, so that many at once are nearly random search."""


@workflow
def tuning(config: Problem, snapshot: SnapshotFacts, n_trials: int = 16) -> Problem:
    """Return the problem with the best settings that `n_trials` trials found; the present ones are tried first."""
    study = plan_trials(problem=config, n_trials=n_trials)
    trial = partial(run_trial, problem=config, snapshot=snapshot, study=study.name)
    losses = map_task(trial, concurrency=CONCURRENT_TRIALS)(trial=study.trials)
    return configure_best(problem=config, study=study.name, losses=losses)
