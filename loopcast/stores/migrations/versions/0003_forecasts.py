"""The memory of every forecast: model versions with their lineage, forecasts, actuals, and who may ask for them."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables, and the views that join a forecast with what came true and with where it came from.

    Forecasts lie in one partition for each month of their origin, which `stores.partitions` makes and drops. By origin,
    and not by the time of writing, because that is part of what a forecast is: the same one, written twice, is found.
    """
    op.execute("""
        ALTER TABLE loopcast.snapshots ADD COLUMN last_recorded_at_utc timestamptz NOT NULL DEFAULT now();
        UPDATE loopcast.snapshots SET last_recorded_at_utc = created_at_utc;

        CREATE TABLE loopcast.model_versions (
            problem text,
            version integer,
            candidate text NOT NULL,
            run_id text NOT NULL,
            weights_sha256 text NOT NULL,
            snapshot_sha256 text NOT NULL,
            git_commit text,
            is_git_dirty boolean,
            execution_id text,
            execution_url text,
            transform text NOT NULL,
            quantile_levels double precision[] NOT NULL,
            trained_until_utc timestamptz NOT NULL,
            registered_at_utc timestamptz NOT NULL,
            PRIMARY KEY (problem, version)
        );

        CREATE TABLE loopcast.forecasts (
            id uuid NOT NULL,
            problem text NOT NULL,
            series_id text NOT NULL,
            origin_utc timestamptz NOT NULL,
            model_version integer NOT NULL,
            source text NOT NULL CHECK (source IN ('online', 'batch', 'replay')),
            origin_value double precision NOT NULL,
            ewma_deviation double precision NOT NULL,
            target_utc timestamptz[] NOT NULL,
            quantiles double precision[] NOT NULL,
            features_digest bytea NOT NULL,
            request_id text NOT NULL,
            issued_at_utc timestamptz NOT NULL,
            PRIMARY KEY (id, origin_utc)
        ) PARTITION BY RANGE (origin_utc);
        CREATE INDEX ON loopcast.forecasts (problem, series_id, origin_utc);
        CREATE TABLE loopcast.forecasts_before_1970 PARTITION OF loopcast.forecasts
            FOR VALUES FROM (MINVALUE) TO ('1970-01-01 00:00:00+00');
        CREATE TABLE loopcast.forecasts_from_2100 PARTITION OF loopcast.forecasts
            FOR VALUES FROM ('2100-01-01 00:00:00+00') TO (MAXVALUE);

        CREATE TABLE loopcast.actuals (
            problem text,
            series_id text,
            timestamp_utc timestamptz,
            actual double precision NOT NULL,
            first_known_at_utc timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (problem, series_id, timestamp_utc)
        );
        CREATE TABLE loopcast.actual_corrections (
            problem text NOT NULL,
            series_id text NOT NULL,
            timestamp_utc timestamptz NOT NULL,
            actual_before double precision NOT NULL,
            actual_after double precision NOT NULL,
            corrected_at_utc timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX ON loopcast.actual_corrections (problem, series_id, timestamp_utc);

        CREATE TABLE loopcast.tokens (
            id uuid PRIMARY KEY,
            name text NOT NULL,
            owner text NOT NULL,
            role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
            problems text[] NOT NULL,
            secret_sha256 bytea NOT NULL UNIQUE,
            created_at_utc timestamptz NOT NULL DEFAULT now(),
            expires_at_utc timestamptz,
            revoked_at_utc timestamptz
        );

        -- Where the target is modelled in logs its history is rescaled at every split and dividend: the actual is put
        -- on the scale that the origin had when the forecast was made.
        CREATE VIEW loopcast.forecast_steps AS
            SELECT f.id, f.problem, f.series_id, f.origin_utc, f.model_version, f.source, f.issued_at_utc,
                step.horizon::integer AS horizon, step.target_utc, f.origin_value, f.ewma_deviation,
                ARRAY(SELECT unnest(f.quantiles[step.horizon:step.horizon])) AS quantiles,
                CASE WHEN m.transform = 'log' AND origin.actual > 0
                    THEN target.actual * (f.origin_value / origin.actual) ELSE target.actual END AS actual,
                target.first_known_at_utc
            FROM loopcast.forecasts f
            CROSS JOIN LATERAL unnest(f.target_utc) WITH ORDINALITY AS step (target_utc, horizon)
            LEFT JOIN loopcast.model_versions m ON m.problem = f.problem AND m.version = f.model_version
            LEFT JOIN loopcast.actuals target
                ON target.problem = f.problem AND target.series_id = f.series_id
                AND target.timestamp_utc = step.target_utc
            LEFT JOIN loopcast.actuals origin
                ON origin.problem = f.problem AND origin.series_id = f.series_id
                AND origin.timestamp_utc = f.origin_utc;

        CREATE VIEW loopcast.forecast_lineage AS
            SELECT f.id, f.problem, f.series_id, f.origin_utc, f.source, f.request_id, f.issued_at_utc,
                f.features_digest, f.model_version, m.candidate, m.weights_sha256, m.run_id, m.execution_id,
                m.execution_url, m.git_commit, m.is_git_dirty, m.snapshot_sha256, s.url AS snapshot_url,
                m.trained_until_utc, m.registered_at_utc
            FROM loopcast.forecasts f
            LEFT JOIN loopcast.model_versions m ON m.problem = f.problem AND m.version = f.model_version
            LEFT JOIN loopcast.snapshots s ON s.sha256 = m.snapshot_sha256 AND s.problem = f.problem;
    """)
