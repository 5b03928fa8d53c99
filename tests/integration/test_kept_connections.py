"""Connections that are kept: used again while they are good, and never after something went wrong."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import psycopg
import pytest

from loopcast.errors import StoreError
from loopcast.stores.database import Database
from loopcast.stores.kept_connections import MAX_KEPT, KeptDatabase, keep_connections

PID = "SELECT pg_backend_pid()"


@pytest.fixture
def kept(database: Database) -> Iterator[KeptDatabase]:
    """The shared database, with connections that are kept."""
    kept = keep_connections(database)
    yield kept
    kept.close()


def ask_pid(kept: KeptDatabase) -> int:
    """The server's process behind a connection."""
    with kept.connect() as connection:
        [(pid,)] = connection.execute(PID)
    return pid


def end(database: Database, pid: int) -> None:
    """Let the server end one of its processes."""
    with database.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])


def test_one_use_after_the_other_shares_a_connection(kept: KeptDatabase):
    """The server starts no process for the second."""
    assert ask_pid(kept) == ask_pid(kept)


def test_what_one_use_wrote_the_next_and_others_see(kept: KeptDatabase, database: Database):
    """Each use is a transaction of its own."""
    ingest = uuid4().hex
    with kept.connect() as connection:
        connection.execute(
            "INSERT INTO loopcast.quarantine VALUES ('kept', %s, DEFAULT, 0, 's', 'why', '{}')", [ingest]
        )

    with database.connect() as connection:
        found = connection.execute("SELECT count(*) FROM loopcast.quarantine WHERE ingest_id = %s", [ingest]).fetchone()
    assert found == (1,)


def test_after_a_failure_the_connection_is_not_used_again(kept: KeptDatabase):
    """Whatever it had begun is undone, a lock let go of, and the next use gets a new one."""
    before = ask_pid(kept)

    def fail() -> None:
        with kept.locked("kept") as connection:
            connection.execute("SELECT 1 / 0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        fail()
    with kept.locked("kept") as connection:
        assert connection.execute(PID).fetchone() != (before,)


def test_a_connection_that_the_server_ended_meanwhile_is_replaced(kept: KeptDatabase, database: Database):
    """As after a restart of the server; in the middle of a use it is an error that says to ask again."""
    before = ask_pid(kept)
    end(database, before)

    def lose() -> None:
        with kept.connect() as connection:
            end(database, connection.info.backend_pid)
            connection.execute(PID)

    assert ask_pid(kept) != before
    with pytest.raises(StoreError, match="went away"):
        lose()
    assert ask_pid(kept) > 0


def test_threads_never_share_one_at_a_time_and_no_more_are_kept_than_should_be(kept: KeptDatabase):
    """More at once than are kept get their own, which are closed afterwards."""
    n, together = MAX_KEPT + 3, Barrier(MAX_KEPT + 3, timeout=30)

    def ask_together() -> int:
        with kept.connect() as connection:
            [(pid,)] = connection.execute(PID)
            together.wait()
            return pid

    with ThreadPoolExecutor(n) as threads:
        pids = {future.result() for future in [threads.submit(ask_together) for _ in range(n)]}

    assert len(pids) == n
    assert kept.idle.qsize() == MAX_KEPT


def test_closing_leaves_nothing_open(kept: KeptDatabase, database: Database):
    """And whoever asks later is answered."""
    pid = ask_pid(kept)
    kept.close()

    assert kept.idle.empty()
    assert ask_pid(kept) != pid
