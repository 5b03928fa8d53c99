"""What alembic runs for each upgrade: every step that is missing, in one transaction, while no other process does so.

`database` hands the connection in; there is no alembic.ini and no mode without a database.
"""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema="loopcast")
with context.begin_transaction():
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('loopcast migrations', 0))"))
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS loopcast"))
    context.run_migrations()
