"""How pages speak of long queries: their kinds, their states, and what each asks."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from app.pages.figures import show_count
from loopcast.queries.kinds import QueryKind
from loopcast.queries.requests import Operation
from loopcast.stores.query import QueryState

KINDS: Final[Mapping[QueryKind, str]] = {
    QueryKind.EXPLANATION: "Explanation in detail",
    QueryKind.BACKTEST: "Test on the past",
    QueryKind.BULK_FORECAST: "Forecast of a file",
    QueryKind.WHAT_IF: "What if",
    QueryKind.PROMOTION: "Promotion",
    QueryKind.ROLLBACK: "Rollback",
    QueryKind.TRAINING: "Training",
}
STATES: Final[Mapping[QueryState, tuple[str, str]]] = {
    QueryState.QUEUED: ("Waiting", "plain"),
    QueryState.RUNNING: ("Running", "info"),
    QueryState.DONE: ("Done", "good"),
    QueryState.FAILED: ("Failed", "bad"),
    QueryState.CANCELLED: ("Stopped", "warn"),
}
"""In words, and the tone of their mark."""
OPERATIONS: Final[Mapping[str, str]] = {Operation.ADD: "plus", Operation.MULTIPLY: "times", Operation.SET: "set to"}


def describe_request(kind: QueryKind, request: Mapping[str, Any]) -> str:
    """What a query asks, in a few words.

    >>> describe_request(QueryKind.BACKTEST, {"series_id": "GOOG", "since": "2012-01-02", "until": None})
    'GOOG, from 2 Jan 2012'
    """
    match kind:
        case QueryKind.BACKTEST:
            return f"{request['series_id']}{_describe_range(request)}"
        case QueryKind.WHAT_IF:
            changes = (
                f"{each['column']} {OPERATIONS[each['operation']]} {each['value']:g} over the last "
                f"{show_count(each['last_n_steps'], 'step')}"
                for each in request["changes"]
            )
            return f"{request['series_id']}: {'; '.join(changes)}"
        case QueryKind.EXPLANATION:
            return str(request["series_id"])
        case QueryKind.BULK_FORECAST:
            return "an uploaded CSV"
        case QueryKind.PROMOTION:
            return f"version {request['version']}: {request['reason']}"
        case QueryKind.ROLLBACK | QueryKind.TRAINING:
            return str(request["reason"])


def describe_duration(begin: datetime | None, end: datetime | None) -> str:
    """How long something took; a dash where it has not ended.

    >>> describe_duration(datetime(2026, 1, 1, 9, 0), datetime(2026, 1, 1, 9, 3, 20))
    '3 min 20 s'
    """
    if begin is None or end is None:
        return "–"
    seconds = round((end - begin).total_seconds())
    if seconds < 1:
        return "under a second"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _describe_range(request: Mapping[str, Any]) -> str:
    since, until = (_show_date(request.get(name)) for name in ("since", "until"))
    return (f", from {since}" if since else "") + (f", to {until}" if until else "")


def _show_date(text: str | None) -> str:
    if not text:
        return ""
    day = date.fromisoformat(text)
    return f"{day.day} {day:%b %Y}"
