"""The monthly partitions of the table of forecasts: made when a month is first written, dropped when it is forgotten.

A month is that of the origins. Origins before 1970 or after 2099, which somebody may send, lie in two partitions that
the migration makes, so that nobody can have partitions made without end.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from psycopg import Connection, errors, sql
from psycopg.rows import TupleRow

from loopcast.errors import StoreError
from loopcast.stores.database import Database, lock

EDGES: Final = ("forecasts_before_1970", "forecasts_from_2100")
DROP_LOCK: Final = "forecast partitions/drop"
"""Shared by who writes, so that no partition goes before the end of a transaction that found it there."""
MAKE_LOCK: Final = "forecast partitions/make"
FORGET_LOCK: Final = "forecast partitions/forget"
MAX_WAIT: Final = "10s"
"""How long dropping a partition waits for who uses it; meanwhile others wait behind it."""
SHARE_LOCK = "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))"
FIND = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'loopcast.forecasts'::regclass ORDER BY 1"
FIND_MONTHS = sql.SQL("""
    SELECT to_char(month, 'YYYY_MM') FROM (
        SELECT DISTINCT date_trunc('month', origin_utc AT TIME ZONE 'UTC') AS month FROM {arrived}
        WHERE origin_utc >= '1970-01-01 00:00:00+00' AND origin_utc < '2100-01-01 00:00:00+00'
    ) AS months
""")
FIND_MISSING = "SELECT month FROM unnest(%s::text[]) AS month WHERE to_regclass('loopcast.forecasts_' || month) IS NULL"
# Attached, and not created in its place, because that takes a lock of which readers and writers notice nothing.
MAKE = sql.SQL("""
    CREATE TABLE loopcast.{partition} (LIKE loopcast.forecasts INCLUDING CONSTRAINTS);
    ALTER TABLE loopcast.forecasts ATTACH PARTITION loopcast.{partition} FOR VALUES FROM ({start}) TO ({end})
""")
IS_IN_USE = sql.SQL("SELECT EXISTS (SELECT FROM loopcast.{partition} WHERE issued_at_utc >= %s)")
COUNT = sql.SQL("SELECT count(*) FROM loopcast.{partition}")
DROP = sql.SQL("DROP TABLE loopcast.{partition}")
DELETE = sql.SQL("DELETE FROM loopcast.{partition} WHERE issued_at_utc < %s")


def hold_partitions(connection: Connection[TupleRow], database: Database, arrived: str) -> None:
    """See that every month of a table of arrived forecasts has a partition, and keeps it while this transaction lasts.

    Args:
        connection: Which sees the table.
        database: Where missing partitions are made, in a transaction of their own.
    """
    connection.execute(SHARE_LOCK, [DROP_LOCK])
    months = [month for (month,) in connection.execute(FIND_MONTHS.format(arrived=sql.Identifier(arrived)))]
    if connection.execute(FIND_MISSING, [months]).fetchone() is None:
        return
    with database.locked(MAKE_LOCK) as maker:
        for (name,) in maker.execute(FIND_MISSING, [months]).fetchall():
            year, month = map(int, name.split("_"))
            partition = sql.Identifier(f"forecasts_{name}")
            start, end = _start_of(year, month), _start_of(year + month // 12, month % 12 + 1)
            maker.execute(MAKE.format(partition=partition, start=start, end=end))


def forget_partitions(database: Database, issued_before_utc: datetime) -> int:
    """How many forecasts were forgotten: those of each month in which all were issued before a moment.

    Raises:
        StoreError: A month is written or read for longer than can be waited for.
    """
    with database.locked(FORGET_LOCK) as connection:
        partitions = [str(name).removeprefix("loopcast.") for (name,) in connection.execute(FIND)]
        return sum(_forget_partition(database, partition, issued_before_utc) for partition in partitions)


def begin_month(moment_utc: datetime, months_ago: int) -> datetime:
    """The beginning of the month that was so many months before that of a moment.

    >>> begin_month(datetime(2024, 3, 31, 12, tzinfo=UTC), 13)
    datetime.datetime(2023, 2, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    year, month = divmod(max(12, 12 * moment_utc.year + moment_utc.month - 1 - months_ago), 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def _forget_partition(database: Database, name: str, issued_before_utc: datetime) -> int:
    with database.connect() as connection:
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(MAX_WAIT))
        try:
            return _drop_or_delete(connection, name, issued_before_utc)
        except errors.LockNotAvailable as exc:
            raise StoreError(
                f"loopcast.{name} was in use for {MAX_WAIT}, needs a moment without a query to be dropped; "
                "forget again when the long query has ended"
            ) from exc


def _drop_or_delete(connection: Connection[TupleRow], name: str, issued_before_utc: datetime) -> int:
    partition = sql.Identifier(name)
    lock(connection, DROP_LOCK)
    if name in EDGES:
        return connection.execute(DELETE.format(partition=partition), [issued_before_utc]).rowcount
    if _ask(connection, IS_IN_USE.format(partition=partition), [issued_before_utc]):
        return 0
    n_forecasts = int(_ask(connection, COUNT.format(partition=partition)))
    connection.execute(DROP.format(partition=partition))
    return n_forecasts


def _start_of(year: int, month: int) -> sql.Literal:
    return sql.Literal(f"{year:04d}-{month:02d}-01 00:00:00+00")


def _ask(connection: Connection[TupleRow], question: sql.Composed, values: Sequence[object] = ()) -> Any:
    row = connection.execute(question, values).fetchone()
    return None if row is None else row[0]
