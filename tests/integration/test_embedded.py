"""The embedded PostgreSQL starts for whoever asks, serves all who ask, and is gone after the last of them."""

import os
import signal
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.pq import TransactionStatus

from loopcast.errors import StoreError
from loopcast.stores import embedded, keeper
from tests.integration.clients import answer, client, end_server, serving, wait_until, without_root


def _started_at(url: str) -> str:
    with psycopg.connect(url) as connection:
        return str(connection.execute("SELECT pg_postmaster_start_time()::text").fetchone()[0])


def _kill_postmaster(folder: Path) -> None:
    keeper.find_postmaster(folder / "data").kill()
    wait_until(lambda: keeper.find_postmaster(folder / "data") is None)


def _socket_folder(url: str) -> Path:
    return Path(url.partition("host=")[2].partition("&")[0])


def _log(home: Path) -> str:
    return (home / "postgres" / "server.log").read_text()


def test_two_processes_that_start_at_once_share_one_server_and_one_migration(home):
    """Neither waits in vain, neither starts a second server or migrates twice, and both leave nothing behind."""
    with client(home) as first, client(home) as second:
        answers = [answer(first), answer(second)]

    assert answers[0][1] == answers[1][1]
    assert [revisions for _, _, revisions, _ in answers] == ["1", "1"]
    wait_until(lambda: not serving(home))
    assert _log(home).rstrip().endswith("database system is shut down")


def test_a_process_at_the_newest_revision_does_without_alembic(stopped_home):
    """Only the process that migrates pays for the import."""
    with client(stopped_home) as process:
        *_, has_alembic = answer(process)

    assert has_alembic == "False"


def test_the_server_outlives_the_client_that_started_it(stopped_home):
    """While one process lives, the end of another by kill -9 stops nothing."""
    with client(stopped_home) as first:
        started = answer(first)[1]
        url = embedded.ensure_running(stopped_home / "postgres")
        first.kill()

    with pytest.raises(AssertionError):
        wait_until(lambda: not serving(stopped_home), timeout_s=1)
    assert _started_at(url) == started


def test_a_killed_client_leaves_no_server_and_a_clean_stop(stopped_home):
    """The server stops in order after kill -9 of its only client, and starts again without recovery."""
    with client(stopped_home) as only:
        answer(only)
        only.kill()
    wait_until(lambda: not serving(stopped_home))

    embedded.ensure_running(stopped_home / "postgres")

    assert "database system is shut down" in _log(stopped_home)
    assert "not properly shut down" not in _log(stopped_home)


def test_a_killed_server_comes_back_with_what_was_committed(stopped_home):
    """Kill -9 of the postmaster costs no committed row."""
    url = embedded.ensure_running(stopped_home / "postgres")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    _kill_postmaster(stopped_home / "postgres")

    embedded.ensure_running(stopped_home / "postgres")

    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT value FROM kept").fetchall() == [(42,)]


def test_no_server_starts_beside_the_workers_of_a_killed_one(stopped_home):
    """A worker in the middle of a statement may still write; the next server waits for its end."""
    url = embedded.ensure_running(stopped_home / "postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = '1s'")
        with ThreadPoolExecutor(1) as executor:
            statement = executor.submit(connection.execute, "SELECT count(*) FROM generate_series(1, 1e10)")
            wait_until(lambda: connection.info.transaction_status is TransactionStatus.ACTIVE)
            _kill_postmaster(stopped_home / "postgres")

            embedded.ensure_running(stopped_home / "postgres")

            assert isinstance(statement.exception(timeout=0), psycopg.Error)
    assert "pre-existing shared memory" not in _log(stopped_home)


def test_a_killed_keeper_is_replaced_by_the_next_client(stopped_home):
    """A server whose keeper was killed still stops after its last client."""
    embedded.ensure_running(stopped_home / "postgres")
    wanted = {keeper.__file__, str(stopped_home / "postgres")}
    (only,) = [process for process in psutil.process_iter() if wanted <= set(_command(process))]
    only.kill()

    with client(stopped_home) as second:
        answer(second)

    end_server(stopped_home)
    assert _log(stopped_home).rstrip().endswith("database system is shut down")


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_a_process_id_that_belongs_to_another_by_now_is_no_server(stopped_home):
    """What a killed server left behind neither blocks a start nor draws a signal onto a stranger."""
    embedded.ensure_running(stopped_home / "postgres")
    _kill_postmaster(stopped_home / "postgres")
    pid_file = stopped_home / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(pid_file.read_text().split()[0], str(os.getpid()), 1))

    url = embedded.ensure_running(stopped_home / "postgres")

    assert _started_at(url)


def test_a_half_made_cluster_is_made_anew(home):
    """What a killed first start left behind is never taken for a database."""
    (home / "postgres" / "data.new").mkdir(parents=True)
    (home / "postgres" / "data.new" / "PG_VERSION").write_text("18\n")

    url = embedded.ensure_running(home / "postgres")

    assert _started_at(url)


def test_data_of_another_major_version_is_refused_and_left_alone(home):
    """The sentence names the version found, the version needed and the way out."""
    data = home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")

    with pytest.raises(StoreError) as refusal:
        embedded.ensure_running(home / "postgres")

    assert str(refusal.value) == (
        f"{data} was written by PostgreSQL 16, and this Loopcast brings 18; dump it with pg_dumpall of version 16 and "
        "load it into a new folder, or move it away to begin anew"
    )
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_a_folder_of_another_user_is_refused(home, monkeypatch):
    """Who is neither root nor the owner is told so, and where to go."""
    (home / "postgres" / "data").mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)

    with pytest.raises(StoreError, match=r"data belongs to user id \d+, and this is 4242; set LOOPCAST_HOME to"):
        embedded.ensure_running(home / "postgres")


def test_it_runs_without_root(home):
    """A process that is not root's starts and stops its own server, and root can use the folder afterwards."""
    prefix = without_root()
    if prefix:
        os.chown(home, 65534, 65534)

    with client(home, *prefix) as other:
        user_id, *_ = answer(other)
    wait_until(lambda: not serving(home))

    assert int(user_id) != 0
    assert (home / "postgres" / "data").stat().st_uid == int(user_id)
    assert _started_at(embedded.ensure_running(home / "postgres"))


def test_root_opens_a_closed_folder_no_wider_than_the_server_needs(stopped_home):
    """Its group may pass through, and nobody may read; without root nothing is changed."""
    stopped_home.chmod(0o700)

    embedded.ensure_running(stopped_home / "postgres")

    assert stat.S_IMODE(stopped_home.stat().st_mode) == (0o710 if os.geteuid() == 0 else 0o700)


@pytest.mark.parametrize("name", ["l" * 200, "a b,c'd\"e$HOME%41+ü"], ids=["long", "odd"])
def test_any_path_will_do(home, name):
    """Neither the length of the path nor a character in it reaches the socket or the URL; /tmp is left tidy."""
    folder = home / "postgres" / name

    url = embedded.ensure_running(folder)

    assert _started_at(url)
    socket = _socket_folder(url)
    assert len(str(socket)) < 40
    embedded.release(folder)
    wait_until(lambda: not socket.exists())


def test_a_socket_folder_that_somebody_else_took_is_refused(home):
    """Nobody can lure a client to a server of their own through the name in /tmp."""
    folder = home / "postgres" / ("l" * 200)
    taken = _socket_folder(embedded.ensure_running(folder))
    taken.chmod(0o777)

    with pytest.raises(StoreError, match=f"{taken} is not a folder of ours; remove it"):
        embedded.ensure_running(folder)

    taken.chmod(0o700)
    embedded.release(folder)


def test_only_the_socket_listens_and_many_may_connect(database):
    """No port is open, and a handful of processes with their pools find room."""
    with database.connect() as connection:
        shown = [connection.execute(f"SHOW {name}").fetchone()[0] for name in ("listen_addresses", "max_connections")]

    assert shown == ["", "200"]


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(stopped_home):
    """Server and keeper live in sessions of their own."""
    with client(stopped_home) as only:
        answer(only)
        server = keeper.find_postmaster(stopped_home / "postgres" / "data")
        session = os.getsid(server.pid)
        only.send_signal(signal.SIGINT)
        only.wait(20)

    assert session != os.getsid(0)
    wait_until(lambda: not serving(stopped_home))
    assert _log(stopped_home).rstrip().endswith("database system is shut down")
