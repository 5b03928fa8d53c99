"""The memory of what people are told: episodes of conditions, each with the deliveries of its messages.

How a condition begins and ends stands in `conditions`, what is said in `messages`, how it gets to people in `outbox`.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import Json

from loopcast.settings import Settings
from loopcast.stores.channels import open_channels
from loopcast.stores.conditions import (
    NO_LINGER,
    Alert,
    AlertChanges,
    AlertState,
    Condition,
    Key,
    compare_conditions,
)
from loopcast.stores.database import Database
from loopcast.stores.messages import Message
from loopcast.stores.outbox import Delivery, Outbox

COLUMNS: Final = tuple(Alert.model_fields)
NAMES: Final = ", ".join(COLUMNS)
INSERT: Final = f"INSERT INTO loopcast.alerts ({NAMES}) VALUES ({', '.join(f'%({name})s' for name in COLUMNS)})"  # noqa: S608
UPDATE: Final = """
    UPDATE loopcast.alerts SET state = %(state)s, last_seen_at_utc = %(last_seen_at_utc)s, n_seen = %(n_seen)s,
        recovered_at_utc = %(recovered_at_utc)s
    WHERE id = %(id)s
"""
SELECT_LATEST: Final = f"""
    SELECT DISTINCT ON (kind, subject) {NAMES} FROM loopcast.alerts
    WHERE problem = %s AND scope = %s ORDER BY kind, subject, position DESC
"""  # noqa: S608
SELECT_HISTORY: Final = f"""
    SELECT {NAMES} FROM loopcast.alerts WHERE problem = %s
    ORDER BY (state = 'raised') DESC, position DESC LIMIT %s
"""  # noqa: S608

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AlertHistory:
    """One episode, and how its messages fared."""

    alert: Alert
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True)
class AlertStore:
    """Alerts in PostgreSQL, and the channels by which people are told about them."""

    database: Database
    outbox: Outbox

    def update(
        self,
        problem: str,
        scope: str,
        conditions: Iterable[Condition],
        at_utc: datetime,
        linger: Mapping[str, timedelta] = NO_LINGER,
    ) -> AlertChanges:
        """Remember what a scope finds wrong, tell people what is new and what is over, and return both.

        Two processes that report the same at once raise it once. A channel that fails is tried again by whoever
        reports next, and never raises here.

        Args:
            problem: Name of the problem.
            scope: Who looked, such as one monitor; an open condition that it does not name has recovered.
            conditions: All that it found wrong; none for nothing.
            at_utc: The moment that it looked at.
            linger: As `compare_conditions` takes it.

        Raises:
            StoreError: The database does not answer.
            ValueError: A condition is named twice.
        """
        with self.database.locked(f"alerts {problem} {scope}") as connection:
            latest = _read_latest(connection, problem, scope)
            changes = compare_conditions(problem, scope, conditions, latest, at_utc, linger)
            for alert in changes.raised:
                connection.execute(INSERT, _row(alert))
            for alert in (*changes.seen, *changes.recovered):
                connection.execute(UPDATE, _row(alert))
            messages = [Message(alert=alert, news=alert.state) for alert in (*changes.raised, *changes.recovered)]
            self.outbox.post(connection, messages)
        for message in messages:
            self._log(message)
        self.outbox.send_pending()
        return changes

    def history(self, problem: str, limit: int = 20) -> list[AlertHistory]:
        """The episodes of a problem with their deliveries: those that are open first, then the latest."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            alerts = [Alert.model_validate(row) for row in cursor.execute(SELECT_HISTORY, [problem, limit])]
        deliveries = self.outbox.deliveries([alert.id for alert in alerts])
        return [AlertHistory(alert, deliveries.get(alert.id, ())) for alert in alerts]

    def _log(self, message: Message) -> None:
        """Whoever watches a run sees its alerts, also where they go nowhere else."""
        rest = "" if self.outbox.channels else "; no channel is set, so nobody is told: docs/alerts.md names them"
        level = logging.WARNING if message.news is AlertState.RAISED else logging.INFO
        log.log(level, "%s: %s%s", message.title, message.alert.sentence, rest)


def open_alerts(settings: Settings, database: Database) -> AlertStore:
    """The alerts of a database, told through the channels that the settings name."""
    return AlertStore(database, Outbox(database, open_channels(settings), settings.alert_timeout_s))


def _read_latest(connection: Connection[TupleRow], problem: str, scope: str) -> dict[Key, Alert]:
    """The last episode of each condition of a scope."""
    with connection.cursor(row_factory=dict_row) as cursor:
        alerts = [Alert.model_validate(row) for row in cursor.execute(SELECT_LATEST, [problem, scope])]
    return {alert.key: alert for alert in alerts}


def _row(alert: Alert) -> dict[str, object]:
    row: dict[str, object] = json.loads(alert.model_dump_json())
    return row | {"figures": Json(row["figures"])}
