"""What is asked and answered about who may do what: tokens, oneself, and the audit."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from app.requests import NAME
from loopcast.stores.audit import Act
from loopcast.stores.tokens import MAX_NAME_CHARACTERS, Role

MAX_PROBLEMS: Final = 100
MAX_DAYS: Final = 3650
"""Ten years: who wants more wants a token that does not expire."""


def _check_printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("found characters that cannot be seen, needs a name for a line of text")
    return name


TokenName = Annotated[
    str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS, pattern=NAME), AfterValidator(_check_printable)
]


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Me(_Shape):
    """Who asks, and what they may."""

    id: str
    """Owner of the queries, uploads and tokens that they make."""
    name: str
    role: Role
    problems: list[str]
    """That they may use; none for every problem."""
    is_local: bool
    """Nobody signs in here: the service listens on this machine alone."""
    is_program: bool
    """A token asks, in its owner's place."""


class TokenBody(_Shape):
    """The token that is wanted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "dashboards", "expires_in_days": 90}]})

    name: TokenName
    """What it is for."""
    role: Role = Role.VIEWER
    """At most one's own."""
    problems: Annotated[list[str], Field(max_length=MAX_PROBLEMS)] = []
    """That it may be used for, of one's own; none for all of those."""
    expires_in_days: Annotated[int, Field(strict=True, ge=1, le=MAX_DAYS)] | None = None
    """Null for a token that does not expire."""


class TokenState(_Shape):
    """What is known of a token: all but its secret."""

    id: UUID
    name: str
    role: Role
    problems: list[str]
    """That it may be used for; none for every problem."""
    created_at_utc: AwareDatetime
    expires_at_utc: AwareDatetime | None
    revoked_at_utc: AwareDatetime | None
    is_active: bool


class NewToken(_Shape):
    """A token that was just made."""

    token: TokenState
    secret: str
    """What requests are signed with; it is shown this once, and kept nowhere."""


class Tokens(_Shape):
    """One's own tokens, the oldest first, also those that are revoked or have expired."""

    tokens: list[TokenState]


class AuditEntry(_Shape):
    """One act that changed something, or was refused."""

    id: UUID
    at_utc: AwareDatetime
    actor_id: str
    actor_name: str
    role: Role | None
    """Null for a command from a shell."""
    act: Act
    subject: str
    """On what: the id of a token or query, a version, a path."""
    problem: str | None
    request_id: str | None
    details: dict[str, str]


class Audit(_Shape):
    """Acts, the latest first."""

    entries: list[AuditEntry]
    next_before: int | None
    """To be given as `before` for the next page; null on the last."""
