"""The files of the journal: segments of records, each with its length and checksum, and the folders that hold them.

A process writes to a folder of its own, on which it holds a lock of the kernel as long as it lives. Who gets the lock
of a folder may ship what its owner left.
"""

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

SUFFIX: Final = ".forecasts1"
"""Of a segment; counted up when what a record holds changes, so that nobody misreads what another version wrote."""
REFUSED: Final = "refused"
"""Folder beside those of the processes: records that the database does not take, and what cannot be read."""
HEAD: Final = struct.Struct("<III")
"""Before the rows of a record: CRC-32 of all that follows it, length of the rows in bytes, number of forecasts."""
CRC_BYTES: Final = 4


@dataclass(frozen=True)
class Record:
    """The forecasts of one answer, as `encode_forecasts` made them."""

    n_forecasts: int
    rows: bytes

    def pack(self) -> bytes:
        """The record as it lies in a segment."""
        checked = HEAD.pack(0, len(self.rows), self.n_forecasts)[CRC_BYTES:] + self.rows
        return zlib.crc32(checked).to_bytes(CRC_BYTES, "little") + checked


def unpack_records(data: bytes) -> tuple[list[Record], bytes]:
    """The records of a segment up to the first that is not whole, and all bytes from there on.

    >>> record = Record(n_forecasts=1, rows=b"row")
    >>> unpack_records(record.pack() * 2 + record.pack()[:2]) == ([record, record], record.pack()[:2])
    True
    """
    records: list[Record] = []
    start = 0
    while start + HEAD.size <= len(data):
        crc, n_bytes, n_forecasts = HEAD.unpack_from(data, start)
        end = start + HEAD.size + n_bytes
        if end > len(data) or zlib.crc32(memoryview(data)[start + CRC_BYTES : end]) != crc:
            break
        records.append(Record(n_forecasts, data[start + HEAD.size : end]))
        start = end
    return records, data[start:]


def name_segment() -> str:
    """A name that says when the segment was begun, in microseconds of Unix time."""
    return f"{time.time_ns() // 1000:017d}{SUFFIX}"


def list_segments(folder: Path) -> list[Path]:
    """The segments in a folder, the oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def measure_segments(folder: Path) -> tuple[int, float | None]:
    """Bytes of what waits for all processes, and when the oldest segment was begun, in s of Unix time; both now."""
    n_bytes, oldest_at_s = 0, None
    for each in list_folders(folder):
        with suppress(FileNotFoundError):  # shipped meanwhile, by whichever process
            for path in each.iterdir():
                with suppress(FileNotFoundError):
                    n_bytes += path.stat().st_size
                    begun_at_s = _begun_at_s(path)
                    oldest_at_s = begun_at_s if oldest_at_s is None else min(oldest_at_s, begun_at_s)
    return n_bytes, oldest_at_s


def measure_files(folder: Path) -> int:
    """Bytes of the files in a folder; 0 where there is none."""
    n_bytes = 0
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):  # moved meanwhile
            n_bytes += path.stat().st_size
    return n_bytes


def _begun_at_s(segment: Path) -> float:
    """Also of a file that a person put there under another name."""
    digits = segment.stem.partition("-")[0]
    return int(digits) / 1e6 if digits.isdecimal() else segment.stat().st_mtime


def make_own_folder(folder: Path) -> tuple[Path, int]:
    """A new folder of this process below `folder`, and the descriptor that holds its lock."""
    name = f"{os.getpid()}-{uuid4().hex[:12]}"
    draft = folder / f".{name}"
    folder.mkdir(parents=True, exist_ok=True)
    draft.mkdir(mode=0o700)
    lock = _try_lock(draft)
    assert lock is not None, "nobody else knows of it"
    return draft.rename(folder / name), lock  # it appears locked


def list_folders(folder: Path) -> list[Path]:
    """The folders of all processes, living and dead."""
    return sorted(path for path in folder.glob("[!.]*/") if path.name != REFUSED)


@contextmanager
def claim_folder(folder: Path) -> Iterator[bool]:
    """Whether the folder's owner is dead; then nobody else touches it while the block runs, and afterwards it goes."""
    lock = _try_lock(folder)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            leave_folder(folder, lock)


def leave_folder(folder: Path, lock: int) -> None:
    """Let others have the folder, which is removed if nothing is left in it."""
    with suppress(OSError):
        folder.rmdir()
    os.close(lock)


def _try_lock(folder: Path) -> int | None:
    """The descriptor that holds the lock of a folder, None where somebody else does."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
