"""The small process that stops an embedded PostgreSQL once its last client is gone; `embedded` starts both.

A client holds a shared lock on `clients.lock` for as long as it lives; the kernel drops it however the client ends, by
`kill -9` too. The keeper asks for that lock alone, so it wakes exactly when nobody is left, and while it stops the
server it holds newcomers off. It runs as a script and must start quickly: the standard library and psutil only.
"""

import contextlib
import fcntl
import os
import signal
import sys
import time
from pathlib import Path

import psutil

CLIENTS_LOCK = "clients.lock"
POLL_S = 0.02
STOP_TIMEOUT_S = 60.0
"""Time for the last checkpoint; after it the server stops without one and recovers at its next start."""


def find_postmaster(data: Path) -> psutil.Process | None:
    """The running PostgreSQL of a data folder, if any: never another process that was given the same id later."""
    try:
        process = psutil.Process(int((data / "postmaster.pid").read_text().partition("\n")[0]))
        return process if str(data) in process.cmdline() else None
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):  # a zombie counts as no such process
        return None


def stop_server(data: Path) -> None:
    """Stop the PostgreSQL of a data folder, if it runs, and return when it is gone."""
    server = find_postmaster(data)
    if server is None:
        return
    deadline = time.monotonic() + STOP_TIMEOUT_S
    with contextlib.suppress(psutil.NoSuchProcess):  # gone meanwhile
        server.send_signal(signal.SIGINT)  # PostgreSQL's "fast": open transactions are rolled back
        while find_postmaster(data) is not None:
            time.sleep(POLL_S)
            if time.monotonic() > deadline:
                server.send_signal(signal.SIGQUIT)
                break


def holds_file(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at `path`, neither deleted nor replaced."""
    return path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())


def keep_server(folder: Path, socket: Path, keeper_lock: int) -> None:
    """Wait until no client is left, then stop the server of `folder`.

    Args:
        folder: Holds `data` and the locks.
        socket: Folder of the server's socket; removed if it is not `data`.
        keeper_lock: Descriptor of the lock that says a keeper is there; given up before newcomers may look for one.
    """
    with (folder / CLIENTS_LOCK).open("r+") as clients:
        fcntl.flock(clients, fcntl.LOCK_EX)
        if holds_file(clients.fileno(), folder / CLIENTS_LOCK):  # else another server lives there by now
            stop_server(folder / "data")
            if socket != folder / "data":
                with contextlib.suppress(OSError):  # a killed server left its socket there
                    socket.rmdir()
        os.close(keeper_lock)


if __name__ == "__main__":
    keep_server(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
