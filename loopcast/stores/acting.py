"""Who acts on what monitoring called for: one run takes on an action, carries it out, and writes down how it ended.

The rows stand in `action_log`; that a training goes through the gate is for the training workflow.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import psycopg
from pydantic import BaseModel

from loopcast.errors import OutdatedError, StoreError
from loopcast.evidence.account import TrainingOutcome
from loopcast.evidence.record import RECORD
from loopcast.stores.action_log import ActionLog
from loopcast.stores.actions import Action, ActionKind, ActionState
from loopcast.stores.failures import is_failure_told
from loopcast.stores.promotion import demote
from loopcast.stores.run_states import describe_process

if TYPE_CHECKING:
    from loopcast.stores.opened import Stores


TRAINING: Final = "training"
"""The workflow that carries out a retraining."""


class Claim(BaseModel):
    """What a run has taken on."""

    model_config = RECORD

    action: Action | None
    """None: nothing."""

    @property
    def is_rollback(self) -> bool:
        """Whether the version before the champion is to go back into service."""
        return self.action is not None and self.action.kind is ActionKind.ROLL_BACK

    @property
    def is_training(self) -> bool:
        """Whether a challenger is to be trained."""
        return self.action is not None and self.action.kind is ActionKind.RETRAIN


class ActionOutcome(BaseModel):
    """What a run did about a day."""

    model_config = RECORD

    sentence: str = ""
    """Empty for nothing."""


def claim_next(stores: "Stores", problem: str, execution: str) -> Claim:
    """Take on the action of a problem that is due and that nobody else is at.

    Args:
        execution: That the run belongs to; a retry of it is given the same action. Empty for a local run.
    """
    champion = stores.registry.champion(problem)
    holder, process = (execution, "") if execution else (f"local-{uuid4().hex[:12]}", describe_process())
    version = None if champion is None else champion.version
    return Claim(action=ActionLog(stores.database).claim(problem, version, holder, process, datetime.now(UTC)))


def roll_back(stores: "Stores", claim: Claim, actor: str) -> ActionOutcome:
    """Put the version before the champion back into service, with the evidence; done before, it is not done again.

    Args:
        actor: Who is written beside the decision.
    """
    action = claim.action
    if action is None:
        return ActionOutcome()
    state = ActionState.DONE
    try:
        decision = demote(
            stores.registry, action.problem, action.sentence, actor,
            from_version=action.model_version, figures=action.figures,
        )  # fmt: skip
        outcome = f"Version {decision.champion_after} is back in service in the place of {action.model_version}"
    except OutdatedError as exc:
        state, outcome = ActionState.OBSOLETE, str(exc)
    ActionLog(stores.database).finish(action, state, outcome, datetime.now(UTC))
    return ActionOutcome(sentence=outcome)


def end_training(stores: "Stores", claim: Claim, trained: TrainingOutcome) -> ActionOutcome:
    """Write down what came of a training that was called for."""
    gate = "was promoted" if trained.is_promoted else "was not promoted"
    outcome = f"Version {trained.version} was trained, and {gate}"
    if claim.action is not None:
        ActionLog(stores.database).finish(claim.action, ActionState.DONE, outcome, datetime.now(UTC))
    return ActionOutcome(sentence=outcome)


def has_training_told(stores: "Stores", problem: str, execution: str) -> bool:
    """Whether the training that a failed run had taken on has told people itself; no where that cannot be known."""
    process = "" if execution else describe_process()
    try:
        held = ActionLog(stores.database).held(problem, execution, process)
        since = [each.started_at_utc for each in held if each.kind is ActionKind.RETRAIN and each.started_at_utc]
        return bool(since) and is_failure_told(stores, problem, TRAINING, min(since))
    except (StoreError, psycopg.Error):
        return False


def release_claims(stores: "Stores", problem: str, execution: str, why: str) -> None:
    """Let go of what a failed run had taken on, by its execution, or by this process in a local run."""
    process = "" if execution else describe_process()
    ActionLog(stores.database).release(problem, execution, process, why or "Its run failed", datetime.now(UTC))
