"""The command about the audit, and how commands that change something come to be in it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from loopcast.cli.opening import open_stores

if TYPE_CHECKING:
    from loopcast.stores.audit import Act, AuditEntry
    from loopcast.stores.opened import Stores


def audit(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Acts at most.")] = 20,
    before: Annotated[int | None, typer.Option(min=1, help="Show those before the one of this number.")] = None,
) -> None:
    """List who changed what, the latest first."""
    found = open_stores().audit.read(limit, before)
    for entry in found:
        for line in _describe(entry):
            typer.echo(line)
    if not found:
        typer.echo("nobody changed anything yet")


def record_act(stores: "Stores", act: "Act", subject: str, problem: str | None = None, **details: str) -> None:
    """Keep in the audit that the user of this machine did something."""
    from loopcast.stores.audit import AuditEntry
    from loopcast.stores.lineage import read_actor

    actor = read_actor(stores.settings)
    entry = AuditEntry(actor_id=actor, actor_name=actor, act=act, subject=subject, problem=problem, details=details)
    stores.audit.record(entry)


def _describe(entry: "AuditEntry") -> Iterator[str]:
    """A line about an act, and one with what else is known of it."""
    by = f"{entry.actor_name} ({entry.role})" if entry.role else f"{entry.actor_name} (command)"
    of = f" of {entry.problem}" if entry.problem else ""
    yield (
        f"{entry.position:>6}  {entry.at_utc:%Y-%m-%d %H:%M:%S} UTC  {entry.act.replace('_', ' '):<16} "
        f"{entry.subject}{of}, by {by}"
    )
    known = {"who": entry.actor_id} if entry.actor_id != entry.actor_name else {}
    known |= entry.details | ({"request": entry.request_id} if entry.request_id else {})
    if known:
        yield f"        - {', '.join(f'{name} {value}' for name, value in known.items())}"
