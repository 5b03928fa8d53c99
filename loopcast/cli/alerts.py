"""The command about alerts: which there are, and whether anybody was told."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from loopcast.cli.opening import ProblemName, name_problems, open_stores
from loopcast.errors import StoreError

if TYPE_CHECKING:
    from loopcast.stores.alerts import AlertHistory
    from loopcast.stores.opened import Stores


def alerts(
    problem: ProblemName,
    limit: Annotated[int, typer.Option(help="Alerts at most.")] = 20,
    send: Annotated[bool, typer.Option("--send", help="Try now to send what has not arrived.")] = False,
) -> None:
    """Show a problem's alerts, the open ones first, and whether people were told."""
    for line in list_alerts(open_stores(), problem, limit, is_resent=send):
        typer.echo(line)


def list_alerts(stores: "Stores", problem: str, limit: int, *, is_resent: bool = False) -> Iterator[str]:
    """The lines about the open alerts of a problem, and then the last ones that are over.

    Args:
        stores: Where they are kept.
        problem: Name of the problem.
        limit: Alerts at most.
        is_resent: Whether to try first to send, on every channel, what has not arrived yet.

    Raises:
        StoreError: Nobody knows the problem.
    """
    if is_resent:
        stores.alerts.outbox.send_pending(is_urgent=True)
    found = stores.alerts.history(problem, limit)
    if not found and problem not in stores.decisions.problems():
        raise StoreError(f"{problem} has no alerts; {name_problems(stores)}")
    if not found:
        yield f"{problem}: no alerts"
    for episode in found:
        yield from describe_episode(episode)


def describe_episode(episode: "AlertHistory") -> Iterator[str]:
    """A line about an alert, one with what was wrong, and one for each message about it."""
    alert = episode.alert
    ended = f"{alert.recovered_at_utc:%Y-%m-%d %H:%M}" if alert.recovered_at_utc else "now"
    yield (
        f"{alert.state:<9}  {alert.severity:<8}  {alert.raised_at_utc:%Y-%m-%d %H:%M} to {ended:<16} UTC  "
        f"{alert.kind.replace('_', ' ')}{f' ({alert.subject})' if alert.subject else ''}, seen {alert.n_seen} x"
    )
    yield f"    - {alert.sentence}"
    if alert.action:
        yield f"    - {alert.action}"
    if not episode.deliveries:
        yield "    no channel was set: nobody was told"
    for each in episode.deliveries:
        error = f": {each.last_error}" if each.last_error else ""
        yield f"    {each.news} by {each.channel}: {each.state}, {each.n_attempts} attempts{error}"
