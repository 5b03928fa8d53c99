"""A track record of one series reads its own sums, and not a row of every other series for each of them."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the index; the primary key begins with days, for monitoring, which reads all series of a few."""
    op.execute("CREATE INDEX ON loopcast.step_sums (problem, series_id, day_utc)")
