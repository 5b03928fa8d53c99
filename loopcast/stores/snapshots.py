"""What is known of the snapshots that problems use; their bytes lie in `artifacts`, which also writes this."""

from dataclasses import dataclass
from typing import Final

from psycopg.rows import dict_row
from pydantic import BaseModel

from loopcast.evidence.record import RECORD, Moment
from loopcast.stores.database import Database

SELECT: Final = """
    SELECT sha256, url, n_rows, n_series, first_utc, last_utc FROM loopcast.snapshots
    WHERE problem = %s AND sha256 = %s
"""


class SnapshotRecord(BaseModel):
    """One snapshot of a problem."""

    model_config = RECORD

    sha256: str
    url: str
    n_rows: int
    n_series: int
    first_utc: Moment
    last_utc: Moment


@dataclass(frozen=True)
class SnapshotStore:
    """What is known of snapshots, in PostgreSQL."""

    database: Database

    def find(self, problem: str, sha256: str) -> SnapshotRecord | None:
        """What is known of a problem's snapshot, None for nothing."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(SELECT, [problem, sha256]).fetchone()
        return None if row is None else SnapshotRecord.model_validate(row)
