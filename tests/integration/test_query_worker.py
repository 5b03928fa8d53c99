"""A worker lives on whatever a query does to the process that computes it."""

import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest

from app.queries.worker import forget_old
from loopcast.settings import Settings
from loopcast.stores.files import FileStore
from loopcast.stores.opened import Stores
from loopcast.stores.query import QueryState
from loopcast.stores.uploads import Upload
from tests.integration.query_workers import OWNER, Workers, open_workers, wait_for

TIMEOUT_S = 4


@pytest.fixture(scope="module")
def stores(shared_home) -> Stores:
    """Of a machine of the tests'."""
    return Stores(Settings(home=shared_home))


@pytest.fixture(scope="module")
def workers(stores, tmp_path_factory) -> Workers:
    """One worker, with tight limits."""
    folder = tmp_path_factory.mktemp("workers")
    limits = {"LOOPCAST_QUERY_TIMEOUT_S": str(TIMEOUT_S), "LOOPCAST_QUERY_MAX_MB": "1500", "TMPDIR": str(folder)}
    with open_workers(stores, folder, **limits) as workers:
        workers.start()
        yield workers


def test_a_query_is_answered(workers):
    """By a process of its own; a number that is none becomes null."""
    query = workers.answer("quick")

    assert query.state is QueryState.DONE
    assert query.result == {"pid": query.result["pid"], "n_attempts": 1, "nothing": None, "nul": "\0"}
    assert query.result["pid"] != workers.running[0].pid


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        ("refused", "GOOG: 24 rows, needs 126; widen the source"),
        ("crash", "its process was ended by a fault in it (SIGSEGV); ask for less, or tell those who run the workers"),
        ("exit", "its process ended without an answer; the worker's log may say why"),
        ("hog", "found too much to compute in 1500 MB; ask for less"),
        ("many", "found a result of 2.1 MB, needs at most 1 MB; ask for less at once"),
        ("endless", f"found no answer within {TIMEOUT_S} s; ask for less at once"),
    ],
)
def test_a_poisoned_query_fails_alone(workers, poison, reason):
    """With its reason, at the first attempt; one that runs beside it is answered, and so is the next."""
    beside = workers.submit("slow 1")

    query = workers.answer(poison)

    assert (query.state, query.reason, query.n_attempts) == (QueryState.FAILED, reason, 1)
    assert workers.wait(beside).state is QueryState.DONE
    assert workers.answer("quick").state is QueryState.DONE
    assert workers.running[0].poll() is None


def test_a_fault_of_the_code_is_logged_and_not_told(workers):
    """The reason names the query, under which the log has the rest."""
    query = workers.answer("bug")

    assert query.reason == f"an error that was not expected; the worker logged it under the query's id {query.id}"
    log = workers.log.read_text(encoding="utf-8")
    assert "ZeroDivisionError: secret of the inside" in log
    assert str(query.id) in log


def test_a_store_that_is_away_is_asked_again_later(workers):
    """After a while, without a place among the running meanwhile."""
    query = workers.submit("away")

    found = workers.wait(query, lambda query: query.n_attempts == 1 and query.state is QueryState.QUEUED)

    assert found.reason == "the artifact store does not answer"
    with workers.stores.database.connect() as connection:
        [(wait_s,)] = connection.execute(
            "SELECT extract(epoch FROM scheduled_at - now()) FROM procrastinate.procrastinate_jobs WHERE id = %s",
            [found.job_id],
        )
    assert 3 < wait_s <= 5
    workers.stores.queries.ask_cancel(query.id, OWNER)


def test_files_of_an_answer_are_kept_and_the_scratch_is_not(workers):
    """Under the query's id in the artifact store."""
    query = workers.answer("file")

    assert (query.state, query.files, query.result) == (QueryState.DONE, ("rows.csv",), {"n_rows": 1})
    with workers.stores.files.open(f"queries/{query.id}/rows.csv") as file:
        assert file.read() == b"a,b\n1,2\n"
    wait_for(lambda: not list(workers.log.parent.glob("loopcast-query-*")))


def test_a_running_query_stops_when_its_owner_asks(workers):
    """Within a second."""
    query = workers.wait_until_runs(workers.submit("slow 30"))
    started_s = time.monotonic()

    workers.stores.queries.ask_cancel(query.id, OWNER)

    ended = workers.wait(query)
    assert (ended.state, ended.reason) == (QueryState.CANCELLED, "stopped by its owner")
    assert time.monotonic() - started_s < 2


def test_a_query_that_does_not_listen_is_stopped_all_the_same(workers):
    """Its process is ended."""
    query = workers.wait_until_runs(workers.submit("deaf 100"))

    workers.stores.queries.ask_cancel(query.id, OWNER)

    assert workers.wait(query).state is QueryState.CANCELLED


def test_several_queries_are_computed_at_once(workers):
    """As many as the settings say; by default two."""
    queries = [workers.submit("slow 1") for _ in range(2)]

    for query in queries:
        workers.wait_until_runs(query)

    assert [workers.wait(query).state for query in queries] == [QueryState.DONE] * 2


def test_a_query_is_answered_soon(workers):
    """The best of five; 0.2 s on a machine that does nothing else."""
    waits_s = []
    for _ in range(5):
        started_s = time.monotonic()
        workers.answer("quick")
        waits_s.append(time.monotonic() - started_s)

    assert min(waits_s) < 2


def test_a_worker_whose_place_in_the_list_is_gone_takes_it_again(workers):
    """As after an hour of sleep: others struck it off."""
    with workers.stores.database.connect() as connection:
        connection.execute("SET LOCAL search_path TO procrastinate")
        connection.execute("DELETE FROM procrastinate_workers")

    query = workers.answer("quick")

    assert query.state is QueryState.DONE
    wait_for(lambda: workers.stores.queries.count_workers() == 1)


def test_what_is_old_is_forgotten_with_its_files(stores):
    """Queries and uploads beyond the settings' days; the rest stays."""
    workers = Workers(stores, {}, stores.settings.home_path)
    old, new = workers.submit("old"), workers.submit("new")
    for query in (old, new):
        stores.files.put(f"queries/{query.id}/rows.csv", BytesIO(b"a"))
        stores.queries.ask_cancel(query.id, OWNER)
    uploads = [Upload(owner=str(old.id), n_bytes=1, sha256="a" * 64) for _ in range(2)]
    for upload in uploads:
        stores.uploads.keep(upload, BytesIO(b"a"), 10)
    with stores.database.connect() as connection:
        for table, column, kept in (("queries", "ended_at_utc", old), ("uploads", "uploaded_at_utc", uploads[0])):
            connection.execute(
                f"UPDATE loopcast.{table} SET {column} = now() - interval '31 days' WHERE id = %s", [kept.id]
            )

    forget_old(stores, datetime.now(UTC))

    folder = stores.settings.home_path / "artifacts"
    assert stores.queries.find(old.id, OWNER) is None
    assert stores.queries.find(new.id, OWNER) is not None
    assert [(folder / "queries" / str(query.id)).exists() for query in (old, new)] == [False, True]
    assert stores.uploads.list_own(str(old.id)) == [uploads[1]]
    assert [(folder / "uploads" / str(upload.id)).exists() for upload in uploads] == [False, True]
    forget_old(stores, datetime.now(UTC) - timedelta(days=365))
    assert stores.queries.find(new.id, OWNER) is not None


def test_what_killed_workers_and_services_left_is_removed_when_it_is_old(stores, tmp_path, monkeypatch):
    """Scratch folders that no attempt can still use, and bytes whose row was never written; never what has a row."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    upload = Upload(owner="left", n_bytes=1, sha256="a" * 64)
    stores.uploads.keep(upload, BytesIO(b"a"), 10)
    uploads, names = stores.settings.home_path / "artifacts" / "uploads", ("left", ".left.draft", "begun")
    scratch = [tmp_path / f"loopcast-query-{name}" for name in ("old", "new")]
    for name in names:
        (uploads / name).write_bytes(b"a")
    for folder in scratch:
        (folder / "below").mkdir(parents=True)
    long_ago_s = time.time() - 40 * 86_400
    for old in (scratch[0], uploads / "left", uploads / ".left.draft", uploads / str(upload.id)):
        os.utime(old, (long_ago_s, long_ago_s))

    forget_old(stores, datetime.now(UTC))

    assert [folder.exists() for folder in scratch] == [False, True]
    assert [(uploads / name).exists() for name in names] == [False, False, True]
    with stores.uploads.open(upload) as file:
        assert file.read() == b"a"


def test_files_of_a_bucket_are_kept_and_deleted_alike():
    """By any file system that fsspec knows."""
    files = FileStore("memory://queries-of-tests")

    files.put("queries/1/rows.csv", BytesIO(b"a"))
    with files.open("queries/1/rows.csv") as file:
        assert file.read() == b"a"
    now_utc = datetime.now(UTC)
    assert files.list_names("queries/1", now_utc + timedelta(minutes=1)) == ["rows.csv"]
    assert files.list_names("queries/1", now_utc - timedelta(minutes=1)) == []
    files.delete("queries/1")
    files.delete("queries/1")
    assert files.list_names("queries/1", now_utc) == []

    with pytest.raises(Exception, match=r"queries/1/rows.csv cannot be read: .*; restore it from a backup"):
        files.open("queries/1/rows.csv")


def test_settings_that_cannot_be_end_the_worker_with_a_sentence(workers):
    """And no traceback."""
    ended = subprocess.run(
        [*workers.running[0].args],
        env={**workers.environment, "LOOPCAST_QUERY_MAX_MB": "much"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("loopcast-worker: LOOPCAST_QUERY_MAX_MB: ")
