"""What is answered about queries and uploads: the shapes that /openapi.json documents."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, Field

from app.answers.base import Answer
from loopcast.queries.kinds import QueryKind
from loopcast.stores.query import QueryState


class QuerySummary(Answer):
    """A query without its result."""

    query_id: UUID
    problem: str
    kind: QueryKind
    request: dict[str, Any]
    """What it asks."""
    state: QueryState
    progress_ratio: Annotated[float, Field(ge=0, le=1)]
    progress: str
    """How far it is, in a sentence."""
    is_cancel_asked: bool
    """It was asked to stop, and will have stopped within seconds."""
    n_attempts: int
    """Times that a worker took it on; more than one where a worker or a store went away."""
    submitted_at_utc: AwareDatetime
    started_at_utc: AwareDatetime | None
    ended_at_utc: AwareDatetime | None
    reason: str
    """Why it failed or was cancelled, or why it waits again."""
    files: list[str]
    """Beside the result, under `files/`."""
    retry_of: UUID | None
    """The query that this one asks again."""


class Query(QuerySummary):
    """A query as it is now."""

    result: dict[str, Any] | None
    """What it found, in a shape of its kind; null until it is done."""


class QueryPage(Answer):
    """One's own queries, the latest first."""

    queries: list[QuerySummary]
    next_after: UUID | None = None
    """To be given as `after` for the next page; null on the last."""
    n_workers: int
    """Workers that are alive; where there is none, queries wait."""


class Upload(Answer):
    """A file that was uploaded."""

    upload_id: UUID
    n_bytes: int
    sha256: str
    uploaded_at_utc: AwareDatetime


class Uploads(Answer):
    """One's own uploads, the latest first."""

    uploads: list[Upload]
