"""The table of refused rows: kept with the reason, so that nothing is dropped in silence. `panel` does the refusing."""

from dataclasses import dataclass

import pandas as pd
from pandera.typing import DataFrame

from loopcast.contracts import Quarantine
from loopcast.stores.database import Database

COPY = "COPY loopcast.quarantine (problem, ingest_id, row_number, series_id, reason, row_json) FROM STDIN"
DELETE = "DELETE FROM loopcast.quarantine WHERE problem = %s AND ingest_id = %s"
LAST_INGEST = "SELECT ingest_id FROM loopcast.quarantine WHERE problem = %s ORDER BY position DESC LIMIT 1"
SELECT = """
    SELECT row_number, series_id, reason, row_json FROM loopcast.quarantine
    WHERE problem = %s AND ingest_id = %s ORDER BY position LIMIT %s
"""


@dataclass(frozen=True)
class QuarantineStore:
    """Refused rows in PostgreSQL, by problem and by the ingest that refused them."""

    database: Database

    def keep(self, problem: str, ingest_id: str, rows: DataFrame[Quarantine]) -> None:
        """Keep the refused rows of one ingest, in place of any that the same ingest kept before."""
        columns = [rows[name] for name in ("row_number", "series_id", "reason", "row_json")]
        with self.database.locked(f"quarantine {problem} {ingest_id}") as connection, connection.cursor() as cursor:
            cursor.execute(DELETE, [problem, ingest_id])
            with cursor.copy(COPY) as copy:
                for row_number, series_id, reason, row_json in zip(*columns, strict=True):
                    series = None if pd.isna(series_id) else storable(series_id)
                    copy.write_row((problem, ingest_id, row_number, series, storable(reason), storable(row_json)))

    def read(self, problem: str, ingest_id: str | None = None, limit: int = 1000) -> DataFrame[Quarantine]:
        """The first refused rows of one ingest, in the order in which they were kept.

        Args:
            problem: Name of the problem.
            ingest_id: Default: the last one that refused a row.
            limit: Rows at most.
        """
        with self.database.connect() as connection:
            if ingest_id is None:
                last = connection.execute(LAST_INGEST, [problem]).fetchone()
                ingest_id = str(last[0]) if last else ""
            found = connection.execute(SELECT, [problem, ingest_id, limit]).fetchall()
        frame = pd.DataFrame(found, columns=["row_number", "series_id", "reason", "row_json"])
        return DataFrame[Quarantine](frame)


def storable(text: str) -> str:
    r"""The text without what PostgreSQL cannot hold: NUL characters, and halves of a surrogate pair.

    >>> storable("GO\x00OG \udc80")
    'GO�OG ?'
    """
    return text.replace("\x00", "�").encode(errors="replace").decode()
