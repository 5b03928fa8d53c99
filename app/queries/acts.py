"""Queries that change what is in service: promotion, rollback and training, each with the decision that came of it.

A worker may die between an act and the word of it. What its query decided before is found by who asked, why and since
when, and not done again.
"""

from datetime import timedelta
from functools import partial
from typing import Any, Final

from pydantic import BaseModel

from app.queries.training import run_training
from loopcast.config import Problem
from loopcast.errors import LoopcastError
from loopcast.evidence.record import RECORD
from loopcast.queries.kinds import Report
from loopcast.queries.requests import PromotionRequest, RollbackRequest
from loopcast.queries.waiting import wait_telling
from loopcast.stores.decisions import Decision, DecisionKind
from loopcast.stores.fetching import keep_version
from loopcast.stores.opened import Stores
from loopcast.stores.promotion import demote, promote_by_hand
from loopcast.stores.query import Query

RECENT: Final = 50
"""Decisions among which that of a query is looked for."""
CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""How far the clock of a worker may be behind that of the service that took the query: as far as Kerberos allows."""


class ActDone(BaseModel):
    """What an act came to."""

    model_config = RECORD

    sentence: str
    decision: Decision | None = None
    """None where a training runs elsewhere, and the gate has not decided yet."""
    execution_id: str | None = None
    """Of that training in Flyte."""
    execution_url: str | None = None


def promote_version(stores: Stores, query: Query, request: PromotionRequest, report: Report) -> ActDone:
    """Put a version into service by hand.

    Raises:
        LoopcastError: There is no such version.
    """
    _open_registry(stores, report)
    if stores.registry.find_version(query.problem, request.version) is None:
        known = ", ".join(str(each.version) for each in stores.registry.versions(query.problem))
        raise LoopcastError(f"{query.problem} has no version {request.version}; needs one of {known or 'none yet'}")
    keep_version(stores, query.problem, request.version)
    report(0.8, f"Putting version {request.version} into service")
    decision = promote_by_hand(stores.registry, query.problem, request.version, request.reason, query.actor)
    if decision.decided_at_utc < query.submitted_at_utc:
        since = f"{decision.decided_at_utc:%Y-%m-%d %H:%M} UTC"
        return ActDone(sentence=f"Version {request.version} was in service already, since {since}", decision=decision)
    return ActDone(sentence=_describe_change(decision), decision=decision)


def roll_back(stores: Stores, query: Query, request: RollbackRequest, report: Report) -> ActDone:
    """Put the version back into service that the champion replaced.

    Raises:
        OutdatedError: Another champion is in service than was meant, or it replaced none.
    """
    _open_registry(stores, report)
    decision = _find_own(stores, query, request.reason, DecisionKind.DEMOTION)
    if decision is None:
        report(0.8, "Taking the champion out of service")
        decision = demote(
            stores.registry, query.problem, request.reason, query.actor, from_version=request.from_version
        )  # fmt: skip
    return ActDone(sentence=_describe_change(decision), decision=decision)


def train_challenger(stores: Stores, query: Query, problem: Problem, report: Report) -> ActDone:
    """Train a challenger and ask the gate about it, or have Flyte do so.

    Args:
        problem: As the champion was trained on it.

    Raises:
        LoopcastError: The training failed.
    """
    decision = _find_own(stores, query, None, DecisionKind.PROMOTION, DecisionKind.REJECTION)
    if decision is None:
        told = run_training(problem, str(query.id), query.actor, stores.settings, report)
        if "outcome" not in told:
            return ActDone(
                sentence=f"Flyte trains it as {told['execution_id']}; the gate decides there",
                execution_id=told["execution_id"],
                execution_url=told["execution_url"],
            )
        decision = _find_about(stores, query.problem, told["outcome"])
    return ActDone(sentence=_describe_gate(decision), decision=decision)


def _open_registry(stores: Stores, report: Report) -> None:
    wait_telling(lambda: stores.registry, partial(report, 0.2, "Opening the registry"))


def _find_own(stores: Stores, query: Query, reason: str | None, *kinds: DecisionKind) -> Decision | None:
    """What an earlier attempt at this query decided, None for nothing."""
    if not query.is_repeated:
        return None
    for each in stores.decisions.history(query.problem, RECENT):
        is_since = each.actor == query.actor and each.decided_at_utc >= query.submitted_at_utc - CLOCKS_DIFFER
        if is_since and each.kind in kinds and (reason is None or each.reasons == (reason,)):
            return each
    return None


def _find_about(stores: Stores, problem: str, outcome: dict[str, Any]) -> Decision:
    """The gate's decision about the version of a training."""
    version = str(outcome["version"])
    kinds = (DecisionKind.PROMOTION, DecisionKind.REJECTION)
    history = stores.decisions.history(problem, None)
    return next(each for each in history if each.model_version == version and each.kind in kinds)


def _describe_change(decision: Decision) -> str:
    before = f" in the place of {decision.champion_before}" if decision.champion_before else ""
    return f"Version {decision.champion_after} is in service{before}"


def _describe_gate(decision: Decision) -> str:
    if decision.kind is DecisionKind.PROMOTION:
        return f"Version {decision.model_version} was trained, and the gate promoted it"
    reasons = "; ".join(decision.reasons)
    return f"Version {decision.model_version} was trained, and the gate did not promote it: {reasons}"
