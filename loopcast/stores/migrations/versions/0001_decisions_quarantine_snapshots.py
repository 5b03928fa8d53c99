"""The first tables, for decisions about models, refused rows and snapshots of panels, and the tenants' schemas."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    op.execute("""
        CREATE SCHEMA IF NOT EXISTS mlflow;
        CREATE SCHEMA IF NOT EXISTS optuna;
        CREATE SCHEMA IF NOT EXISTS evidently;

        CREATE TABLE loopcast.decisions (
            id uuid PRIMARY KEY,
            position bigint GENERATED ALWAYS AS IDENTITY,
            problem text NOT NULL,
            kind text NOT NULL,
            model_version text NOT NULL,
            champion_before text,
            champion_after text,
            rule text NOT NULL,
            reasons text[] NOT NULL,
            figures jsonb NOT NULL,
            actor text NOT NULL,
            decided_at_utc timestamptz NOT NULL
        );
        CREATE INDEX ON loopcast.decisions (problem, position);

        CREATE TABLE loopcast.quarantine (
            problem text NOT NULL,
            ingest_id text NOT NULL,
            position bigint GENERATED ALWAYS AS IDENTITY,
            row_number bigint NOT NULL,
            series_id text,
            reason text NOT NULL,
            row_json text NOT NULL,
            kept_at_utc timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX ON loopcast.quarantine (problem, ingest_id, position);

        CREATE TABLE loopcast.snapshots (
            sha256 text,
            problem text,
            created_at_utc timestamptz NOT NULL DEFAULT now(),
            url text NOT NULL,
            n_rows bigint NOT NULL,
            n_series bigint NOT NULL,
            first_utc timestamptz NOT NULL,
            last_utc timestamptz NOT NULL,
            PRIMARY KEY (sha256, problem)
        );
    """)
