"""What people are told: conditions that were raised, and the deliveries of the messages about them."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables.

    The partial unique index says once more what `stores.alerts` decides under a lock: a condition is raised once.
    """
    op.execute("""
        CREATE TABLE loopcast.alerts (
            id uuid PRIMARY KEY,
            position bigint GENERATED ALWAYS AS IDENTITY,
            problem text NOT NULL,
            scope text NOT NULL,
            kind text NOT NULL,
            subject text NOT NULL,
            severity text NOT NULL CHECK (severity IN ('warning', 'critical')),
            sentence text NOT NULL,
            figures json NOT NULL,
            action text NOT NULL,
            link text NOT NULL,
            state text NOT NULL CHECK (state IN ('raised', 'recovered')),
            raised_at_utc timestamptz NOT NULL,
            last_seen_at_utc timestamptz NOT NULL,
            n_seen integer NOT NULL,
            recovered_at_utc timestamptz
        );
        CREATE UNIQUE INDEX ON loopcast.alerts (problem, scope, kind, subject) WHERE state = 'raised';
        CREATE INDEX ON loopcast.alerts (problem, scope, kind, subject, position);

        CREATE TABLE loopcast.alert_deliveries (
            alert_id uuid NOT NULL REFERENCES loopcast.alerts (id),
            news text NOT NULL CHECK (news IN ('raised', 'recovered')),
            channel text NOT NULL,
            position bigint GENERATED ALWAYS AS IDENTITY,
            state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'abandoned')),
            n_attempts integer NOT NULL DEFAULT 0,
            last_error text,
            created_at_utc timestamptz NOT NULL DEFAULT now(),
            next_attempt_at_utc timestamptz NOT NULL DEFAULT now(),
            delivered_at_utc timestamptz,
            PRIMARY KEY (alert_id, news, channel)
        );
        CREATE INDEX ON loopcast.alert_deliveries (channel, position) WHERE state = 'pending';
    """)
