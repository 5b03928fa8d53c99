"""An answered forecast reaches the database once, whatever dies or is away meanwhile."""

import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from loopcast.errors import LoopcastError, StoreError
from loopcast.settings import Settings
from loopcast.stores import embedded, keeper
from loopcast.stores.database import Database, open_database
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.journal import Journal, JournalFullError, open_journal
from loopcast.stores.segments import SUFFIX
from loopcast.stores.shipper import JournalShipper
from tests.forecast_factory import make_answered
from tests.integration.clients import wait_until

ROOT = Path(__file__).parents[2]

ANSWER = """
import os, sys
from pathlib import Path
from loopcast.stores.database import Database
from loopcast.stores.journal import open_journal
from loopcast.stores.shipper import JournalShipper
from tests.forecast_factory import make_answered
journal = open_journal(Path(sys.argv[1]), max_mb=100)
JournalShipper(journal, Database(sys.argv[2])).start()
while True:
    forecasts = make_answered(problem=sys.argv[3], series=("GOOG", "MSFT"))
    journal.append(forecasts)
    os.write(1, b"".join(each.tobytes() for each in forecasts.ids))
"""
"""Answers forecasts of a problem until it is killed: prints the ids of those that it has appended."""


@pytest.fixture
def journal(tmp_path) -> Iterator[Journal]:
    """A journal of this process."""
    journal = open_journal(tmp_path / "journal", max_mb=10)
    yield journal
    journal.close()


@pytest.fixture
def shipper(journal, database) -> Iterator[JournalShipper]:
    """Ships that journal when it is told to; its thread does not run."""
    shipper = JournalShipper(journal, database)
    yield shipper
    shipper.stop()


@contextmanager
def shipping(journal: Journal, database: Database) -> Iterator[JournalShipper]:
    """A shipper at work until the block ends."""
    shipper = JournalShipper(journal, database)
    shipper.start()
    try:
        yield shipper
    finally:
        shipper.stop()


def stored_ids(database: Database, problem: str) -> list[UUID]:
    """The ids of all forecasts of a problem, one for each row."""
    with database.connect() as connection:
        found = connection.execute("SELECT id FROM loopcast.forecasts WHERE problem = %s ORDER BY id", [problem])
        return [each for (each,) in found]


def ids_of(answered) -> list[UUID]:
    """The ids of what was answered, in order."""
    return sorted(UUID(bytes=each.tobytes()) for forecasts in answered for each in forecasts.ids)


def refused(journal: Journal) -> list[Path]:
    """What was set aside."""
    return sorted((journal.folder / "refused").glob("*"))


def test_what_was_appended_is_stored_a_moment_later(journal, database, name):
    """While the service answers, and without its help."""
    answered = [make_answered(problem=name) for _ in range(20)]

    with shipping(journal, database) as shipper:
        for forecasts in answered:
            journal.append(forecasts)
        wait_until(lambda: journal.n_waiting == 0)

    assert stored_ids(database, name) == ids_of(answered)
    assert (shipper.n_shipped, shipper.n_refused, shipper.is_away) == (20, 0, False)
    assert (journal.size_bytes, journal.oldest_s) == (0, 0.0)


def test_stopping_ships_what_waits(journal, database, name):
    """A service that is told to end leaves nothing behind where the database is there."""
    with shipping(journal, database):
        journal.append(make_answered(problem=name))

    assert ForecastStore(database).count(name) == 1
    assert list(journal.own_folder.iterdir()) == []


def test_a_journal_tells_what_waits_in_it(journal, shipper, name):
    """How many forecasts of how many bytes, and for how long."""
    assert (journal.n_waiting, journal.size_bytes, journal.oldest_s, journal.is_full) == (0, 0, 0.0, False)

    journal.append(make_answered(problem=name, series=("A", "B")))
    time.sleep(1.1)

    assert journal.n_waiting == 2
    assert 500 < journal.size_bytes == sum(path.stat().st_size for path in journal.own_folder.iterdir()) < 2000
    assert 1 < journal.oldest_s < 20
    shipper.ship()
    assert (journal.n_waiting, journal.size_bytes) == (0, 0)


def test_threads_append_at_once(journal, shipper, database, name):
    """No record is cut by another."""
    answered = [make_answered(problem=name) for _ in range(400)]
    threads = [threading.Thread(target=lambda k=k: [journal.append(each) for each in answered[k::8]]) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    shipper.ship()

    assert stored_ids(database, name) == ids_of(answered)


@pytest.mark.slow
def test_a_process_that_is_killed_again_and_again_loses_nothing(database, tmp_path, name):
    """Every forecast that it answered is there, once, shipped by itself or by those that came after it."""
    answered = b""
    for round_s in (0.3, 0.7, 0.1, 0.5, 0.9):
        command = [sys.executable, "-c", ANSWER, str(tmp_path), database.url, name]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            answered += process.stdout.read(16)
            drain = threading.Timer(round_s, process.kill)
            drain.start()
            answered += process.stdout.read()
        assert process.returncode == -signal.SIGKILL
    assert len(answered) > 5 * 20 * 16

    journal = open_journal(tmp_path, max_mb=100)
    with shipping(journal, database):
        wait_until(lambda: [folder.name for folder in tmp_path.glob("[0-9]*")] == [journal.own_folder.name])
    journal.close()

    stored = stored_ids(database, name)
    ids = {UUID(bytes=answered[k : k + 16]) for k in range(0, len(answered) // 16 * 16, 16)}
    assert len(stored) == len(set(stored))
    assert ids <= set(stored)
    assert len(stored) - len(ids) <= 5 * 2  # appended, and killed before it could say so
    assert list(tmp_path.glob("refused/*" + SUFFIX)) == []


@pytest.mark.slow
def test_a_database_that_goes_and_comes_back_has_everything_once(home, tmp_path, name, caplog):
    """Forecasts are answered meanwhile; the log says once that they wait, and once that they do no more."""
    caplog.set_level(logging.INFO, "loopcast.stores.shipper")
    folder = home / "postgres"
    database = Database(open_database(Settings(home=home)).url)  # nobody starts this one again by itself
    journal = open_journal(tmp_path, max_mb=100)
    answered, is_over = [], threading.Event()

    def answer() -> None:
        while not is_over.wait(0.001):
            answered.append(make_answered(problem=name))
            journal.append(answered[-1])

    asking = threading.Thread(target=answer)
    with shipping(journal, database) as shipper:
        asking.start()
        for stop in (signal.SIGQUIT, signal.SIGKILL):
            wait_until(lambda: shipper.n_shipped > 100 and not shipper.is_away)
            caplog.clear()
            keeper.find_postmaster(folder / "data").send_signal(stop)
            wait_until(lambda: shipper.is_away)
            n_answered = len(answered)
            wait_until(lambda before=n_answered: len(answered) > before + 200)
            assert journal.n_waiting >= 200
            embedded.ensure_running(folder)
            wait_until(lambda: not shipper.is_away)
            assert [record.getMessage().partition(" wait in ")[0] for record in caplog.records] == [
                "forecasts", "forecasts no longer"
            ]  # fmt: skip
        is_over.set()
        asking.join()
    journal.close()

    assert stored_ids(database, name) == ids_of(answered)


def test_a_write_that_death_cut_short_is_no_forecast(journal, shipper, database, name, caplog):
    """It was never answered; what was written before it is stored, and the piece set aside."""
    whole, cut = make_answered(problem=name), make_answered(problem=name)
    journal.append(whole)
    journal.append(cut)
    [segment] = journal.own_folder.iterdir()
    os.truncate(segment, segment.stat().st_size - 1)

    shipper.ship()

    assert stored_ids(database, name) == ids_of([whole])
    assert [path.suffix for path in refused(journal)] == [".damaged"]
    assert "bytes of no whole record were set aside" in caplog.text
    assert shipper.n_refused == 0


@pytest.mark.parametrize("damage", [b"\0" * 4096, b"\xff" * 8, os.urandom(300)], ids=["zeros", "ones", "noise"])
def test_what_a_power_cut_left_is_not_taken_for_forecasts(journal, shipper, database, name, damage):
    """And none of its bytes are lost."""
    whole = make_answered(problem=name)
    journal.append(whole)
    [segment] = journal.own_folder.iterdir()
    with segment.open("ab") as file:
        file.write(damage)

    shipper.ship()

    assert stored_ids(database, name) == ids_of([whole])
    assert [path.read_bytes() for path in refused(journal)] == [damage]


def test_a_record_that_the_database_never_takes_does_not_hold_up_others(journal, shipper, database, name, caplog):
    """It is set aside with the reason in the log, and counted."""
    answered = [make_answered(problem=name) for _ in range(9)]
    for forecasts in (*answered[:4], replace(make_answered(problem=name), source="nobody"), *answered[4:]):
        journal.append(forecasts)

    shipper.ship()

    assert stored_ids(database, name) == ids_of(answered)
    assert (shipper.n_shipped, shipper.n_refused, journal.n_waiting) == (9, 1, 0)
    assert [path.suffix for path in refused(journal)] == [SUFFIX]
    assert "the database refuses 1 forecasts" in caplog.text
    assert "forecasts_source_check" in caplog.text


def test_what_was_set_aside_can_be_given_back(journal, shipper, database, name):
    """In a folder beside those of the processes it is shipped like what a dead one left."""
    odd = make_answered(problem=name, series=("odd",))
    with database.connect() as connection:
        connection.execute("ALTER TABLE loopcast.forecasts ADD CONSTRAINT even CHECK (series_id <> 'odd')")
    journal.append(odd)
    shipper.ship()
    with database.connect() as connection:
        connection.execute("ALTER TABLE loopcast.forecasts DROP CONSTRAINT even")
    assert (stored_ids(database, name), shipper.n_refused) == ([], 1)
    assert open_journal(journal.folder, max_mb=1).set_aside_bytes == journal.set_aside_bytes > 0

    (journal.folder / "refused").rename(journal.folder / "again")
    shipper.ship()

    assert stored_ids(database, name) == ids_of([odd])
    assert not (journal.folder / "again").exists()
    assert journal.set_aside_bytes == 0


def test_a_full_journal_refuses_until_something_was_shipped(tmp_path, database, name):
    """Rather than answer what may be forgotten; another process's forecasts fill it too."""
    first, second = open_journal(tmp_path, max_mb=1), open_journal(tmp_path, max_mb=1)
    many = make_answered(problem=name, series=tuple(f"S{k}" for k in range(500)), horizon=5, n_quantiles=13)
    first.append(many)
    first.append(many)
    with pytest.raises(JournalFullError, match=r"1 MB of forecasts wait .* and LOOPCAST_JOURNAL_MAX_MB is 1; bring"):
        first.append(many)
    wait_until(lambda: second.is_full)
    with pytest.raises(LoopcastError):
        second.append(many)

    with shipping(first, database):
        wait_until(lambda: not second.is_full)

    second.append(many)
    second.close()
    assert not first.is_full
    first.close()


def test_a_disk_that_is_full_refuses_the_forecast_and_keeps_the_others_whole(journal, shipper, database, name):
    """Half a record is taken back, so that what is appended later can be read."""
    before, refused_one, after = (make_answered(problem=name) for _ in range(3))
    journal.append(before)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.size_bytes + 100, limits[1]))
    try:
        with pytest.raises(StoreError, match=r"cannot be written: .*; check space and rights"):
            journal.append(refused_one)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    journal.append(after)
    shipper.ship()

    assert stored_ids(database, name) == ids_of([before, after])
    assert refused(journal) == []


def test_a_living_process_ships_its_own(tmp_path, database, name):
    """Nobody else touches its folder until it ends, by whatever end."""
    mine, other = open_journal(tmp_path, max_mb=10), open_journal(tmp_path, max_mb=10)
    other.append(make_answered(problem=name))
    shipper = JournalShipper(mine, database)

    shipper.ship()
    assert ForecastStore(database).count(name) == 0

    other.close()
    shipper.ship()
    assert ForecastStore(database).count(name) == 1
    assert [folder.name for folder in tmp_path.iterdir()] == [mine.own_folder.name]
    shipper.stop()
    mine.close()
    assert list(tmp_path.iterdir()) == []


def test_what_another_version_wrote_is_left_for_it(tmp_path, database):
    """A file of another format is neither read nor removed."""
    left = tmp_path / "4711-abc" / f"00001700000000000{SUFFIX[:-1]}2"
    left.parent.mkdir()
    left.write_bytes(b"tomorrow")
    journal = open_journal(tmp_path, max_mb=1)

    JournalShipper(journal, database).ship()

    assert left.read_bytes() == b"tomorrow"
    journal.close()


def test_segments_are_of_a_size_that_is_shipped_in_one_piece(tmp_path, database, name):
    """However long the database is away, memory is needed for one of them."""
    journal = open_journal(tmp_path, max_mb=100)
    series = tuple(f"S{k}" for k in range(2000))
    for _ in range(9):
        journal.append(make_answered(problem=name, series=series, horizon=5, n_quantiles=13))

    sizes = [path.stat().st_size for path in sorted(journal.own_folder.iterdir())]
    with shipping(journal, database):
        pass

    assert [size // 2**20 for size in sizes] == [8, 8, 2]
    assert ForecastStore(database).count(name) == 18_000
    journal.close()


def test_nothing_to_ship_needs_no_database(journal):
    """A service that starts before its database says nothing of it."""
    shipper = JournalShipper(journal, Database("postgresql://nobody@127.0.0.1:1/nowhere"))

    shipper.ship()

    journal.append(make_answered())
    with pytest.raises(StoreError, match="does not answer"):
        shipper.ship()
    assert journal.n_waiting == 1


def test_a_service_that_ends_without_its_database_leaves_all_to_the_next_one(tmp_path, database, name):
    """It ends at once, and what it answered is stored by who comes after it."""
    first = open_journal(tmp_path, max_mb=10)
    with shipping(first, Database("postgresql://nobody@127.0.0.1:1/nowhere")) as shipper:
        first.append(make_answered(problem=name))
        wait_until(lambda: shipper.is_away)
    first.close()

    second = open_journal(tmp_path, max_mb=10)
    assert second.oldest_s > 0
    with shipping(second, database):
        pass

    assert ForecastStore(database).count(name) == 1
    second.close()


def test_a_folder_that_cannot_be_written_is_refused_at_the_start(tmp_path):
    """With what to do about it."""
    (tmp_path / "journal").write_text("a file")

    with pytest.raises(StoreError, match=r"no journal can be kept here: .*; set LOOPCAST_HOME to a folder on a local"):
        open_journal(tmp_path / "journal", max_mb=1)
