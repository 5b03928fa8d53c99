"""When the registry came to show a decision; until then it is to be completed."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the time, and take what was decided before for applied."""
    op.execute("""
        ALTER TABLE loopcast.decisions ADD COLUMN applied_at_utc timestamptz;
        UPDATE loopcast.decisions SET applied_at_utc = decided_at_utc;
    """)
