"""Connections that a service keeps from one use to the next, because a new one costs more than most of what is read.

A server forks a process for each, which then learns the tables anew: together some ten milliseconds, where a page reads
for three.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, Full, LifoQueue
from typing import Final

import psycopg
from psycopg.rows import TupleRow

from loopcast.stores.database import Database

MAX_KEPT: Final = 8
"""As many as the service reads at once; beyond, a connection is closed after its use."""


@dataclass(frozen=True)
class KeptDatabase(Database):
    """The same database, for processes that ask it again and again; threads may share it."""

    idle: LifoQueue[psycopg.Connection[TupleRow]] = field(
        default_factory=lambda: LifoQueue(MAX_KEPT), repr=False, compare=False
    )

    @contextmanager
    def lend_connection(self) -> Iterator[psycopg.Connection[TupleRow]]:
        """See `Database`: one that was kept and still answers, or a new one; kept again unless something went wrong."""
        connection = self._take() or self.open_connection()
        try:
            yield connection
            connection.commit()
            self.idle.put_nowait(connection)
        except Full:
            connection.close()
        except BaseException:
            connection.close()  # with all that it has begun
            raise

    def close(self) -> None:
        """Close what is kept; whoever asks later gets a new one."""
        while (connection := self._pop()) is not None:
            connection.close()

    def _take(self) -> psycopg.Connection[TupleRow] | None:
        """A kept connection whose server still answers, None for none."""
        while (connection := self._pop()) is not None:
            try:
                connection.execute("SELECT 1")  # a fifth of a millisecond
            except psycopg.OperationalError:  # the server was started anew meanwhile
                connection.close()
            else:
                return connection
        return None

    def _pop(self) -> psycopg.Connection[TupleRow] | None:
        try:
            return self.idle.get_nowait()
        except Empty:
            return None


def keep_connections(database: Database) -> KeptDatabase:
    """The same database, with connections that are kept."""
    return KeptDatabase(database.url, database.embedded_folder)
