"""What the desk reads of the past: errors beside persistence's, and what each look of monitoring came to."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns, and let every day be added up anew; days whose forecasts were forgotten stay without."""
    op.execute("""
        ALTER TABLE loopcast.step_sums ADD COLUMN persistence_error double precision;
        INSERT INTO loopcast.rollup_days_due (problem, day_utc)
        SELECT DISTINCT problem, day_utc FROM loopcast.step_sums ON CONFLICT DO NOTHING;

        ALTER TABLE loopcast.skill_days ADD COLUMN looked_at_utc timestamptz;
        ALTER TABLE loopcast.skill_days ALTER COLUMN looked_at_utc SET DEFAULT now();
        ALTER TABLE loopcast.skill_days ADD COLUMN summary json;
    """)
