"""The memory of what was decided about a problem's models: by which rule, on which figures, by whom.

Rows are only added, and marked once the registry shows what they say. How a decision is reached stands in `evidence`;
the aliases that follow from it are kept by MLflow, and moved in `promotion`.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic import BaseModel, Field

from loopcast.evidence.gate import Rule, Verdict
from loopcast.evidence.record import RECORD, Moment
from loopcast.stores.database import Database

COLUMNS = (
    "id", "problem", "kind", "model_version", "champion_before", "champion_after", "rule", "reasons", "figures",
    "actor", "decided_at_utc",
)  # fmt: skip
INSERT = (
    f"INSERT INTO loopcast.decisions ({', '.join(COLUMNS)}) "  # noqa: S608  names from above
    f"VALUES ({', '.join(f'%({name})s' for name in COLUMNS)}) ON CONFLICT (id) DO NOTHING"
)
SELECT = (
    f"SELECT {', '.join(COLUMNS)} FROM loopcast.decisions "  # noqa: S608
    "WHERE problem = %s ORDER BY position DESC LIMIT %s"
)
SELECT_PROBLEMS = "SELECT DISTINCT problem FROM loopcast.decisions ORDER BY problem"
SELECT_UNAPPLIED = (
    f"SELECT {', '.join(COLUMNS)} FROM loopcast.decisions "  # noqa: S608
    "WHERE problem = %s AND applied_at_utc IS NULL ORDER BY position"
)
MARK_APPLIED = "UPDATE loopcast.decisions SET applied_at_utc = now() WHERE id = %s AND applied_at_utc IS NULL"

BY_HAND_RULE: Final = "by_hand"
"""Of a promotion that a person decided without the gate."""


class DecisionKind(StrEnum):
    """What can be decided about a model version."""

    PROMOTION = "promotion"
    REJECTION = "rejection"
    DEMOTION = "demotion"
    OBSERVATION = "observation"
    """None of ours: the champion was found to be another than decided, because somebody changed it in MLflow."""


class Decision(BaseModel):
    """One decision, with what is needed to understand it later."""

    model_config = RECORD

    problem: str
    kind: DecisionKind
    model_version: str
    """The version that was judged."""
    champion_before: str | None
    """Version in service until then, None for none."""
    champion_after: str | None
    rule: str
    """Name of the rule that decided."""
    reasons: tuple[str, ...]
    """Sentences for a person, the weightiest first."""
    figures: dict[str, float]
    """What the rule read, by name and unit; NaN where it could not be known."""
    actor: str
    """User or execution that decided."""
    decided_at_utc: Moment = Field(default_factory=lambda: datetime.now(UTC))
    id: UUID = Field(default_factory=uuid4)


@dataclass(frozen=True)
class DecisionStore:
    """Decisions in PostgreSQL."""

    database: Database

    def record(self, decision: Decision) -> None:
        """Keep a decision, once however often it is recorded."""
        row = json.loads(decision.model_dump_json())
        row["figures"] = Jsonb(row["figures"])
        with self.database.connect() as connection:
            connection.execute(INSERT, row)

    def history(self, problem: str, limit: int | None = 100) -> list[Decision]:
        """The last decisions about a problem, the latest first; all of them without a limit."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [Decision.model_validate(row) for row in cursor.execute(SELECT, [problem, limit])]

    def problems(self) -> list[str]:
        """The problems about whose models something was decided, by name."""
        with self.database.connect() as connection:
            return [str(name) for (name,) in connection.execute(SELECT_PROBLEMS)]

    def unapplied(self, problem: str) -> list[Decision]:
        """The decisions about a problem that the registry may not show yet, the earliest first."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [Decision.model_validate(row) for row in cursor.execute(SELECT_UNAPPLIED, [problem])]

    def mark_applied(self, decision: Decision) -> None:
        """Remember that the registry shows a decision."""
        with self.database.connect() as connection:
            connection.execute(MARK_APPLIED, [decision.id])


def as_verdict(decision: Decision) -> Verdict | None:
    """The gate's verdict that led to a promotion or a rejection; None for what a person decided without the gate."""
    if decision.kind not in {DecisionKind.PROMOTION, DecisionKind.REJECTION} or decision.rule == BY_HAND_RULE:
        return None
    is_promoted = decision.kind is DecisionKind.PROMOTION
    return Verdict(
        is_promoted=is_promoted,
        rule=Rule(decision.rule),
        reasons=() if is_promoted else decision.reasons,
        figures=decision.figures,
    )
