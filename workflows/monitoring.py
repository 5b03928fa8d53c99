"""A day's monitoring: take in, judge, report, tell, and act: train again, go back to the version before, or neither."""

from datetime import datetime

from flytekit import conditional, workflow

from loopcast.config import Problem
from loopcast.stores.acting import ActionOutcome, Claim
from loopcast.stores.monitoring import NEWEST, MonitoringOutcome
from tasks import monitoring as steps  # not its tasks by name: pyflyte lists those, and knows no option for an error
from tasks.branching import branch_workflow
from workflows.training import training


@workflow(on_failure=steps.give_up_monitoring)
def monitoring(config: Problem, as_of: datetime = NEWEST) -> MonitoringOutcome:
    """Tell how the champion did in the window before a moment, by default the newest step, and act on it."""
    taken = steps.take_in_data(problem=config)
    judged = steps.judge_champion(problem=config, taken=taken, as_of=as_of)
    report = steps.report_day(problem=config, judged=judged)
    told = steps.tell_people(judged=judged, report=report)
    claimed = steps.claim_action(problem=config)
    told >> claimed.claim
    is_rollback, is_training = claimed.is_rollback, claimed.is_training
    acted = (
        conditional("act")
        .if_(is_rollback.is_true())
        .then(steps.roll_champion_back(claim=claimed.claim))
        .elif_(is_training.is_true())
        .then(retraining(config=config, claim=claimed.claim))
        .else_()
        .then(steps.leave_champion(claim=claimed.claim))
    )
    return steps.sum_up_day(problem=config, judged=judged, report=report, acted=acted)


@branch_workflow
def retraining(config: Problem, claim: Claim) -> ActionOutcome:
    """Train a challenger, put it to the gate as any other, and write down what came of it."""
    outcome = training(config=config)
    return steps.close_training(claim=claim, outcome=outcome)
