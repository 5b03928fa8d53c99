"""Carries decisions about the champion out, so that rows and aliases agree however a process ends.

A decision is committed, then the alias moves, then the version is tagged, then the row is marked as applied. What a
process left undone when it was killed is done before the next decision is taken; which one that is stands in
`promotion`.

Source: Mohan et al. (1992), ARIES: what is to be done is on disk first, and doing it twice changes nothing.
"""

from dataclasses import dataclass
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow

from loopcast.stores.decisions import Decision, DecisionKind, DecisionStore
from loopcast.stores.environment import UNKNOWN
from loopcast.stores.model_version import ModelVersion
from loopcast.stores.registry import Registry

DECISION_TAG: Final = "decision"
"""Of a version: the last decision about it."""
OBSERVED_RULE: Final = "changed_in_mlflow"


@dataclass(frozen=True)
class Settlement:
    """Decisions, and the registry that is made to show them.

    Attributes:
        registry: Holds the aliases.
        decisions: Hold the rows.
        lock: The connection that holds `Registry.lock_aliases`.
    """

    registry: Registry
    decisions: DecisionStore
    lock: Connection[TupleRow]

    def settle(self, problem: str) -> ModelVersion | None:
        """The champion, once what was decided is carried out and what somebody changed in MLflow is written down."""
        for decision in self.decisions.unapplied(problem):
            self._apply(decision)
        champion = self.registry.champion(problem)
        found = None if champion is None else str(champion.version)
        last = next(iter(self.decisions.history(problem, limit=1)), None)
        decided = None if last is None else last.champion_after
        if found != decided:
            self.carry_out(
                Decision(
                    problem=problem,
                    kind=DecisionKind.OBSERVATION,
                    model_version=found or str(decided),
                    champion_before=decided,
                    champion_after=found,
                    rule=OBSERVED_RULE,
                    reasons=(f"decided was {decided or 'no champion'}, MLflow says {found or 'no champion'}",),
                    figures={},
                    actor=UNKNOWN,
                )
            )
        return champion

    def carry_out(self, decision: Decision) -> Decision:
        """Write a decision down and make the registry show it."""
        self.lock.execute("SELECT 1")  # raises if the connection, and so the lock, was lost meanwhile
        self.decisions.record(decision)
        self._apply(decision)
        return decision

    def _apply(self, decision: Decision) -> None:
        """Doing so again changes nothing; a version that was deleted since is passed over."""
        if decision.champion_after is not None and decision.champion_after != decision.champion_before:
            successor = self.registry.find_version(decision.problem, int(decision.champion_after))
            if successor is not None:
                self.registry.move_champion(successor)
        judged = self.registry.find_version(decision.problem, int(decision.model_version))
        if judged is not None:
            self.registry.tag(judged, DECISION_TAG, _describe(decision))
        self.decisions.mark_applied(decision)


def _describe(decision: Decision) -> str:
    """One line for the person who looks at a version in MLflow."""
    head = f"{decision.kind} at {decision.decided_at_utc:%Y-%m-%d %H:%M} UTC by {decision.actor}, rule {decision.rule}"
    return f"{'; '.join((head, *decision.reasons))}; decision {decision.id}"
