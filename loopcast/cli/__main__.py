"""`python -m loopcast.cli`, for where the `loopcast` command is not installed, as beside a baked service."""

from loopcast.cli import app

app()
