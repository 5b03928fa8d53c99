"""The command about the past: what was decided about a problem's models, what called for it, and what was done."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from loopcast.cli.opening import ProblemName, name_problems, open_stores
from loopcast.errors import StoreError

if TYPE_CHECKING:
    from loopcast.stores.actions import Action
    from loopcast.stores.decisions import Decision


class Entry(NamedTuple):
    """One row of the table, with the sentences below it."""

    at_utc: datetime
    kind: str
    version: str
    what: str
    sentences: tuple[str, ...]


def history(
    problem: ProblemName, limit: Annotated[int, typer.Option(min=1, help="Decisions and actions at most.")] = 20
) -> None:
    """List decisions about a problem's models, what called for them, and cool-downs, the latest first."""
    from loopcast.stores.action_log import ActionLog

    stores = open_stores()
    entries = [_describe_decision(each) for each in stores.decisions.history(problem, limit)]
    entries += [_describe_action(each) for each in ActionLog(stores.database).history(problem, limit)]
    if not entries:
        raise StoreError(f"{problem} has no decisions; {name_problems(stores)}")
    for entry in sorted(entries, key=lambda each: each.at_utc, reverse=True)[:limit]:
        for line in _write(entry):
            typer.echo(line)


def _describe_decision(decision: "Decision") -> Entry:
    change = f"champion {decision.champion_before or '-'} -> {decision.champion_after or '-'}"
    what = f"{change:<19} by {decision.actor}, rule {decision.rule}"
    return Entry(decision.decided_at_utc, decision.kind.value, decision.model_version, what, decision.reasons)


def _describe_action(action: "Action") -> Entry:
    figures = ", ".join(f"{name} {value:.4g}" for name, value in action.figures.items())
    what = f"{action.state:<19} for {action.day:%Y-%m-%d}{f': {figures}' if figures else ''}"
    sentences = tuple(each for each in (action.sentence, action.outcome) if each)
    return Entry(action.triggered_at_utc, action.kind.replace("_", "-"), str(action.model_version), what, sentences)


def _write(entry: Entry) -> Iterator[str]:
    yield f"{entry.at_utc:%Y-%m-%d %H:%M} UTC  {entry.kind:<10} version {entry.version:<4} {entry.what}"
    for sentence in entry.sentences:
        yield f"    - {sentence}"
