"""Long queries know what whoever asked is called: a decision that comes of one is read by people."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; of queries from before, and from services that do not know it yet, the id stands for the name."""
    op.execute("ALTER TABLE loopcast.queries ADD COLUMN asker_name text NOT NULL DEFAULT ''")
