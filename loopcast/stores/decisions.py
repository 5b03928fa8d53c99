"""The memory of what was decided about a problem's models: by which rule, on which figures, by whom.

Rows are only added. How a decision is reached stands in `evidence`; the aliases that follow from it are kept by MLflow.
"""

import json
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Protocol
from uuid import UUID, uuid4

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import Jsonb
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

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


class DecisionKind(StrEnum):
    """What can be decided about a model version."""

    PROMOTION = "promotion"
    REJECTION = "rejection"
    DEMOTION = "demotion"


class Decision(BaseModel):
    """One decision, with what is needed to understand it later."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

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
    decided_at_utc: Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))] = Field(
        default_factory=lambda: datetime.now(UTC)
    )
    id: UUID = Field(default_factory=uuid4)


class Decisions(Protocol):
    """Where decisions are kept."""

    def record(self, decision: Decision, connection: Connection[TupleRow] | None = None) -> None:
        """Keep a decision, once however often it is recorded; with a connection, in the transaction that is open."""

    def history(self, problem: str, limit: int = 100) -> list[Decision]:
        """The last decisions about a problem, the latest first."""


@dataclass(frozen=True)
class DecisionStore:
    """`Decisions` in PostgreSQL."""

    database: Database

    def record(self, decision: Decision, connection: Connection[TupleRow] | None = None) -> None:
        """See `Decisions`."""
        row = json.loads(decision.model_dump_json())
        row["figures"] = Jsonb(row["figures"])
        with self.database.connect() if connection is None else nullcontext(connection) as transaction:
            transaction.execute(INSERT, row)

    def history(self, problem: str, limit: int = 100) -> list[Decision]:
        """See `Decisions`."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [Decision.model_validate(row) for row in cursor.execute(SELECT, [problem, limit])]


@dataclass(frozen=True)
class MemoryDecisionStore:
    """`Decisions` of this process, for tests and trials without a database."""

    kept: dict[UUID, Decision] = field(default_factory=dict)

    def record(self, decision: Decision, connection: Connection[TupleRow] | None = None) -> None:
        """See `Decisions`; there is no transaction to join."""
        self.kept.setdefault(decision.id, decision)

    def history(self, problem: str, limit: int = 100) -> list[Decision]:
        """See `Decisions`."""
        return [decision for decision in reversed(self.kept.values()) if decision.problem == problem][:limit]
