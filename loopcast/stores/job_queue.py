"""The queue by which workers come to queries: procrastinate's tables, in a PostgreSQL schema of their own.

A job is one attempt at a query. What became of the query stands in `loopcast.queries`, which `query_store` keeps. Here
is what both sides do by SQL, in transactions of ours; how a worker takes jobs stands in `job_worker`.
"""

from typing import Final
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow

from loopcast.stores.database import lock

SCHEMA: Final = "procrastinate"
QUEUE: Final = "queries"
TASK: Final = "answer_query"
STALLED_S: Final = 6.0
"""Seconds without a sign of life, three missed, after which a worker is taken for dead and others get its queries."""
DEFER: Final = f"""
    SELECT (procrastinate_defer_jobs_v1(ARRAY[ROW(
        '{QUEUE}', '{TASK}', 0, NULL, NULL, jsonb_build_object('query_id', %s::text),
        now() + nullif(%s, 0) * interval '1 s'
    )]::procrastinate_job_to_defer_v1[]))[1]
"""
COUNT_WORKERS: Final = f"""
    SELECT count(*) FROM {SCHEMA}.procrastinate_workers WHERE last_heartbeat > now() - %s * interval '1 s'
"""  # noqa: S608  a name from above
DELETE_DEAD_JOBS: Final = f"""
    DELETE FROM {SCHEMA}.procrastinate_jobs WHERE status = 'doing' AND NOT EXISTS (
        SELECT FROM {SCHEMA}.procrastinate_workers w
        WHERE w.id = worker_id AND w.last_heartbeat > now() - %s * interval '1 s'
    )
"""  # noqa: S608


def enter_schema(connection: Connection[TupleRow]) -> None:
    """Let procrastinate's functions and triggers find their tables until the transaction ends."""
    connection.execute(f"SET LOCAL search_path TO {SCHEMA}")


def defer_job(connection: Connection[TupleRow], query_id: UUID, delay_s: float = 0) -> int:
    """Queue an attempt at a query in the open transaction, and return the id of its job."""
    enter_schema(connection)
    row = connection.execute(DEFER, [query_id, delay_s]).fetchone()
    assert row is not None, "a job has an id"
    return int(row[0])


def count_workers(connection: Connection[TupleRow]) -> int:
    """Workers that gave a sign of life lately."""
    row = connection.execute(COUNT_WORKERS, [STALLED_S]).fetchone()
    assert row is not None, "a count is one row"
    return int(row[0])


def delete_dead_jobs(connection: Connection[TupleRow]) -> None:
    """Take from workers that give no sign of life what they held; what runs there is noticed to be lost."""
    lock(connection, "queries/dead jobs")
    enter_schema(connection)
    connection.execute(DELETE_DEAD_JOBS, [STALLED_S])
