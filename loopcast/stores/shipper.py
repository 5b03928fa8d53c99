"""From the journal into the database: a thread that brings every answered forecast there, exactly once.

At least once, because a segment is removed after its rows are committed; at most once, because the id of a forecast is
its key. What the processes of this machine left behind when they died is shipped by those that live.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from psycopg import Connection, DataError, Error, IntegrityError
from psycopg.errors import ProgramLimitExceeded
from psycopg.rows import TupleRow

from loopcast.errors import StoreError
from loopcast.stores.database import Database
from loopcast.stores.forecast_rows import insert_rows
from loopcast.stores.journal import Journal
from loopcast.stores.segments import (
    REFUSED,
    SUFFIX,
    Record,
    claim_folder,
    list_folders,
    list_segments,
    unpack_records,
)

logger = logging.getLogger(__name__)

SHIP_EVERY_S: Final = 0.2
"""How long a forecast waits while all is well: two tenths of a second are few transactions, and soon."""
MAX_PAUSE_S: Final = 5.0
"""Longest pause between two attempts while the database is away."""
REFUSALS: Final = (DataError, IntegrityError, ProgramLimitExceeded)
"""What PostgreSQL says of rows that it will never take; everything else may pass."""


class JournalShipper:
    """The thread that empties a journal.

    Attributes:
        n_shipped: Forecasts that were brought into the database, by this process, for itself or for dead ones.
        n_refused: Forecasts that the database does not take, set aside in the folder `refused` of the journal.
    """

    def __init__(self, journal: Journal, database: Database) -> None:
        self.n_shipped = 0
        self.n_refused = 0
        self._journal = journal
        self._database = database
        self._connection: Connection[TupleRow] | None = None
        self._away_since_s: float | None = None
        self._unreadable: set[Path] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-shipper", daemon=True)

    @property
    def is_away(self) -> bool:
        """Whether the database did not take forecasts when it was last asked."""
        return self._away_since_s is not None

    def start(self) -> None:
        """Begin to ship."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Ship what waits and end; what the database does not take in time stays in the journal."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._disconnect()

    def ship(self) -> None:
        """Bring all that waits now into the database.

        Raises:
            StoreError, psycopg.Error: It is away; what it did not take still waits.
        """
        self._ship_own()  # what earlier attempts left, before another segment is ended
        self._journal.close_segment()
        self._ship_own()
        for folder in list_folders(self._journal.folder):
            try:
                self._ship_left(folder)
            except OSError as exc:  # of another user, or damaged: it must not hold up the others
                if folder not in self._unreadable:
                    self._unreadable.add(folder)
                    logger.warning("forecasts that a process left cannot be read: %s", exc)

    def _ship_left(self, folder: Path) -> None:
        """Bring what a process left that has ended, if it has."""
        with claim_folder(folder) as is_left:
            for segment in list_segments(folder) if is_left else []:
                n_forecasts = self._ship_segment(segment)
                segment.unlink()
                logger.info("%d forecasts of a process that has ended were stored: %s", n_forecasts, segment)

    def _run(self) -> None:
        pause_s = SHIP_EVERY_S
        while not self._stopping.wait(pause_s):
            pause_s = self._try_to_ship(pause_s)
        self._try_to_ship(pause_s)

    def _try_to_ship(self, pause_s: float) -> float:
        """Seconds until the next attempt."""
        try:
            self.ship()
        except (StoreError, Error) as exc:
            self._disconnect()
            if self._away_since_s is None:
                self._away_since_s = time.monotonic()
                logger.warning("forecasts wait in %s: %s", self._journal.folder, " ".join(str(exc).split()))
            return min(2 * pause_s, MAX_PAUSE_S)
        except Exception:
            self._disconnect()
            logger.exception("forecasts wait in %s, and cannot be read there", self._journal.folder)
            return MAX_PAUSE_S
        if self._away_since_s is not None:
            away_s, self._away_since_s = time.monotonic() - self._away_since_s, None
            logger.info("forecasts no longer wait in %s: stored after %.0f s", self._journal.folder, away_s)
        return SHIP_EVERY_S

    def _ship_own(self) -> None:
        for segment in self._journal.list_closed():
            self._journal.remove(segment, self._ship_segment(segment))

    def _ship_segment(self, segment: Path) -> int:
        """How many forecasts were in the segment, which are all stored now or set aside."""
        records, rest = unpack_records(segment.read_bytes())
        if rest:
            place = self._set_aside(f"{segment.parent.name}-{segment.stem}.damaged", rest)
            logger.warning("%d bytes of no whole record were set aside: %s", len(rest), place)
        self._store(segment, records)
        return sum(record.n_forecasts for record in records)

    def _store(self, segment: Path, records: Sequence[Record]) -> None:
        """Store the records, and set those aside that the database does not take."""
        if not records:
            return
        n_forecasts = sum(record.n_forecasts for record in records)
        try:
            with self._connect().transaction():
                insert_rows(self._database, self._connect(), [record.rows for record in records])
        except REFUSALS as exc:
            reason = " ".join(str(exc).split())
        else:
            self.n_shipped += n_forecasts
            return
        if len(records) > 1:
            half = len(records) // 2
            self._store(segment, records[:half])
            self._store(segment, records[half:])
        else:
            self._refuse(segment, records[0], reason)

    def _refuse(self, segment: Path, record: Record, reason: str) -> None:
        digest = hashlib.sha256(record.rows).hexdigest()[:16]
        place = self._set_aside(f"{segment.stem}-{digest}{SUFFIX}", record.pack())
        self.n_refused += record.n_forecasts
        logger.error("the database refuses %d forecasts, now in %s: %s", record.n_forecasts, place, reason)

    def _set_aside(self, name: str, data: bytes) -> Path:
        folder = self._journal.folder / REFUSED
        folder.mkdir(exist_ok=True)
        place = folder / name
        place.write_bytes(data)
        return place

    def _connect(self) -> Connection[TupleRow]:
        if self._connection is None:
            self._connection = self._database.open_connection()
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
