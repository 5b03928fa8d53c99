"""Messages on their way: written with what they tell of, sent afterwards, tried by any process until they arrive.

A message arrives at least once: a process that is killed between sending and noting it leaves it to be sent again,
under the same key. Which ways there are stands in `channels`.

Source: Richardson, Microservices Patterns (2018), section 3.3: the transactional outbox.
"""

import logging
import queue
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from pydantic import BaseModel

from loopcast.errors import StoreError
from loopcast.evidence.record import RECORD
from loopcast.stores.channels import Channel, DeliveryError
from loopcast.stores.conditions import Alert, AlertState
from loopcast.stores.database import Database
from loopcast.stores.messages import Message

PAUSES_S: Final = (0.0, 0.5, 1.5)
"""Before each attempt of one call: enough for a connection that was reset, little beside the time of a workflow."""
FIRST_WAIT_S: Final = 60.0
"""Between the first call that failed and the next that tries again; doubled by every further one."""
MAX_DOUBLINGS: Final = 6
"""So that the wait ends at about an hour, and a channel that is back is used within the hour."""
MAX_ATTEMPTS: Final = 60
"""Twenty calls: with the waits, most of a day of outage."""
MAX_AGE_DAYS: Final = 7
"""Nobody is helped by older news, which `loopcast alerts` still shows."""

POST: Final = "INSERT INTO loopcast.alert_deliveries (alert_id, news, channel) VALUES (%s, %s, %s)"
ABANDON_OLD: Final = f"""
    UPDATE loopcast.alert_deliveries SET state = 'abandoned' WHERE (alert_id, news, channel) IN (
        SELECT alert_id, news, channel FROM loopcast.alert_deliveries
        WHERE state = 'pending' AND created_at_utc < now() - interval '{MAX_AGE_DAYS} days' FOR UPDATE SKIP LOCKED
    )
"""  # noqa: S608
# A recovery waits until its alert was told, whoever is telling it at the moment.
TAKE_NEXT: Final = f"""
    SELECT {", ".join(f"alerts.{name}" for name in Alert.model_fields)},
        delivery.news, delivery.n_attempts, delivery.position
    FROM loopcast.alert_deliveries delivery JOIN loopcast.alerts ON alerts.id = delivery.alert_id
    WHERE delivery.channel = %(channel)s AND delivery.state = 'pending' AND delivery.position > %(after)s
        AND (delivery.next_attempt_at_utc <= now() OR %(is_urgent)s)
        AND NOT EXISTS (
            SELECT FROM loopcast.alert_deliveries before
            WHERE before.alert_id = delivery.alert_id AND before.channel = delivery.channel
                AND before.state = 'pending' AND before.position < delivery.position
        )
    ORDER BY delivery.position LIMIT 1 FOR UPDATE OF delivery SKIP LOCKED
"""  # noqa: S608  names from above
NOTE: Final = """
    UPDATE loopcast.alert_deliveries SET state = %(state)s, n_attempts = %(n_attempts)s, last_error = %(error)s,
        next_attempt_at_utc = clock_timestamp() + %(wait_s)s * interval '1 second',
        delivered_at_utc = CASE WHEN %(state)s = 'delivered' THEN clock_timestamp() END
    WHERE alert_id = %(alert_id)s AND news = %(news)s AND channel = %(channel)s
"""
SELECT: Final = """
    SELECT alert_id, news, channel, state, n_attempts, last_error, created_at_utc, delivered_at_utc
    FROM loopcast.alert_deliveries WHERE alert_id = ANY(%s) ORDER BY position
"""

log = logging.getLogger(__name__)


class DeliveryState(StrEnum):
    """Where a message to one channel stands; `docs/alerts.md` draws how it comes there."""

    PENDING = "pending"
    DELIVERED = "delivered"
    ABANDONED = "abandoned"


class Delivery(BaseModel):
    """One message on one channel."""

    model_config = RECORD

    alert_id: UUID
    news: AlertState
    channel: str
    state: DeliveryState
    n_attempts: int
    last_error: str | None
    """Of the last attempt; without addresses and secrets."""
    created_at_utc: datetime
    delivered_at_utc: datetime | None


@dataclass(frozen=True)
class Outbox:
    """Deliveries in PostgreSQL, and the channels that take them."""

    database: Database
    channels: Sequence[Channel]
    timeout_s: float
    """What one channel may cost one call of `send_pending`."""
    first_wait_s: float = FIRST_WAIT_S

    def post(self, connection: Connection[TupleRow], messages: Iterable[Message]) -> None:
        """Write messages to every channel in the transaction that is open, to be sent when it is committed."""
        rows = [
            (message.alert.id, str(message.news), channel.name) for message in messages for channel in self.channels
        ]
        connection.cursor().executemany(POST, rows)

    def send_pending(self, *, is_urgent: bool = False) -> None:
        """Send what waits, and note how it went; a database that is away leaves all as it is.

        Args:
            is_urgent: Whether to try now also what was tried a moment ago.
        """
        try:
            with self.database.connect() as connection:
                if n_old := connection.execute(ABANDON_OLD).rowcount:
                    log.error("%d messages were abandoned after %d days", n_old, MAX_AGE_DAYS)
                connection.commit()
                for channel in self.channels:
                    self._send_to(channel, connection, is_urgent=is_urgent)
        except (StoreError, psycopg.Error) as exc:
            log.warning("alerts wait for the next run, because the database failed: %s", type(exc).__name__)

    def deliveries(self, alert_ids: Sequence[UUID]) -> dict[UUID, tuple[Delivery, ...]]:
        """The messages about some alerts, in the order in which they were written."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            found = [Delivery.model_validate(row) for row in cursor.execute(SELECT, [list(alert_ids)])]
        return {alert_id: tuple(each for each in found if each.alert_id == alert_id) for alert_id in alert_ids}

    def _send_to(self, channel: Channel, connection: Connection[TupleRow], *, is_urgent: bool) -> None:
        """Send what waits for a channel until one message says that it is away, or its time is up."""
        deadline, position, is_reached = time.monotonic() + self.timeout_s, 0, True
        while is_reached and time.monotonic() < deadline:
            # The row stays locked while the message is sent: a second process passes it over, and a kill unlocks it.
            with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
                names = {"channel": channel.name, "after": position, "is_urgent": is_urgent}
                row = cursor.execute(TAKE_NEXT, names).fetchone()
                if row is None:
                    return
                position, news, n_before = row.pop("position"), AlertState(row.pop("news")), row.pop("n_attempts")
                message = Message(alert=Alert.model_validate(row), news=news)
                n_now, failure = attempt(channel, message, deadline)
                is_reached = failure is None or not failure.is_passing
                cursor.execute(NOTE, self._describe(channel, message, n_before + n_now, failure))

    def _describe(
        self, channel: Channel, message: Message, n_attempts: int, failure: DeliveryError | None
    ) -> dict[str, object]:
        """The row of a delivery after an attempt."""
        state = DeliveryState.DELIVERED if failure is None else DeliveryState.PENDING
        if failure is not None:
            if n_attempts >= MAX_ATTEMPTS:
                state = DeliveryState.ABANDONED
            log.warning("%s did not take %r, which is %s: %s", channel.name, message.title, state, failure)
        n_doublings = min(n_attempts // len(PAUSES_S), MAX_DOUBLINGS)
        return {
            "alert_id": message.alert.id, "news": str(message.news), "channel": channel.name, "state": str(state),
            "n_attempts": n_attempts, "error": None if failure is None else str(failure),
            "wait_s": self.first_wait_s * 2**n_doublings,
        }  # fmt: skip


def attempt(channel: Channel, message: Message, deadline: float) -> tuple[int, DeliveryError | None]:
    """Try to send a message a few times, and return how often it was tried and why it failed, None if it did not.

    Args:
        channel: Where to.
        message: What.
        deadline: On the clock of `time.monotonic`; no attempt lasts longer.
    """
    n_attempts, failure = 0, None
    for pause_s in PAUSES_S:
        if n_attempts and time.monotonic() + pause_s >= deadline:
            break
        time.sleep(pause_s)
        n_attempts += 1
        failure = _send_within(max(deadline - time.monotonic(), 0), channel, message)
        if failure is None or not failure.is_passing:
            break
    return n_attempts, failure


def _send_within(seconds: float, channel: Channel, message: Message) -> DeliveryError | None:
    """In a thread, because a name server or an answer that drips can outlast every timeout of a socket."""
    outcome: queue.SimpleQueue[DeliveryError | None] = queue.SimpleQueue()

    def send() -> None:
        try:
            channel.send(message, seconds)
            outcome.put(None)
        except DeliveryError as exc:
            outcome.put(exc)
        except Exception as exc:  # noqa: BLE001  the thread's boundary; its words are left out, they may hold a secret
            outcome.put(DeliveryError(f"failed by {type(exc).__name__}", is_passing=False))

    threading.Thread(target=send, daemon=True, name=f"alert-{channel.name}").start()
    try:
        return outcome.get(timeout=seconds)
    except queue.Empty:
        return DeliveryError(f"no answer within {seconds:.1f} s", is_passing=True)
