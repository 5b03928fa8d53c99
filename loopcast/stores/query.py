"""A long query: what it asks, how far it is, how it ends. Where queries are kept stands in `queries`.

The one enum of its states, and the rules by which it goes from one to the next; `docs/queries.md` draws them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID, uuid4

from pydantic import BaseModel, Field

from loopcast.errors import LoopcastError
from loopcast.evidence.record import RECORD, Moment
from loopcast.queries.kinds import QueryKind

MAX_ATTEMPTS: Final = 3
"""Attempts after which a query is given up: it may be what ends its workers."""
MAX_SENTENCE_CHARACTERS: Final = 1000
"""Of what is told of a query; a longer one is cut."""
STOPPED: Final = "stopped by its owner"


class QueryState(StrEnum):
    """Where a query is on its way."""

    QUEUED = "queued"
    """No worker is at it."""
    RUNNING = "running"
    """A worker is at it."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Its owner stopped it."""

    @property
    def is_open(self) -> bool:
        """Whether something is still to come."""
        return self in OPEN


OPEN: Final = frozenset([QueryState.QUEUED, QueryState.RUNNING])


class QueryEndedError(LoopcastError):
    """A query has ended, or has not, and what was asked is for the other case."""


class Query(BaseModel):
    """One query: a row of `loopcast.queries`. Each change is a new value, of the next revision."""

    model_config = RECORD

    id: UUID = Field(default_factory=uuid4)
    problem: str
    kind: QueryKind
    owner: str
    """Id of who asked it."""
    asker_name: str = ""
    """What they are called, or their token; empty in queries from before it was kept."""
    request: dict[str, Any]
    """As `loopcast.queries.requests` has it for the kind."""
    state: QueryState = QueryState.QUEUED
    progress_ratio: float = 0.0
    progress: str = "Waits for a worker"
    """One sentence."""
    is_cancel_asked: bool = False
    n_attempts: int = 0
    """Times that a worker took it on, without those that were told to stop."""
    submitted_at_utc: Moment
    started_at_utc: Moment | None = None
    """Of the last attempt."""
    ended_at_utc: Moment | None = None
    reason: str = ""
    """Why it failed or was cancelled, or why it waits again."""
    result: dict[str, Any] | None = None
    files: tuple[str, ...] = ()
    """Names of the files beside the result, in the artifact store under `queries/<id>/`."""
    idempotency_key: str | None = None
    retry_of: UUID | None = None
    job_id: int = 0
    """Of the job in the queue that stands for it; whoever holds another one has lost it."""
    revision: int = 0
    """Goes up with each change."""

    @property
    def is_repeated(self) -> bool:
        """Whether a worker was at it before the one that has just begun, counted or not: it may have done something."""
        return self.revision > 1

    @property
    def actor(self) -> str:
        """Who is written beside what it decides."""
        return self.asker_name or self.owner

    def asks_same(self, other: "Query") -> bool:
        """Whether another query asks the same."""
        mine, theirs = ((each.problem, each.kind, each.owner, each.request, each.retry_of) for each in (self, other))
        return mine == theirs

    def begin(self, at_utc: datetime) -> Self:
        """Taken on by a worker."""
        return self._change(
            state=QueryState.RUNNING, n_attempts=self.n_attempts + 1, started_at_utc=at_utc,
            progress_ratio=0.0, progress="Begins",
        )  # fmt: skip

    def move(self, ratio: float, sentence: str) -> Self:
        """A little further."""
        changed = {"progress_ratio": min(max(ratio, 0.0), 1.0), "progress": clip_sentence(sentence)}
        return self if changed == self.model_dump(include=set(changed)) else self._change(**changed)

    def end(
        self,
        state: QueryState,
        at_utc: datetime,
        *,
        reason: str = "",
        result: Mapping[str, Any] | None = None,
        files: Sequence[str] = (),
    ) -> Self:
        """At its end, whichever it is."""
        is_done = state is QueryState.DONE
        return self._change(
            state=state, ended_at_utc=at_utc, reason=clip_sentence(reason), result=result, files=tuple(files),
            **({"progress_ratio": 1.0, "progress": "Done"} if is_done else {}),
        )  # fmt: skip

    def interrupt(self, why: str, at_utc: datetime, *, is_counted: bool) -> Self:
        """Without the worker that was at it: waits again, unless it was to stop or has been tried often enough.

        Args:
            is_counted: Whether the attempt counts: where the worker was told to stop, it does not.
        """
        if self.is_cancel_asked:
            return self.end(QueryState.CANCELLED, at_utc, reason=STOPPED)
        if is_counted and self.n_attempts >= MAX_ATTEMPTS:
            return self.end(QueryState.FAILED, at_utc, reason=f"{why}; it was tried {self.n_attempts} times")
        return self._change(
            state=QueryState.QUEUED, n_attempts=max(0, self.n_attempts - (not is_counted)), started_at_utc=None,
            progress="Waits for a worker again", reason=clip_sentence(why),
        )  # fmt: skip

    def cancel(self, at_utc: datetime) -> Self:
        """Asked to stop: at once where no worker is at it.

        Raises:
            QueryEndedError: It has ended.
        """
        if not self.state.is_open:
            raise QueryEndedError(f"the query is {self.state}, and nothing of it runs any more; look at its result")
        if self.state is QueryState.QUEUED:
            return self.end(QueryState.CANCELLED, at_utc, reason=STOPPED)
        return self if self.is_cancel_asked else self._change(is_cancel_asked=True)

    def ask_again(self, at_utc: datetime, idempotency_key: str | None = None, asker_name: str = "") -> "Query":
        """A new query that asks the same.

        Args:
            asker_name: Of who asks again.

        Raises:
            QueryEndedError: This one is still open, or was answered.
        """
        if self.state not in {QueryState.FAILED, QueryState.CANCELLED}:
            raise QueryEndedError(f"the query is {self.state}; needs one that has failed or was cancelled")
        return Query(
            problem=self.problem, kind=self.kind, owner=self.owner, asker_name=asker_name, request=self.request,
            submitted_at_utc=at_utc, idempotency_key=idempotency_key, retry_of=self.id,
        )  # fmt: skip

    def _change(self, **changed: Any) -> Self:
        return self.model_copy(update={**changed, "revision": self.revision + 1})


def clip_sentence(text: str) -> str:
    r"""A sentence as it can be kept: PostgreSQL takes no NUL, and people no page.

    >>> clip_sentence("a\0b" + "c" * 2000)[-3:]
    'cc…'
    """
    plain = text.replace("\0", "")
    return plain if len(plain) <= MAX_SENTENCE_CHARACTERS else f"{plain[: MAX_SENTENCE_CHARACTERS - 1]}…"
