"""Long queries, what is uploaded for them, and the queue by which workers come to them: procrastinate's own tables."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"

PROCRASTINATE = Path(__file__).parents[1] / "procrastinate"
"""Its SQL, one file for each step that we took, so that a step stays what it was whichever version is installed.

A later version brings files in its `sql/migrations`; those that are newer than our last step, put together in their
order, become the next file here, which a new revision runs as this one does.
"""


def upgrade() -> None:
    """Create the tables; those of the queue in a schema of their own, where the search path lets its functions look."""
    op.execute("""
        CREATE TABLE loopcast.queries (
            id uuid PRIMARY KEY,
            position bigint GENERATED ALWAYS AS IDENTITY,
            problem text NOT NULL,
            kind text NOT NULL,
            owner text NOT NULL,
            request json NOT NULL,
            state text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
            progress_ratio double precision NOT NULL,
            progress text NOT NULL,
            is_cancel_asked boolean NOT NULL,
            n_attempts integer NOT NULL,
            submitted_at_utc timestamptz NOT NULL,
            started_at_utc timestamptz,
            ended_at_utc timestamptz,
            reason text NOT NULL,
            result json,
            files text[] NOT NULL,
            idempotency_key text,
            retry_of uuid,
            job_id bigint NOT NULL,
            revision bigint NOT NULL,
            UNIQUE (owner, idempotency_key)
        );
        CREATE INDEX ON loopcast.queries (owner, position);
        CREATE INDEX ON loopcast.queries (position) WHERE state IN ('queued', 'running');
        CREATE INDEX ON loopcast.queries (ended_at_utc);

        CREATE TABLE loopcast.uploads (
            id uuid PRIMARY KEY,
            owner text NOT NULL,
            n_bytes bigint NOT NULL,
            sha256 text NOT NULL,
            uploaded_at_utc timestamptz NOT NULL
        );
        CREATE INDEX ON loopcast.uploads (owner, uploaded_at_utc);
        CREATE INDEX ON loopcast.uploads (uploaded_at_utc);
    """)
    op.execute("CREATE SCHEMA procrastinate; SET LOCAL search_path TO procrastinate")
    queue = (PROCRASTINATE / "3.10.sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(queue.replace("%", "%%"))
    op.execute("SET LOCAL search_path TO DEFAULT")
