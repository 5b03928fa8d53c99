"""What is answered of who may do what: oneself, tokens, and the audit."""

from collections.abc import Mapping
from uuid import UUID

from pydantic import AwareDatetime, Field

from loopcast.client.answers.base import Answer


class Me(Answer):
    """Who asks, and what they may."""

    id: str
    name: str
    role: str
    problems: tuple[str, ...]
    is_local: bool
    is_program: bool


class TokenState(Answer):
    """What is known of a token: all but its secret."""

    id: UUID
    name: str
    role: str
    problems: tuple[str, ...]
    created_at_utc: AwareDatetime
    expires_at_utc: AwareDatetime | None
    revoked_at_utc: AwareDatetime | None
    is_active: bool


class NewToken(Answer):
    """A token that was just made."""

    token: TokenState
    secret: str = Field(repr=False)


class Tokens(Answer):
    """One's own tokens, the oldest first, also those that are revoked or have expired."""

    tokens: tuple[TokenState, ...]


class AuditEntry(Answer):
    """One act that changed something, or was refused."""

    id: UUID
    at_utc: AwareDatetime
    actor_id: str
    actor_name: str
    role: str | None
    act: str
    subject: str
    problem: str | None
    request_id: str | None
    details: Mapping[str, str]


class Audit(Answer):
    """Acts, the latest first."""

    entries: tuple[AuditEntry, ...]
    next_before: int | None
