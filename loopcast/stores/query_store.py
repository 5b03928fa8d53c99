"""Queries in PostgreSQL: a row each, and in the same transaction the job by which a worker comes to it.

A query and its job are written together, so that none waits for nothing; and a worker writes only while the query
still has the worker's job, so that one that was taken for dead, and is not, changes nothing.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import Json

from loopcast.queries.kinds import QueryKind
from loopcast.stores.database import Database, lock
from loopcast.stores.job_queue import STALLED_S, count_workers, defer_job, delete_dead_jobs
from loopcast.stores.queries import QueueFigures, check_open, check_same, check_trainings
from loopcast.stores.query import Query, QueryState

COLUMNS: Final = tuple(Query.model_fields)
NAMES: Final = ", ".join(COLUMNS)
NAMES_WITHOUT_RESULT: Final = ", ".join("NULL AS result" if name == "result" else name for name in COLUMNS)
INSERT: Final = f"INSERT INTO loopcast.queries ({NAMES}) VALUES ({', '.join(f'%({n})s' for n in COLUMNS)})"  # noqa: S608
UPDATE: Final = f"UPDATE loopcast.queries SET {', '.join(f'{n} = %({n})s' for n in COLUMNS)} WHERE id = %(id)s"  # noqa: S608
SELECT: Final = f"SELECT {NAMES} FROM loopcast.queries WHERE id = %s AND owner = %s"  # noqa: S608
SELECT_KEY: Final = f"SELECT {NAMES} FROM loopcast.queries WHERE owner = %s AND idempotency_key = %s"  # noqa: S608
SELECT_JOB: Final = f"""
    SELECT {NAMES} FROM loopcast.queries WHERE id = %s AND job_id = %s AND state = %s FOR UPDATE
"""  # noqa: S608
COUNT_OPEN: Final = "SELECT count(*) FROM loopcast.queries WHERE owner = %s AND state IN ('queued', 'running')"
SELECT_TRAININGS: Final = f"""
    SELECT {NAMES} FROM loopcast.queries WHERE problem = %s AND kind = %s AND state IN ('queued', 'running')
"""  # noqa: S608
SELECT_OWN: Final = f"""
    SELECT {NAMES_WITHOUT_RESULT} FROM loopcast.queries q
    WHERE owner = %(owner)s AND (cardinality(%(problems)s::text[]) = 0 OR problem = ANY(%(problems)s)) AND (
        %(before)s::uuid IS NULL
        OR position < (SELECT position FROM loopcast.queries WHERE id = %(before)s AND owner = %(owner)s)
    )
    ORDER BY position DESC LIMIT %(limit)s
"""  # noqa: S608
SELECT_CHANGED: Final = f"""
    SELECT {NAMES} FROM loopcast.queries
    JOIN unnest(%s::uuid[], %s::bigint[]) AS seen (seen_id, seen_revision) ON id = seen_id AND revision > seen_revision
"""  # noqa: S608
SELECT_LOST: Final = f"""
    SELECT {NAMES} FROM loopcast.queries q
    WHERE state IN ('queued', 'running') AND NOT EXISTS (
        SELECT FROM procrastinate.procrastinate_jobs j WHERE j.id = q.job_id AND (
            j.status = 'todo' AND q.state = 'queued'
            OR j.status = 'doing' AND (q.state = 'running' OR EXISTS (
                SELECT FROM procrastinate.procrastinate_events e
                WHERE e.job_id = j.id AND e.type = 'started' AND e.at > now() - %s * interval '1 s'
            ))
        )
    )
    FOR UPDATE OF q SKIP LOCKED
"""  # noqa: S608  a job that a worker fetched long ago, and never began with, was lost on its way there
MEASURE: Final = """
    SELECT state, count(*), extract(epoch FROM now() - min(submitted_at_utc))::float8
    FROM loopcast.queries GROUP BY state
"""
FORGET: Final = "DELETE FROM loopcast.queries WHERE ended_at_utc < %s RETURNING id"
DIED: Final = "the worker that was at it ended without a word; it may need more memory than there is"


@dataclass(frozen=True)
class QueryStore:
    """`Queries` in PostgreSQL."""

    database: Database

    def submit(self, query: Query, max_open: int) -> Query:
        """See `Queries`."""
        with self.database.locked(f"queries/{query.owner}") as connection:
            found = _read(connection, SELECT_KEY, [query.owner, query.idempotency_key])
            if found:
                return check_same(found[0], query)
            [(n_open,)] = connection.execute(COUNT_OPEN, [query.owner])
            check_open(int(n_open), max_open)
            if query.kind is QueryKind.TRAINING:
                lock(connection, f"trainings/{query.problem}")
                check_trainings(_read(connection, SELECT_TRAININGS, [query.problem, query.kind]))
            return _insert(connection, query)

    def find(self, query_id: UUID, owner: str) -> Query | None:
        """See `Queries`."""
        with self.database.connect() as connection:
            return next(iter(_read(connection, SELECT, [query_id, owner])), None)

    def list_own(
        self, owner: str, problems: Collection[str] = (), limit: int = 100, before: UUID | None = None
    ) -> list[Query]:
        """See `Queries`."""
        given = {"owner": owner, "problems": list(problems), "limit": limit, "before": before}
        with self.database.connect() as connection:
            return _read(connection, SELECT_OWN, given)

    def find_changed(self, revisions: Mapping[UUID, int]) -> list[Query]:
        """See `Queries`."""
        with self.database.connect() as connection:
            return _read(connection, SELECT_CHANGED, [list(revisions), list(revisions.values())])

    def ask_cancel(self, query_id: UUID, owner: str) -> Query | None:
        """See `Queries`."""
        return self._change(f"{SELECT} FOR UPDATE", [query_id, owner], lambda query: query.cancel(datetime.now(UTC)))

    def count_workers(self) -> int:
        """See `Queries`."""
        with self.database.connect() as connection:
            return count_workers(connection)

    def measure_queue(self) -> QueueFigures:
        """See `Queries`."""
        with self.database.connect() as connection:
            found = {QueryState(state): (int(n), float(age_s)) for state, n, age_s in connection.execute(MEASURE)}
            return QueueFigures(
                n_by_state={state: found.get(state, (0, 0.0))[0] for state in QueryState},
                oldest_waiting_s=found.get(QueryState.QUEUED, (0, 0.0))[1],
                n_workers=count_workers(connection),
            )

    def begin(self, query_id: UUID, job_id: int) -> Query | None:
        """See `Queries`."""
        return self._change(
            SELECT_JOB, [query_id, job_id, QueryState.QUEUED], lambda query: query.begin(datetime.now(UTC))
        )

    def move(self, query_id: UUID, job_id: int, ratio: float, sentence: str) -> Query | None:
        """See `Queries`."""
        return self._change(
            SELECT_JOB, [query_id, job_id, QueryState.RUNNING], lambda query: query.move(ratio, sentence)
        )

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
        return self._change(
            SELECT_JOB,
            [query_id, job_id, QueryState.RUNNING],
            lambda query: query.end(state, datetime.now(UTC), reason=reason, result=result, files=files),
        )

    def interrupt(self, query_id: UUID, job_id: int, why: str, *, is_counted: bool, delay_s: float = 0) -> Query | None:
        """See `Queries`."""
        with self.database.connect() as connection:
            found = _read(connection, SELECT_JOB, [query_id, job_id, QueryState.RUNNING])
            return _interrupt(connection, found[0], why, is_counted, delay_s) if found else None

    def restart_lost(self) -> list[Query]:
        """Give to others what workers hold that are dead, and return it as it is now."""
        with self.database.connect() as connection:
            delete_dead_jobs(connection)
            lost = _read(connection, SELECT_LOST, [STALLED_S])
            return [_interrupt(connection, query, DIED, query.state is QueryState.RUNNING, 0) for query in lost]

    def forget(self, before_utc: datetime, delete_files: Callable[[UUID], None]) -> int:
        """See `Queries`."""
        with self.database.connect() as connection:
            old = [query_id for (query_id,) in connection.execute(FORGET, [before_utc])]
            for query_id in old:
                delete_files(query_id)
        return len(old)

    def _change(self, select: str, given: Sequence[object], how: Callable[[Query], Query]) -> Query | None:
        """The query that is found, changed; None where there is none."""
        with self.database.connect() as connection:
            found = _read(connection, select, given)
            if not found:
                return None
            changed = how(found[0])
            if changed is not found[0]:
                connection.execute(UPDATE, _row(changed))
            return changed


def _insert(connection: Connection[TupleRow], query: Query) -> Query:
    queued = query.model_copy(update={"job_id": defer_job(connection, query.id)})
    connection.execute(INSERT, _row(queued))
    return queued


def _interrupt(connection: Connection[TupleRow], query: Query, why: str, is_counted: bool, delay_s: float) -> Query:
    changed = query.interrupt(why, datetime.now(UTC), is_counted=is_counted)
    if changed.state is QueryState.QUEUED:
        changed = changed.model_copy(update={"job_id": defer_job(connection, query.id, delay_s)})
    connection.execute(UPDATE, _row(changed))
    return changed


def _read(connection: Connection[TupleRow], select: str, given: Any) -> list[Query]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return [Query.model_validate(row) for row in cursor.execute(select, given)]


def _row(query: Query) -> dict[str, object]:
    row: dict[str, object] = json.loads(query.model_dump_json())
    return row | {"request": Json(row["request"]), "result": None if row["result"] is None else Json(row["result"])}
