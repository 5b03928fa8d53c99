"""From the source to a proven champion: load, validate, snapshot, tune, train, backtest, explain, register, promote."""

from flytekit import conditional, workflow

from loopcast.config import Problem
from loopcast.evidence.account import TrainingOutcome
from tasks import registration  # not its tasks by name: pyflyte lists those, and knows no option for an error
from tasks.data import ingest_panel, store_snapshot
from tasks.promotion import judge_challenger, promote_challenger, reject_challenger
from tasks.report import report_training
from tasks.training import backtest_candidates, explain_offer, train_candidates
from tasks.tuning import keep_configuration
from workflows.tuning import tuning


@workflow(on_failure=registration.close_failed_runs)
def training(config: Problem, tuning_trials: int = 0) -> TrainingOutcome:
    """Make a challenger from the problem's data, and promote it if it is proven better than what is in service."""
    ingested = ingest_panel(problem=config)
    snapshot = store_snapshot(problem=config, panel=ingested.panel, facts=ingested.facts)
    problem = (
        conditional("tune")
        .if_(tuning_trials > 0)
        .then(tuning(config=config, snapshot=snapshot, n_trials=tuning_trials))
        .else_()
        .then(keep_configuration(problem=config))
    )
    trained = train_candidates(problem=problem, snapshot=snapshot)
    backtested = backtest_candidates(problem=problem, snapshot=snapshot)
    evidence, losses = backtested.evidence, backtested.losses
    explanation = explain_offer(problem=problem, snapshot=snapshot, models=trained.models, evidence=evidence)
    version = registration.register_challenger(
        problem=problem, snapshot=snapshot, models=trained.models, run_id=trained.run_id,
        evidence=evidence, losses=losses, explanation=explanation,
    )  # fmt: skip
    judged = judge_challenger(problem=problem, snapshot=snapshot, version=version, losses=losses)
    is_better = judged.is_better
    decision = (
        conditional("gate")
        .if_(is_better.is_true())
        .then(promote_challenger(problem=problem, snapshot=snapshot, version=version, losses=losses))
        .else_()
        .then(reject_challenger(problem=problem, version=version, verdict=judged.verdict))
    )
    return report_training(
        problem=problem, snapshot=snapshot, models=trained.models, curves=trained.curves, run_id=trained.run_id,
        evidence=evidence, track=backtested.track, explanation=explanation, version=version, decision=decision,
    )  # fmt: skip
