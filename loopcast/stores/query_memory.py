"""Queries in this process, for tests and trials without a database; no worker comes to them by itself."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

from loopcast.queries.kinds import QueryKind
from loopcast.stores.queries import QueueFigures, check_open, check_same, check_trainings
from loopcast.stores.query import Query, QueryState


@dataclass(frozen=True)
class MemoryQueryStore:
    """`Queries` of this process.

    Attributes:
        kept: By id, the earliest first.
        jobs: Ids of jobs to come.
    """

    kept: dict[UUID, Query] = field(default_factory=dict)
    jobs: "count[int]" = field(default_factory=lambda: count(1))

    def submit(self, query: Query, max_open: int) -> Query:
        """See `Queries`."""
        own = [each for each in self.kept.values() if each.owner == query.owner]
        if query.idempotency_key is not None:
            for each in own:
                if each.idempotency_key == query.idempotency_key:
                    return check_same(each, query)
        check_open(sum(each.state.is_open for each in own), max_open)
        if query.kind is QueryKind.TRAINING:
            of_kind = (each for each in self.kept.values() if (each.problem, each.kind) == (query.problem, query.kind))
            check_trainings([each for each in of_kind if each.state.is_open])
        return self._keep(self._queue(query))

    def find(self, query_id: UUID, owner: str) -> Query | None:
        """See `Queries`."""
        found = self.kept.get(query_id)
        return found if found is not None and found.owner == owner else None

    def list_own(
        self, owner: str, problems: Collection[str] = (), limit: int = 100, before: UUID | None = None
    ) -> list[Query]:
        """See `Queries`."""
        own = [each for each in reversed(self.kept.values()) if each.owner == owner]
        if before is not None:
            places = [i for i, each in enumerate(own) if each.id == before]
            own = own[places[0] + 1 :] if places else []
        chosen = [each for each in own if not problems or each.problem in problems]
        return [each.model_copy(update={"result": None}) for each in chosen[:limit]]

    def find_changed(self, revisions: Mapping[UUID, int]) -> list[Query]:
        """See `Queries`."""
        found = (self.kept.get(query_id) for query_id in revisions)
        return [query for query in found if query is not None and query.revision > revisions[query.id]]

    def ask_cancel(self, query_id: UUID, owner: str) -> Query | None:
        """See `Queries`."""
        found = self.find(query_id, owner)
        return None if found is None else self._keep(found.cancel(datetime.now(UTC)))

    def count_workers(self) -> int:
        """See `Queries`."""
        return 0

    def measure_queue(self) -> QueueFigures:
        """See `Queries`."""
        now_utc = datetime.now(UTC)
        waits_s = [
            (now_utc - each.submitted_at_utc).total_seconds()
            for each in self.kept.values()
            if each.state is QueryState.QUEUED
        ]
        counts = Counter(each.state for each in self.kept.values())
        return QueueFigures({state: counts[state] for state in QueryState}, max(waits_s, default=0.0), n_workers=0)

    def begin(self, query_id: UUID, job_id: int) -> Query | None:
        """See `Queries`."""
        return self._change(query_id, job_id, QueryState.QUEUED, lambda query: query.begin(datetime.now(UTC)))

    def move(self, query_id: UUID, job_id: int, ratio: float, sentence: str) -> Query | None:
        """See `Queries`."""
        return self._change(query_id, job_id, QueryState.RUNNING, lambda query: query.move(ratio, sentence))

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
        """See `Queries`."""
        at_utc = datetime.now(UTC)
        return self._change(
            query_id,
            job_id,
            QueryState.RUNNING,
            lambda query: query.end(state, at_utc, reason=reason, result=result, files=files),
        )

    def interrupt(self, query_id: UUID, job_id: int, why: str, *, is_counted: bool, delay_s: float = 0) -> Query | None:
        """See `Queries`."""

        def interrupt(query: Query) -> Query:
            changed = query.interrupt(why, datetime.now(UTC), is_counted=is_counted)
            return self._queue(changed) if changed.state is QueryState.QUEUED else changed

        return self._change(query_id, job_id, QueryState.RUNNING, interrupt)

    def forget(self, before_utc: datetime, delete_files: Callable[[UUID], None]) -> int:
        """See `Queries`."""
        old = [
            each.id for each in self.kept.values() if each.ended_at_utc is not None and each.ended_at_utc < before_utc
        ]
        for query_id in old:
            delete_files(query_id)
            del self.kept[query_id]
        return len(old)

    def _change(self, query_id: UUID, job_id: int, state: QueryState, how: Callable[[Query], Query]) -> Query | None:
        found = self.kept.get(query_id)
        if found is None or (found.job_id, found.state) != (job_id, state):
            return None
        return self._keep(how(found))

    def _queue(self, query: Query) -> Query:
        return query.model_copy(update={"job_id": next(self.jobs)})

    def _keep(self, query: Query) -> Query:
        self.kept[query.id] = query
        return query
