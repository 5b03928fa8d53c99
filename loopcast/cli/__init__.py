"""The `loopcast` command: what an operator asks of the stores from a shell. Training runs through `pyflyte run`.

Each module holds the commands of one subject; what a command needs is imported in it, so that none pays for another.
"""

import sys

import typer

from loopcast.cli.alerts import alerts
from loopcast.cli.audit import audit
from loopcast.cli.forecasts import forecasts, forget, lineage
from loopcast.cli.history import history
from loopcast.cli.models import check, demote, migrate, quarantine, versions
from loopcast.cli.tokens import tokens
from loopcast.errors import LoopcastError

commands = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for command in (check, migrate, versions, history, quarantine, demote, audit, alerts, forecasts, lineage, forget):
    commands.command()(command)
commands.add_typer(tokens)


def app() -> None:
    """Run a command; an error that a person can put right is one sentence, not a traceback."""
    try:
        commands()
    except LoopcastError as exc:
        typer.echo(f"loopcast: {exc}", err=True)
        sys.exit(1)
