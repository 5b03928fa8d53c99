"""What monitoring has done: each trigger with its evidence, and how it went on: pure, without a database.

What calls for an action stands in `health.verdict`; who acts, and how it is remembered, in `action_log`;
`docs/adr/0011-acting.md` draws the states.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4

from pydantic import BaseModel, Field

from loopcast.evidence.record import RECORD, Moment
from loopcast.health.condition import Finding
from loopcast.health.day import DayJudgement
from loopcast.stores.run_states import is_alive

MAX_ATTEMPTS: Final = 3
"""Trainings that may fail before an action is given up: with a monitoring a day, three days in which somebody, who was
told each time, has not put it right."""
LEASE: Final = timedelta(hours=20)
"""How long an action is held by somebody whose process cannot be looked at: longer than a training and a retry of it
take on a cluster, and over before the next day's monitoring."""


class ActionKind(StrEnum):
    """What a trigger leads to."""

    ROLL_BACK = "roll_back"
    """The version before the champion goes back into service."""
    RETRAIN = "retrain"
    """A challenger is trained and put to the gate."""
    COOL_DOWN = "cool_down"
    """Nothing: after a trigger no other is raised for some judged days."""


class ActionState(StrEnum):
    """Where an action stands."""

    DUE = "due"
    """Called for; nobody is at it."""
    RUNNING = "running"
    """Somebody is at it; or the cool-down lasts."""
    DONE = "done"
    FAILED = "failed"
    """Given up after `MAX_ATTEMPTS`."""
    OBSOLETE = "obsolete"
    """A training was judged, or another champion came, without it."""


class Action(BaseModel):
    """A trigger, with its evidence, and what became of it."""

    model_config = RECORD

    id: UUID = Field(default_factory=uuid4)
    problem: str
    kind: ActionKind
    model_version: int
    """The champion that was judged."""
    day: date
    """Of the data that called for it: by it the same trigger is known again, however often it is found."""
    as_of_utc: Moment
    sentence: str
    figures: dict[str, float] = {}
    state: ActionState = ActionState.DUE
    n_attempts: int = 0
    """How often somebody began."""
    holder: str = ""
    """Run that is at it, or was last: an execution, or a name that a local run gave itself."""
    process: str = ""
    """Of a local run, as `run_states.describe_process` names it."""
    lease_until_utc: Moment | None = None
    triggered_at_utc: Moment
    started_at_utc: Moment | None = None
    ended_at_utc: Moment | None = None
    outcome: str = ""
    """How it ended, or why the last attempt did not, in a sentence."""

    def is_held(self, at_utc: datetime) -> bool:
        """Whether somebody is at it who may be alive."""
        if self.state is not ActionState.RUNNING:
            return False
        is_running = is_alive(self.process)
        if is_running is not None:
            return is_running
        return self.lease_until_utc is not None and at_utc < self.lease_until_utc

    def begin(self, holder: str, process: str, at_utc: datetime) -> "Action":
        """The same, held by a run."""
        return self.model_copy(
            update={
                "state": ActionState.RUNNING,
                "n_attempts": self.n_attempts + 1,
                "holder": holder,
                "process": process,
                "lease_until_utc": at_utc + LEASE,
                "started_at_utc": at_utc,
            }
        )

    def end(self, state: ActionState, outcome: str, at_utc: datetime) -> "Action":
        """The same at its end."""
        return self.model_copy(update={"state": state, "outcome": outcome, "ended_at_utc": at_utc})

    def give_up(self, why: str, at_utc: datetime) -> "Action":
        """The same after an attempt that came to nothing: due again, unless it was the last."""
        if self.n_attempts >= MAX_ATTEMPTS:
            return self.end(ActionState.FAILED, why, at_utc)
        return self.model_copy(update={"state": ActionState.DUE, "outcome": why})


def find_actions(
    judgement: DayJudgement, problem: str, model_version: int, as_of: datetime, at_utc: datetime
) -> Iterator[Action]:
    """The actions that a day calls for, and the cool-down that begins with them.

    Args:
        model_version: The champion that was judged.
        at_utc: Now.
    """
    verdict, told = judgement.verdict, {each.finding: each for each in judgement.verdict.conditions}

    def make(kind: ActionKind, day: date, finding: Finding, **changes: object) -> Action:
        condition = told[finding]
        return Action(
            problem=problem, kind=kind, model_version=model_version, day=day, as_of_utc=as_of,
            sentence=condition.sentence, figures=condition.figures, triggered_at_utc=at_utc,
        ).model_copy(update=changes)  # fmt: skip

    if verdict.needs_rollback:
        yield make(ActionKind.ROLL_BACK, as_of.date(), Finding.WORSE_THAN_PREDECESSOR)
    if judgement.skill.triggers:
        day, days_left = judgement.skill.triggers[-1], judgement.skill.state.cooldown_days
        if verdict.needs_retraining:
            yield make(ActionKind.RETRAIN, day, Finding.SKILL_LOST)
        if days_left:
            yield make(
                ActionKind.COOL_DOWN,
                day,
                Finding.SKILL_LOST,
                state=ActionState.RUNNING,
                started_at_utc=at_utc,
                figures={"days_left": float(days_left)},
                sentence=f"No other loss of skill is called out for {days_left} judged days",
            )
