"""What monitoring remembers from day to day, and what it had done: the skill CUSUM, triggers and cool-downs."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables.

    The partial unique index says once more what `stores.actions` decides under a lock: of each kind one at a time.
    """
    op.execute("""
        CREATE TABLE loopcast.skill_days (
            problem text,
            as_of_utc timestamptz,
            model_version integer NOT NULL,
            watch json NOT NULL,
            PRIMARY KEY (problem, as_of_utc)
        );

        CREATE TABLE loopcast.actions (
            id uuid PRIMARY KEY,
            position bigint GENERATED ALWAYS AS IDENTITY,
            problem text NOT NULL,
            kind text NOT NULL CHECK (kind IN ('retrain', 'roll_back', 'cool_down')),
            state text NOT NULL CHECK (state IN ('due', 'running', 'done', 'failed', 'obsolete')),
            model_version integer NOT NULL,
            day date NOT NULL,
            as_of_utc timestamptz NOT NULL,
            sentence text NOT NULL,
            figures json NOT NULL,
            n_attempts integer NOT NULL,
            holder text NOT NULL,
            process text NOT NULL,
            lease_until_utc timestamptz,
            triggered_at_utc timestamptz NOT NULL,
            started_at_utc timestamptz,
            ended_at_utc timestamptz,
            outcome text NOT NULL,
            UNIQUE (problem, kind, model_version, day)
        );
        CREATE UNIQUE INDEX ON loopcast.actions (problem, kind) WHERE state IN ('due', 'running');
        CREATE INDEX ON loopcast.actions (problem, position);
    """)
