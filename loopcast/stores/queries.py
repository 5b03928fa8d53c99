"""What a store of long queries does, and which new queries it takes, wherever it keeps them.

`query_store` keeps them in PostgreSQL, `query_memory` in the process. What a query is stands in `query`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from loopcast.errors import LoopcastError
from loopcast.stores.query import Query, QueryState


class KeyReusedError(LoopcastError):
    """An idempotency key came again, with something else."""


class TrainingOpenError(LoopcastError):
    """The problem is being trained already, or waits for it."""


class TooManyQueriesError(LoopcastError):
    """Its owner has as many open queries as one may have."""


@dataclass(frozen=True)
class QueueFigures:
    """How the queue is, for those who watch the service.

    Attributes:
        n_by_state: Queries that are kept, by state.
        oldest_waiting_s: Age of the oldest that no worker is at; 0 for none.
        n_workers: That are alive.
    """

    n_by_state: Mapping[QueryState, int]
    oldest_waiting_s: float
    n_workers: int


class Queries(Protocol):
    """Where queries are kept; whoever asks sees those of one owner only.

    The worker's part takes the id of the job that it holds, and answers None where the query has another by now.
    """

    def submit(self, query: Query, max_open: int) -> Query:
        """Keep a new query and queue it; the one that came before with the same key is returned instead.

        Raises:
            KeyReusedError: The query with this key asks something else.
            TooManyQueriesError: The owner has `max_open` open ones.
            TrainingOpenError: It is a training, and somebody's of the same problem is open.
        """

    def find(self, query_id: UUID, owner: str) -> Query | None:
        """The query of an owner, None for none."""

    def list_own(
        self, owner: str, problems: Collection[str] = (), limit: int = 100, before: UUID | None = None
    ) -> list[Query]:
        """The last queries of an owner, the latest first, without their results.

        Args:
            problems: Which are of interest; none for every one.
            before: A query of theirs, behind which the list goes on.
        """

    def find_changed(self, revisions: Mapping[UUID, int]) -> list[Query]:
        """Those of these queries that are not at these revisions any more, whosever they are."""

    def ask_cancel(self, query_id: UUID, owner: str) -> Query | None:
        """Ask for a stop, None where the owner has no such query.

        Raises:
            QueryEndedError: It has ended.
        """

    def count_workers(self) -> int:
        """Workers that are alive."""

    def measure_queue(self) -> QueueFigures:
        """How the queue is."""

    def begin(self, query_id: UUID, job_id: int) -> Query | None:
        """Take a queued query on."""

    def move(self, query_id: UUID, job_id: int, ratio: float, sentence: str) -> Query | None:
        """Tell how far a query is, and learn whether it is to stop."""

    def end(
        self,
        query_id: UUID,
        job_id: int,
        state: QueryState,
        *,
        reason: str = "",
        result: Mapping[str, Any] | None = None,
        files: Sequence[str] = (),
    ) -> Query | None:
        """Tell how a query ended."""

    def interrupt(self, query_id: UUID, job_id: int, why: str, *, is_counted: bool, delay_s: float = 0) -> Query | None:
        """Leave a query to the next worker."""

    def forget(self, before_utc: datetime, delete_files: Callable[[UUID], None]) -> int:
        """Delete the queries that ended before a moment, and return how many they were.

        Args:
            delete_files: Of a query; where it raises, none is deleted.
        """


def check_same(found: Query, query: Query) -> Query:
    """The query that came before with the same idempotency key.

    Raises:
        KeyReusedError: It asks something else.
    """
    if not found.asks_same(query):
        raise KeyReusedError(
            f"query {found.id} came with this Idempotency-Key and asks something else; take a new key for a new query"
        )
    return found


def check_open(n_open: int, max_open: int) -> None:
    """Return where an owner may have another open query.

    Raises:
        TooManyQueriesError: They may not.
    """
    if n_open >= max_open:
        raise TooManyQueriesError(
            f"found {n_open} of your queries open, needs fewer than {max_open}; wait for one to end, or cancel one"
        )


def check_trainings(open_ones: Sequence[Query]) -> None:
    """Return where nobody trains the problem.

    Args:
        open_ones: Trainings of it that wait or run, whosever they are.

    Raises:
        TrainingOpenError: Somebody does: two at once would train the same twice.
    """
    for each in open_ones:
        raise TrainingOpenError(
            f"{each.problem} is being trained already: {each.actor} asked for it at {each.submitted_at_utc:%H:%M} UTC, "
            f"and it is {each.state}; wait for its end"
        )
