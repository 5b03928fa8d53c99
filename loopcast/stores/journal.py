"""The journal: where a forecast is written before it is answered, so that it outlives the process, database or not.

An answered forecast takes this one path, whether the database is there or not; `shipper` brings it on from here. A
record is handed to the kernel by one write and not forced to the disk: it survives the death of the process in any
form, while a power cut may cost the last seconds of what was not shipped. Forcing would cost each answer milliseconds.
"""

import errno
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loopcast.errors import LoopcastError, StoreError
from loopcast.forecasts import Forecasts
from loopcast.stores.forecast_rows import encode_forecasts
from loopcast.stores.segments import (
    REFUSED,
    Record,
    leave_folder,
    list_segments,
    make_own_folder,
    measure_files,
    measure_segments,
    name_segment,
)

SEGMENT_BYTES: Final = 8 * 2**20
"""At this size a segment is closed and another begun: small enough to be shipped in one piece."""
MEASURE_EVERY_S: Final = 1.0
"""How old the journal's measured size may be; what other processes wrote since may exceed the budget by so much."""
MEGABYTE: Final = 10**6


class JournalFullError(LoopcastError):
    """So many forecasts wait for the database that no more may be answered."""


@dataclass
class _OpenSegment:
    """The file that is appended to."""

    path: Path
    descriptor: int
    n_bytes: int = 0


class Journal:
    """What one process answered and the database does not have yet; any thread may call any method.

    Attributes:
        folder: Of the journals of all processes of this machine.
        own_folder: Of this one, which holds its lock.
    """

    def __init__(self, folder: Path, max_mb: int) -> None:
        self.folder = folder
        self.own_folder, self._owned = make_own_folder(folder)
        self._max_bytes = max_mb * MEGABYTE
        self._lock = threading.Lock()
        self._open: _OpenSegment | None = None
        self._n_waiting = 0
        self._measure()

    def append(self, *made: Forecasts) -> None:
        """Keep the forecasts, all or none, until the database has them; return when the kernel has them.

        Raises:
            JournalFullError: No more may wait.
            StoreError: The disk does not take them, or they cannot be stored at all.
        """
        record = b"".join(Record(len(each), encode_forecasts(each)).pack() for each in made)
        with self._lock:
            if self._is_full():
                raise JournalFullError(
                    f"{self.folder}: {self._n_bytes // MEGABYTE} MB of forecasts wait for the database, and "
                    f"LOOPCAST_JOURNAL_MAX_MB is {self._max_bytes // MEGABYTE}; bring the database back, or allow more"
                )
            try:
                self._write(record)
            except OSError as exc:
                raise StoreError(f"{self.own_folder} cannot be written: {exc}; check space and rights") from exc
            self._n_waiting += sum(len(each) for each in made)

    @property
    def size_bytes(self) -> int:
        """Of what waits on the disk for all processes, at most a second old for what others wrote."""
        with self._lock:
            self._measure_again()
            return self._n_bytes

    @property
    def oldest_s(self) -> float:
        """Age of the oldest segment of any process, in seconds; 0 where nothing waits."""
        with self._lock:
            self._measure_again()
            return 0.0 if self._oldest_at_s is None else max(0.0, time.time() - self._oldest_at_s)

    @property
    def set_aside_bytes(self) -> int:
        """Of what the database did not take and what could not be read, by any process, until a person moves it."""
        return measure_files(self.folder / REFUSED)

    @property
    def is_full(self) -> bool:
        """Whether forecasts are refused."""
        with self._lock:
            return self._is_full()

    @property
    def n_waiting(self) -> int:
        """Forecasts of this process that the database does not have yet."""
        return self._n_waiting

    def list_closed(self) -> list[Path]:
        """The segments of this process that are not written any more, the oldest first."""
        with self._lock:
            return [path for path in list_segments(self.own_folder) if not self._open or path != self._open.path]

    def close_segment(self) -> None:
        """End the segment that is written, if there is one, so that it can be shipped."""
        with self._lock:
            self._close_segment()

    def remove(self, segment: Path, n_forecasts: int) -> None:
        """Forget a segment of this process that was shipped."""
        with self._lock:
            segment.unlink()
            self._n_waiting -= n_forecasts
            self._measure()

    def close(self) -> None:
        """End the journal; what was not shipped is left to the next process that ships."""
        with self._lock:
            self._close_segment()
            leave_folder(self.own_folder, self._owned)

    def _write(self, record: bytes) -> None:
        """Append all bytes or none; the caller holds the lock."""
        if self._open is None:
            path = self.own_folder / name_segment()
            self._open = _OpenSegment(path, os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600))
        segment, n_written = self._open, 0
        try:
            n_written = os.write(segment.descriptor, record)
        finally:
            if n_written < len(record):
                os.ftruncate(segment.descriptor, segment.n_bytes)
        if n_written < len(record):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        segment.n_bytes += len(record)
        self._n_bytes += len(record)
        if segment.n_bytes >= SEGMENT_BYTES:
            self._close_segment()

    def _close_segment(self) -> None:
        if self._open is not None:
            os.close(self._open.descriptor)
            self._open = None

    def _is_full(self) -> bool:
        self._measure_again()
        return self._n_bytes >= self._max_bytes

    def _measure_again(self) -> None:
        if time.monotonic() - self._measured_at_s >= MEASURE_EVERY_S:
            self._measure()

    def _measure(self) -> None:
        self._n_bytes, self._oldest_at_s = measure_segments(self.folder)
        self._measured_at_s = time.monotonic()


def open_journal(folder: Path, max_mb: int) -> Journal:
    """A journal of this process below `folder`, with what others wrote there counted against the budget.

    Raises:
        StoreError: The folder cannot be made.
    """
    try:
        return Journal(folder, max_mb)
    except OSError as exc:
        raise StoreError(
            f"{folder}: no journal can be kept here: {exc}; set LOOPCAST_HOME to a folder on a local disk"
        ) from exc
