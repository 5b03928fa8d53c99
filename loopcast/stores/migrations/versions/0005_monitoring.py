"""What monitoring reads instead of forecasts: roll-ups, sums and tracks, and the marks of what is to be rolled up."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the tables, and the triggers that mark each hour in which a forecast or an actual has come or changed.

    A mark is written in the transaction of what it stands for, so that none is missed however late that commits.
    """
    op.execute("""
        CREATE INDEX ON loopcast.forecasts (problem, origin_utc);

        CREATE TABLE loopcast.rollup_marks (
            problem text NOT NULL,
            hour_utc timestamptz NOT NULL,
            n_forecasts bigint NOT NULL,
            last_target_utc timestamptz
        );
        CREATE INDEX ON loopcast.rollup_marks (problem);
        CREATE TABLE loopcast.forecast_hours (
            problem text,
            hour_utc timestamptz,
            n_forecasts bigint NOT NULL,
            last_target_utc timestamptz NOT NULL,
            PRIMARY KEY (problem, hour_utc)
        );
        CREATE TABLE loopcast.rollup_days_due (
            problem text,
            day_utc timestamptz,
            PRIMARY KEY (problem, day_utc)
        );

        CREATE TABLE loopcast.rollup_edges (
            problem text,
            model_version integer,
            column_name text,
            low double precision NOT NULL,
            high double precision NOT NULL,
            PRIMARY KEY (problem, model_version, column_name)
        );
        CREATE TABLE loopcast.rollups (
            problem text,
            hour_utc timestamptz,
            model_version integer,
            column_name text,
            n bigint NOT NULL,
            total double precision NOT NULL,
            squares double precision NOT NULL,
            minimum double precision NOT NULL,
            maximum double precision NOT NULL,
            counts bytea NOT NULL,
            PRIMARY KEY (problem, hour_utc, model_version, column_name),
            FOREIGN KEY (problem, model_version, column_name) REFERENCES loopcast.rollup_edges
        );
        ALTER TABLE loopcast.rollups ALTER counts SET STORAGE EXTERNAL;
        CREATE TABLE loopcast.step_sums (
            problem text,
            day_utc timestamptz,
            model_version integer,
            series_id text,
            horizon integer,
            n_steps double precision NOT NULL,
            n_judged double precision NOT NULL,
            loss double precision NOT NULL,
            baseline_loss double precision NOT NULL,
            loss_in_reaches double precision NOT NULL,
            baseline_loss_in_reaches double precision NOT NULL,
            n_covered_80 double precision NOT NULL,
            n_covered_95 double precision NOT NULL,
            absolute_error double precision NOT NULL,
            expected_loss double precision NOT NULL,
            expected_pending double precision NOT NULL,
            PRIMARY KEY (problem, day_utc, model_version, series_id, horizon)
        );
        CREATE TABLE loopcast.step_tracks (
            problem text,
            day_utc timestamptz,
            model_version integer,
            series_id text,
            origin_utc timestamptz,
            standardised_change double precision NOT NULL,
            log_deviation double precision NOT NULL,
            interval_width double precision NOT NULL,
            median_location double precision NOT NULL,
            PRIMARY KEY (problem, day_utc, model_version, series_id, origin_utc)
        );

        CREATE FUNCTION loopcast.mark_forecasts() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO loopcast.rollup_marks (problem, hour_utc, n_forecasts, last_target_utc)
            SELECT problem, date_bin('1 hour', origin_utc, 'epoch'), count(*),
                max(coalesce(target_utc[cardinality(target_utc)], origin_utc))
            FROM arrived GROUP BY 1, 2;
            RETURN NULL;
        END $$;
        CREATE TRIGGER mark_forecasts AFTER INSERT ON loopcast.forecasts
            REFERENCING NEW TABLE AS arrived EXECUTE FUNCTION loopcast.mark_forecasts();

        CREATE FUNCTION loopcast.mark_actuals() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO loopcast.rollup_marks (problem, hour_utc, n_forecasts)
            SELECT DISTINCT problem, date_bin('1 hour', timestamp_utc, 'epoch'), 0 FROM changed;
            RETURN NULL;
        END $$;
        CREATE TRIGGER mark_new AFTER INSERT ON loopcast.actuals
            REFERENCING NEW TABLE AS changed EXECUTE FUNCTION loopcast.mark_actuals();
        CREATE TRIGGER mark_corrected AFTER UPDATE ON loopcast.actuals
            REFERENCING NEW TABLE AS changed EXECUTE FUNCTION loopcast.mark_actuals();
        CREATE TRIGGER mark_deleted AFTER DELETE ON loopcast.actuals
            REFERENCING OLD TABLE AS changed EXECUTE FUNCTION loopcast.mark_actuals();

        INSERT INTO loopcast.rollup_marks (problem, hour_utc, n_forecasts, last_target_utc)
        SELECT problem, date_bin('1 hour', origin_utc, 'epoch'), count(*),
            max(coalesce(target_utc[cardinality(target_utc)], origin_utc))
        FROM loopcast.forecasts GROUP BY 1, 2;
    """)
