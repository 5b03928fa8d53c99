"""Which version is in service: promotion, rejection and rollback, each decided under one lock on what is true there.

How a decision comes to show in the registry stands in `settlement`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from loopcast.errors import OutdatedError, StoreError
from loopcast.evidence.gate import Rule, Verdict
from loopcast.stores.decisions import BY_HAND_RULE, Decision, DecisionKind, DecisionStore
from loopcast.stores.model_version import ModelVersion
from loopcast.stores.registry import Registry
from loopcast.stores.settlement import Settlement

Judge = Callable[[ModelVersion | None], Verdict]
"""Decides on the champion of the moment, None for none."""

ROLLBACK_RULE: Final = "rollback"


def promote(registry: Registry, problem: str, version: int, judge: Judge, actor: str) -> Decision:
    """Let the version into service if the judge finds for it, and return what was decided.

    A version that is in service already is not judged again: the decision that put it there is returned. One whose
    weights were taken out of service is turned down, whatever it showed before; `demote` to it puts it back.

    Args:
        registry: Shows the outcome by its aliases.
        problem: Name of the problem.
        version: The challenger.
        judge: Is asked inside the lock, about the champion as it is then.
        actor: User or execution that asks.

    Raises:
        StoreError: There is no such version.
    """
    challenger = registry.version(problem, version)
    with _settled(registry, problem) as (settlement, champion):
        if champion is not None and champion.version == version:
            return _find_entry(settlement.decisions, champion)
        taken_back = _find_taken_back(settlement, challenger)
        verdict = judge(champion) if taken_back is None else _refuse(taken_back)
        return settlement.carry_out(_decide(challenger, champion, verdict, actor))


def promote_by_hand(registry: Registry, problem: str, version: int, reason: str, actor: str) -> Decision:
    """Put a version into service because a person says so, without the gate, and return the decision.

    One that is in service already stays, and the decision that put it there is returned.

    Args:
        registry: Shows the outcome by its aliases.
        problem: Name of the problem.
        version: Any; also one that was taken out of service, which the gate would turn down.
        reason: One sentence for a person.
        actor: Who asks.

    Raises:
        StoreError: There is no such version.
    """
    chosen = registry.version(problem, version)
    with _settled(registry, problem) as (settlement, champion):
        if champion is not None and champion.version == version:
            return _find_entry(settlement.decisions, champion)
        decision = Decision(
            problem=problem,
            kind=DecisionKind.PROMOTION,
            model_version=str(chosen.version),
            champion_before=None if champion is None else str(champion.version),
            champion_after=str(chosen.version),
            rule=BY_HAND_RULE,
            reasons=(reason,),
            figures={},
            actor=actor,
        )
        return settlement.carry_out(decision)


def reject(registry: Registry, problem: str, version: int, verdict: Verdict, actor: str) -> Decision:
    """Write down that a version was judged and not let into service.

    Raises:
        StoreError: There is no such version.
        ValueError: The verdict is to promote it.
    """
    if verdict.is_promoted:
        raise ValueError(f"{problem} version {version}: found a verdict that promotes, needs one that does not")
    challenger = registry.version(problem, version)
    with _settled(registry, problem) as (settlement, champion):
        return settlement.carry_out(_decide(challenger, champion, verdict, actor))


def demote(
    registry: Registry,
    problem: str,
    reason: str,
    actor: str,
    *,
    to_version: int | None = None,
    from_version: int | None = None,
    figures: Mapping[str, float] | None = None,
) -> Decision:
    """Take the champion out of service, put another version in its place, and return the decision.

    Args:
        registry: Shows the outcome by its aliases.
        problem: Name of the problem.
        reason: One sentence for a person.
        actor: User or execution that asks.
        to_version: Any version; default: the one that the champion replaced when it was promoted.
        from_version: The champion that is meant, so that asking twice does not take two steps back.
        figures: The evidence, by name and unit.

    Raises:
        StoreError: There is no champion, another than is meant, or none before it.
    """
    with _settled(registry, problem) as (settlement, champion):
        if champion is None:
            raise OutdatedError(f"{problem} has no champion; promote a version first")
        if from_version is not None and from_version != champion.version:
            return _find_demotion(settlement.decisions, champion, from_version)
        if to_version is None:
            to_version = _find_predecessor(settlement.decisions, champion)
        if to_version == champion.version:
            raise StoreError(f"{problem} version {to_version} is the champion; name another version to go back to")
        decision = Decision(
            problem=problem,
            kind=DecisionKind.DEMOTION,
            model_version=str(champion.version),
            champion_before=str(champion.version),
            champion_after=str(registry.version(problem, to_version).version),
            rule=ROLLBACK_RULE,
            reasons=(reason,),
            figures=dict(figures or {}),
            actor=actor,
        )
        return settlement.carry_out(decision)


def find_predecessor(decisions: DecisionStore, problem: str, version: int) -> int | None:
    """The version that was in service below another, None for none; so each step back goes further back.

    A promotion puts a version upon the one before it. Going back takes off what lies above, so that a version that was
    promoted a second time is left for what lay below it the first time once it is met again.
    """
    upon: list[str] = []
    before: dict[str, str | None] = {}
    for each in reversed(decisions.history(problem, limit=None)):
        after = each.champion_after
        if each.kind is not DecisionKind.PROMOTION:
            while upon and upon[-1] != after:
                upon.pop()
        if after is not None:
            if each.kind is DecisionKind.PROMOTION or not upon:
                upon.append(after)
            before[after] = upon[-2] if len(upon) > 1 else None
    found = before.get(str(version))
    return None if found is None else int(found)


@contextmanager
def _settled(registry: Registry, problem: str) -> Iterator[tuple[Settlement, ModelVersion | None]]:
    """The champion, while nobody else can change it."""
    with registry.lock_aliases(problem) as lock:
        settlement = Settlement(registry, DecisionStore(registry.database), lock)
        yield settlement, settlement.settle(problem)


def _decide(challenger: ModelVersion, champion: ModelVersion | None, verdict: Verdict, actor: str) -> Decision:
    before = None if champion is None else str(champion.version)
    return Decision(
        problem=challenger.problem,
        kind=DecisionKind.PROMOTION if verdict.is_promoted else DecisionKind.REJECTION,
        model_version=str(challenger.version),
        champion_before=before,
        champion_after=str(challenger.version) if verdict.is_promoted else before,
        rule=verdict.rule,
        reasons=verdict.reasons,
        figures=verdict.figures,
        actor=actor,
    )


def _find_entry(decisions: DecisionStore, champion: ModelVersion) -> Decision:
    """The decision that put the champion in service."""
    name = str(champion.version)
    history = decisions.history(champion.problem, limit=None)
    return next(each for each in history if each.champion_after == name != each.champion_before)


def _find_demotion(decisions: DecisionStore, champion: ModelVersion, from_version: int) -> Decision:
    """The demotion that was asked for before, if that is why another version is in service."""
    entry = _find_entry(decisions, champion)
    if entry.kind is DecisionKind.DEMOTION and entry.champion_before == str(from_version):
        return entry
    raise OutdatedError(
        f"{champion.problem}: version {champion.version} is in service by now, not {from_version}; nothing was changed"
    )


def _find_predecessor(decisions: DecisionStore, champion: ModelVersion) -> int:
    found = find_predecessor(decisions, champion.problem, champion.version)
    if found is None:
        raise OutdatedError(
            f"{champion.problem} version {champion.version} replaced no other version; name the one to go back to"
        )
    return found


def _find_taken_back(settlement: Settlement, challenger: ModelVersion) -> Decision | None:
    """The decision that took these weights out of service, under this number or another, unless they came back."""

    def is_same(number: str | None, decision: Decision) -> bool:
        found = None if number is None else settlement.registry.find_version(challenger.problem, int(number))
        # A number is given again after its version was deleted: the decision must be about the one of today.
        return (
            found is not None
            and found.weights_sha256 == challenger.weights_sha256
            and found.created_at_utc <= decision.decided_at_utc
        )

    for each in settlement.decisions.history(challenger.problem, limit=None):
        if each.kind in {DecisionKind.DEMOTION, DecisionKind.PROMOTION} and is_same(each.champion_after, each):
            return None
        if each.kind is DecisionKind.DEMOTION and is_same(each.model_version, each):
            return each
    return None


def _refuse(taken_back: Decision) -> Verdict:
    reason = (
        f"its weights are those of version {taken_back.model_version}, which was taken out of service on "
        f"{taken_back.decided_at_utc:%Y-%m-%d}: {'; '.join(taken_back.reasons)}"
    )
    return Verdict(is_promoted=False, rule=Rule.TAKEN_BACK, reasons=(reason,), figures={})
