"""Other processes that use the embedded PostgreSQL of a work folder, and what to look for when they are gone."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from loopcast.stores import embedded

OPEN_AND_WAIT = """
import os, sys
from pathlib import Path
from loopcast.settings import Settings
from loopcast.stores.database import open_database
database = open_database(Settings(home=Path(sys.argv[1])))
with database.connect() as connection:
    started, revisions = connection.execute(
        "SELECT pg_postmaster_start_time()::text, (SELECT count(*) FROM loopcast.alembic_version)"
    ).fetchone()
print(os.geteuid(), started, revisions, "alembic" in sys.modules, sep="|", flush=True)
sys.stdin.read()
"""
"""Prints user id, start of the server, number of revisions and whether alembic was needed; lives until stdin ends."""


@contextmanager
def client(home: Path, *prefix: str) -> Iterator[subprocess.Popen[str]]:
    """A process that opens the database of `home` and holds it until the block ends."""
    with subprocess.Popen(
        [*prefix, sys.executable, "-c", OPEN_AND_WAIT, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(60)


def answer(process: subprocess.Popen[str]) -> list[str]:
    """What a client has printed once it is connected."""
    return process.stdout.readline().strip().split("|")


def without_root() -> tuple[str, ...]:
    """Command prefix under which a process is not root's; empty where this one is not.

    Where the interpreter lies in a folder that is root's alone, the process may pass through that.
    """
    if os.geteuid() != 0:
        return ()
    is_reachable = all(parent.stat().st_mode & stat.S_IXOTH for parent in Path(sys.executable).resolve().parents)
    pass_through = () if is_reachable else ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return ("setpriv", "--reuid=nobody", "--regid=65534", "--clear-groups", *pass_through)


def serving(home: Path) -> list[str]:
    """Names of the processes, server and keeper, that were started for a work folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(part.startswith(str(home / "postgres")) for part in process.cmdline()):
                found.append(process.name())
        except psutil.NoSuchProcess:
            continue
    return found


def end_server(home: Path) -> None:
    """Let go of the server of `home` and see that nothing of it is left."""
    embedded.release(home / "postgres")
    wait_until(lambda: not serving(home))


def wait_until(is_true: Callable[[], bool], timeout_s: float = 20) -> None:
    """Return as soon as a condition holds; fail if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
