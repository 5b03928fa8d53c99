"""What came true: the observed steps of each problem's series, and every correction of one that was known before.

The view `loopcast.forecast_steps` joins forecasts with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from loopcast.stores.copy_format import as_moments, copy_rows, encode_rows, group_by_length
from loopcast.stores.database import Database

ARRIVED: Final = "arrived_actuals"
COLUMNS: Final = ("series_id", "timestamp_utc", "actual")
STAGE = """
    CREATE TEMP TABLE arrived_actuals (
        series_id text, timestamp_utc timestamptz, actual double precision
    ) ON COMMIT DROP
"""
COMPARE = """
    CREATE TEMP TABLE changed_actuals ON COMMIT DROP AS
    SELECT series_id, timestamp_utc, known.actual AS before, arrived.actual AS after
    FROM arrived_actuals arrived
    LEFT JOIN (SELECT * FROM loopcast.actuals WHERE problem = %s) known USING (series_id, timestamp_utc)
    WHERE known.actual IS DISTINCT FROM arrived.actual
"""
ADD = """
    INSERT INTO loopcast.actuals (problem, series_id, timestamp_utc, actual)
    SELECT %s, series_id, timestamp_utc, after FROM changed_actuals WHERE before IS NULL
"""
KEEP_CORRECTED = """
    INSERT INTO loopcast.actual_corrections (problem, series_id, timestamp_utc, actual_before, actual_after)
    SELECT %s, series_id, timestamp_utc, before, after FROM changed_actuals WHERE before IS NOT NULL
"""
CORRECT = """
    UPDATE loopcast.actuals known SET actual = after FROM changed_actuals changed
    WHERE known.problem = %s AND known.series_id = changed.series_id
    AND known.timestamp_utc = changed.timestamp_utc AND before IS NOT NULL
"""
SELECT = """
    SELECT series_id, timestamp_utc, actual, first_known_at_utc FROM loopcast.actuals
    WHERE problem = %s AND timestamp_utc >= coalesce(%s::timestamptz, '-infinity')
    AND timestamp_utc <= coalesce(%s::timestamptz, 'infinity')
    ORDER BY series_id, timestamp_utc
"""


@dataclass(frozen=True)
class ActualsChange:
    """What one recording changed, in steps."""

    n_new: int
    n_corrected: int
    n_unchanged: int


@dataclass(frozen=True)
class ActualStore:
    """Actuals in PostgreSQL."""

    database: Database

    def record(self, problem: str, panel: pd.DataFrame) -> ActualsChange:
        """What changed by keeping the observed steps of a panel.

        A step that was known before with another value is corrected, and the value of before kept beside; a step that
        the panel lacks stays. Of several rows for one step the last counts.

        Args:
            problem: Name of the problem.
            panel: A frame that keeps `contracts.Panel`; what is filled in it is left out.
        """
        steps = panel.loc[~panel["is_filled"], ["series_id", "timestamp_utc", "target"]]
        steps = steps.drop_duplicates(["series_id", "timestamp_utc"], keep="last")
        with self.database.locked(f"actuals/{problem}") as connection:
            connection.execute(STAGE)
            copy_rows(connection, ARRIVED, COLUMNS, _encode(steps))
            connection.execute(COMPARE, [problem])
            n_new = connection.execute(ADD, [problem]).rowcount
            n_corrected = connection.execute(KEEP_CORRECTED, [problem]).rowcount
            connection.execute(CORRECT, [problem])
        return ActualsChange(n_new, n_corrected, len(steps) - n_new - n_corrected)

    def read(self, problem: str, since_utc: datetime | None = None, until_utc: datetime | None = None) -> pd.DataFrame:
        """The actuals of a problem by series and time: series_id, timestamp_utc, actual, first_known_at_utc.

        Args:
            since_utc, until_utc: First and last step; default: all.
        """
        with self.database.connect() as connection:
            found = connection.execute(SELECT, [problem, since_utc, until_utc]).fetchall()
        frame = pd.DataFrame(found, columns=["series_id", "timestamp_utc", "actual", "first_known_at_utc"])
        for name in ("timestamp_utc", "first_known_at_utc"):
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
        return frame.astype({"series_id": str, "actual": float})


def _encode(steps: pd.DataFrame) -> Iterator[bytes]:
    moments = as_moments(steps["timestamp_utc"].to_numpy(dtype="datetime64[us]"))
    values = steps["target"].to_numpy(dtype=np.float64)
    for rows, names in group_by_length([str(name).encode() for name in steps["series_id"]]):
        yield encode_rows([names, moments[rows], values[rows]])
