"""How Loopcast's tables came to be: alembic's environment, and one module for each step in `versions/`."""
