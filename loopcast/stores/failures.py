"""Workflows that fail: told like any other condition, over once the same workflow succeeds."""

import logging
import re
import time
from datetime import UTC, datetime
from typing import Final

import psycopg

from loopcast.errors import StoreError
from loopcast.stores.channels import open_channels
from loopcast.stores.conditions import Alert, AlertSeverity, AlertState, Condition
from loopcast.stores.messages import Message, one_line
from loopcast.stores.opened import Stores
from loopcast.stores.outbox import attempt

FAILED_KIND: Final = "workflow_failed"
MAX_ERROR_CHARACTERS: Final = 500
"""Of an error in a message; the execution has the rest."""
MOST_OPEN: Final = 1000
"""Alerts of a problem that are looked through; the open ones come first."""
CREDENTIALS: Final = re.compile(r"://[^\s\"'<>]*@|(?<=[?&;\s])(?i:password|passwd|pwd|secret|token|key)=[^\s&;,\"']+")
"""What an error from outside may quote of an address or a connection string."""

log = logging.getLogger(__name__)


def tell_failure(stores: Stores, problem: str, workflow: str, error: str, link: str = "") -> None:
    """Tell people that a workflow failed, once until it succeeds; while the database is away, once for each failure.

    Args:
        stores: Of the run that failed.
        problem: Name of the problem.
        workflow: Its name.
        error: What it ended with, as its task or Flyte words it.
        link: The execution, where it has an address.
    """
    condition = Condition(
        kind=FAILED_KIND,
        subject=workflow,
        severity=AlertSeverity.CRITICAL,
        sentence=f"The {workflow} workflow failed: {summarize_error(error)}",
        link=link,
    )
    now, scope = datetime.now(UTC), _name_scope(workflow)
    try:
        stores.alerts.update(problem, scope, [condition], now)
    except (StoreError, psycopg.Error) as exc:
        log.warning("%s: the failure of %s could not be recorded: %s", problem, workflow, type(exc).__name__)
        alert = Alert(**dict(condition), problem=problem, scope=scope, raised_at_utc=now, last_seen_at_utc=now)
        message = Message(alert=alert, news=AlertState.RAISED)
        for channel in open_channels(stores.settings):
            _, failure = attempt(channel, message, time.monotonic() + stores.settings.alert_timeout_s)
            if failure is not None:
                log.warning("%s did not take %r, which is lost: %s", channel.name, message.title, failure)


def tell_success(stores: Stores, problem: str, workflow: str) -> None:
    """Tell people that a workflow which had failed works again; nothing if it had not."""
    stores.alerts.update(problem, _name_scope(workflow), [], datetime.now(UTC))


def is_failure_told(stores: Stores, problem: str, workflow: str, since_utc: datetime) -> bool:
    """Whether people know that a workflow failed since a moment."""
    alerts = (each.alert for each in stores.alerts.history(problem, limit=MOST_OPEN))
    return any(
        each.scope == _name_scope(workflow) and each.state is AlertState.RAISED and each.last_seen_at_utc >= since_utc
        for each in alerts
    )


def summarize_error(error: str) -> str:
    r"""What an error says, without the traceback and the credentials that Flyte or a library may put around it.

    >>> summarize_error("Trace:\n\n  File ...\nMessage:\n\n    StoreError: postgresql://ada:pw@h/d is\n away")
    'StoreError: postgresql://…@h/d is away'
    """
    sentence = one_line(CREDENTIALS.sub(_hide, error.rpartition("Message:\n")[2])) or "it gave no reason"
    return sentence if len(sentence) <= MAX_ERROR_CHARACTERS else f"{sentence[: MAX_ERROR_CHARACTERS - 1]}…"


def _hide(found: re.Match[str]) -> str:
    return "://…@" if found[0].startswith("://") else f"{found[0].partition('=')[0]}=…"


def _name_scope(workflow: str) -> str:
    return f"workflow {workflow}"
