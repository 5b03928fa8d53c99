"""Queries outlive what happens to the processes around them: workers that are killed or stopped, and the database."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from app.asker import LOCAL
from benchmarks.servers import find_port
from loopcast.settings import Settings
from loopcast.stores.opened import Stores
from loopcast.stores.query import QueryState
from tests.e2e.conftest import ROOT
from tests.e2e.serving import Postgres, stop
from tests.e2e.serving import Service as RunningService
from tests.integration.clients import end_server
from tests.integration.query_workers import Workers, kill, make_query, open_workers, wait_for

RESUMED_WITHIN_S = 15


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server of somebody else's."""
    home = tmp_path_factory.mktemp("server")
    postgres = Postgres(home / "postgres")
    postgres.start()
    yield postgres
    postgres.stop()
    end_server(home)


@pytest.fixture
def workers(postgres: Postgres, tmp_path: Path) -> Iterator[Workers]:
    """Two workers on that server."""
    stores = Stores(Settings(home=tmp_path, database_url=postgres.start()))
    with open_workers(stores, tmp_path) as workers:
        for _ in range(2):
            workers.start()
        yield workers


def test_a_query_whose_worker_is_killed_is_resumed_on_another(workers):
    """Within fifteen seconds; nothing of the killed one computes on, and the answer comes once."""
    query = workers.wait_until_runs(workers.submit("slow 3"))
    killed_s = time.monotonic()

    started = kill(workers.worker_of(query))
    workers.wait(query, lambda found: found.n_attempts == 2)

    assert time.monotonic() - killed_s < RESUMED_WITHIN_S
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in started)
    ended = workers.wait(query)
    assert (ended.state, ended.n_attempts) == (QueryState.DONE, 2)


def test_a_query_that_ends_its_workers_is_given_up(workers):
    """After the third."""
    query = workers.submit("slow 60")
    for n_attempts in (1, 2, 3):
        workers.wait(query, lambda found, n=n_attempts: found.n_attempts == n and "process" in found.progress)
        worker = workers.worker_of(query)
        workers.start()
        kill(worker)

    ended = workers.wait(query)
    assert ended.state is QueryState.FAILED
    assert ended.reason == (
        "the worker that was at it ended without a word; it may need more memory than there is; it was tried 3 times"
    )


def test_a_query_that_was_to_stop_when_its_worker_was_killed_is_cancelled(workers):
    """It is not computed again."""
    query = workers.wait_until_runs(workers.submit("deaf 60"))
    worker = workers.worker_of(query)

    workers.stores.queries.ask_cancel(query.id, query.owner)
    kill(worker)

    ended = workers.wait(query)
    assert (ended.state, ended.n_attempts) == (QueryState.CANCELLED, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_stop_leaves_its_query_to_another(workers, number):
    """At once, and without an attempt that counts."""
    query = workers.wait_until_runs(workers.submit("slow 6"))
    worker = workers.worker_of(query)

    worker.send_signal(number)
    assert worker.wait(30) == 0

    ended = workers.wait(query)
    assert (ended.state, ended.n_attempts, ended.result["n_attempts"]) == (QueryState.DONE, 1, 1)
    assert workers.stores.queries.count_workers() == 1


def test_a_signal_to_every_process_fails_no_query(workers):
    """As a machine that shuts down sends it: the query waits for the next worker."""
    query = workers.wait_until_runs(workers.submit("slow 6"))
    worker = workers.worker_of(query)

    os.killpg(worker.pid, signal.SIGTERM)
    assert worker.wait(30) == 0

    assert workers.wait(query).state is QueryState.DONE


def test_a_worker_that_was_held_up_does_not_answer_what_another_has(workers):
    """It was taken for dead, and goes on: its query is the other's by then."""
    query = workers.wait_until_runs(workers.submit("slow 4"))
    worker = psutil.Process(workers.worker_of(query).pid)

    worker.suspend()
    resumed = workers.wait(query, lambda found: found.n_attempts == 2 and "process" in found.progress)
    worker.resume()

    ended = workers.wait(query)
    assert (ended.state, ended.n_attempts) == (QueryState.DONE, 2)
    assert ended.result["pid"] == int(resumed.progress.rpartition(" ")[2])
    assert workers.answer("quick").state is QueryState.DONE


def test_many_queries_are_answered_once_each(workers):
    """Two workers, four places."""
    queries = [workers.submit("quick") for _ in range(30)]

    ended = [workers.wait(query) for query in queries]

    assert {(query.state, query.n_attempts) for query in ended} == {(QueryState.DONE, 1)}
    assert len({query.result["pid"] for query in ended}) == 30


def test_a_query_goes_on_while_the_database_is_away(workers, postgres):
    """Its computation is not begun again, and its answer is written when the database is back."""
    query = workers.wait_until_runs(workers.submit("slow 6"))

    postgres.stop()
    time.sleep(8)  # longer than the query, and than a worker may be silent
    postgres.start()

    ended = workers.wait(query)
    assert (ended.state, ended.n_attempts) == (QueryState.DONE, 1)
    wait_for(lambda: workers.stores.queries.count_workers() == 2)
    assert workers.answer("quick").state is QueryState.DONE


def test_a_worker_that_is_told_to_stop_while_the_database_is_away_stops_without_an_error(workers, postgres):
    """It says once that it has; a query that it was at is taken from it when the database is back."""
    query = workers.wait_until_runs(workers.submit("slow 1"))
    postgres.stop()
    log = workers.log.read_bytes()

    for worker in workers.running:
        worker.terminate()

    assert [worker.wait(30) for worker in workers.running] == [0, 0]
    told = [json.loads(line) for line in workers.log.read_bytes().removeprefix(log).splitlines()]
    assert [line for line in told if line["level"] == "ERROR"] == []
    assert [line["message"] for line in told].count("the worker has stopped") == 2
    postgres.start()
    workers.start()
    assert workers.wait(query).state is QueryState.DONE


def test_a_worker_starts_before_its_database(postgres, tmp_path):
    """And is there as soon as that is."""
    url = postgres.start()
    Stores(Settings(home=tmp_path, database_url=url)).database  # noqa: B018  makes the tables
    postgres.stop()
    environment = {**os.environ, "LOOPCAST_HOME": str(tmp_path), "LOOPCAST_DATABASE_URL": url}
    command = [sys.executable, "-m", "tests.integration.query_answers"]
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=log)
    wait_for(lambda: b"does not answer" in (tmp_path / "log").read_bytes())

    postgres.start()

    stores = Stores(Settings(home=tmp_path, database_url=url))
    wait_for(lambda: stores.queries.count_workers() == 1)
    worker.terminate()
    assert worker.wait(30) == 0


@pytest.fixture
def served(machine: dict[str, str], tmp_path: Path) -> Iterator[RunningService]:
    """What `make serve` starts, on a machine of its own."""
    port, log = find_port(), tmp_path / "serve.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.serve", "-p", str(port)],
            env=machine,
            cwd=ROOT,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    service = RunningService(port, process, log)
    wait_for(lambda: process.poll() is not None or count_workers(service) == 1, 120)
    assert process.poll() is None, log.read_text(encoding="utf-8")
    yield service
    if process.poll() is None:
        stop(service)


def count_workers(service: RunningService) -> int | None:
    """As the service tells; None where it does not answer."""
    try:
        return service.ask("/api/v1/queries")[1]["n_workers"]
    except (OSError, ValueError, KeyError, http.client.HTTPException):
        return None


def find_worker(service: RunningService) -> psutil.Process | None:
    """The process that answers queries, None while there is none."""
    children = psutil.Process(service.process.pid).children()
    found = (each for each in children if each.is_running() and "app.queries.worker" in each.cmdline())
    return next(found, None)


@pytest.mark.slow
def test_serving_brings_a_worker_and_ends_it(served):
    """One that dies is told of and started again; at the end nothing is left."""
    wait_for(lambda: served.log.read_text(encoding="utf-8").count("the worker is ready") == 1)
    find_worker(served).kill()
    wait_for(lambda: "the worker ended with -9; long queries wait" in served.log.read_text(encoding="utf-8"))

    wait_for(lambda: served.log.read_text(encoding="utf-8").count("the worker is ready") == 2)
    wait_for(lambda: count_workers(served) == 1)  # the one that died is believed alive for a few seconds
    started = psutil.Process(served.process.pid).children(recursive=True)

    assert stop(served) == 0
    wait_for(lambda: not any(each.is_running() for each in started))


@pytest.mark.slow
def test_a_service_takes_slow_uploads_and_ends_while_somebody_listens(served, machine):
    """A file may come for longer than other requests take; a listener who never leaves does not hold up the end."""
    content = b"series_id,timestamp,target\n" + b"GOOG,2024-01-02,1.5\n" * 1000
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)) as connection:
        connection.putrequest("POST", "/api/v1/uploads")
        connection.putheader("Content-Type", "text/csv")
        connection.putheader("Content-Length", str(len(content)))
        connection.endheaders()
        for start in range(0, len(content), len(content) // 8 + 1):
            connection.send(content[start : start + len(content) // 8 + 1])
            time.sleep(1)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["n_bytes"]) == (201, len(content))

    stores = Stores(Settings(home=Path(machine["LOOPCAST_HOME"])))
    query = stores.queries.submit(make_query("deaf 60", LOCAL.id), 10)
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)) as connection:
        connection.request("GET", f"/api/v1/queries/{query.id}/events")
        stream = connection.getresponse()
        assert stream.readline() == b"retry: 500\n"
        time.sleep(6)  # longer than BentoML lets an answer wait
        stopped_s = time.monotonic()
        assert stop(served) == 0
        assert time.monotonic() - stopped_s < 25
