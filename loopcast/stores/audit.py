"""Who changed what: a row for every act that changed something, or was refused to somebody who is known.

Rows are only added, which the table itself sees to. Decisions about models stand in `decisions` as well, with their
figures; here stands who asked for them.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Protocol
from uuid import UUID, uuid4

from psycopg.rows import dict_row
from psycopg.types.json import Json
from pydantic import AfterValidator, BaseModel, Field

from loopcast.evidence.record import RECORD, Moment
from loopcast.stores.database import Database
from loopcast.stores.tokens import Role

MAX_CHARACTERS: Final = 1000
"""Of one text in a row: a reason that somebody gave, a name that came from outside."""


class Act(StrEnum):
    """What somebody did, or tried to."""

    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    """The provider knows them, and here they may do nothing."""
    SIGNED_OUT = "signed_out"
    TOKEN_CREATED = "token_created"  # noqa: S105  no secret
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    UPLOAD_RECEIVED = "upload_received"
    UPLOAD_DELETED = "upload_deleted"
    QUERY_SUBMITTED = "query_submitted"
    QUERY_CANCELLED = "query_cancelled"
    QUERY_RETRIED = "query_retried"
    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    TRAINING = "training"
    ACT_REFUSED = "act_refused"
    """They asked for what their role does not allow."""


def _clean(text: str) -> str:
    return text.replace("\0", "")[:MAX_CHARACTERS]


Text = Annotated[str, AfterValidator(_clean)]
"""As PostgreSQL takes it, and no longer than a person reads."""


class AuditEntry(BaseModel):
    """One act."""

    model_config = RECORD

    id: UUID = Field(default_factory=uuid4)
    position: int = 0
    """In the order of writing, from 1; the store gives it."""
    at_utc: Moment = Field(default_factory=lambda: datetime.now(UTC))
    actor_id: Text
    """Owner of what they make; for a command, the user of the machine."""
    actor_name: Text
    role: Role | None = None
    """In which they did it; None for a command, which needs none."""
    act: Act
    subject: Text
    """On what: the id of a token or query, a version, a path."""
    problem: Text | None = None
    request_id: str | None = None
    """Of the request, under which the log has it too; None for a command."""
    details: dict[str, Text] = Field(default_factory=dict)


WRITTEN: Final = tuple(name for name in AuditEntry.model_fields if name != "position")
INSERT: Final = (
    f"INSERT INTO loopcast.audit ({', '.join(WRITTEN)}) "  # noqa: S608  names from above
    f"VALUES ({', '.join(f'%({name})s' for name in WRITTEN)})"
)
SELECT: Final = (
    f"SELECT position, {', '.join(WRITTEN)} FROM loopcast.audit "  # noqa: S608
    "WHERE %(before)s::bigint IS NULL OR position < %(before)s ORDER BY position DESC LIMIT %(limit)s"
)


class AuditLog(Protocol):
    """Where acts are kept."""

    def record(self, entry: AuditEntry) -> None:
        """Keep an act, for ever.

        Raises:
            StoreError: It could not be kept; let the act fail then too.
        """

    def read(self, limit: int, before: int | None = None) -> list[AuditEntry]:
        """The last acts, the latest first; with a position, those before it."""


@dataclass(frozen=True)
class AuditStore:
    """`AuditLog` in PostgreSQL."""

    database: Database

    def record(self, entry: AuditEntry) -> None:
        """See `AuditLog`."""
        with self.database.connect() as connection:
            connection.execute(INSERT, entry.model_dump(exclude={"position"}) | {"details": Json(entry.details)})

    def read(self, limit: int, before: int | None = None) -> list[AuditEntry]:
        """See `AuditLog`."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute(SELECT, {"before": before, "limit": limit})
            return [AuditEntry.model_validate(row) for row in found]


@dataclass(frozen=True)
class MemoryAuditLog:
    """`AuditLog` of this process, for tests and trials without a database."""

    kept: list[AuditEntry] = field(default_factory=list)

    def record(self, entry: AuditEntry) -> None:
        """See `AuditLog`."""
        self.kept.append(entry.model_copy(update={"position": len(self.kept) + 1}))

    def read(self, limit: int, before: int | None = None) -> list[AuditEntry]:
        """See `AuditLog`."""
        return [entry for entry in reversed(self.kept) if before is None or entry.position < before][:limit]
