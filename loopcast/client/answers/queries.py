"""What is answered about long queries, and about what was uploaded for them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime

from loopcast.client.answers.base import Answer


class QuerySummary(Answer):
    """A query without its result."""

    query_id: UUID
    problem: str
    kind: str
    request: Mapping[str, Any]
    state: str
    progress_ratio: float
    progress: str
    is_cancel_asked: bool
    n_attempts: int
    submitted_at_utc: AwareDatetime
    started_at_utc: AwareDatetime | None
    ended_at_utc: AwareDatetime | None
    reason: str
    files: tuple[str, ...]
    retry_of: UUID | None


class Query(QuerySummary):
    """A query as it is now; its result is null until it is done."""

    result: Mapping[str, Any] | None


class QueryPage(Answer):
    """One's own queries, the latest first."""

    queries: tuple[QuerySummary, ...]
    next_after: UUID | None = None
    n_workers: int


class Upload(Answer):
    """A file that was uploaded."""

    upload_id: UUID
    n_bytes: int
    sha256: str
    uploaded_at_utc: AwareDatetime


class Uploads(Answer):
    """One's own uploads, the latest first."""

    uploads: tuple[Upload, ...]
