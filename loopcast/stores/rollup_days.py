"""Which days are to be rolled up: those that a forecast or an actual has touched since they were.

The database marks every hour in which a forecast was written or an actual came or changed, in the same transaction
(migration 0005). From marks follow days, and a day is rolled up whole: so its roll-up never depends on the order in
which things came, and one that was interrupted is done again.
"""

from typing import Final, NamedTuple

import numpy as np
from psycopg import Connection
from psycopg.rows import TupleRow

from loopcast.health.rollup import HOUR
from loopcast.typing import Ints, Times

DAYS_AT_ONCE: Final = 14
"""Days that are rolled up together: their hours' histograms take 50 MB for each model version."""
DAY: Final = np.timedelta64(1, "D")
TAKE_MARKS = """
    WITH taken AS (
        DELETE FROM loopcast.rollup_marks WHERE problem = %(problem)s
        RETURNING hour_utc, n_forecasts, last_target_utc
    ), written AS (
        INSERT INTO loopcast.forecast_hours AS known (problem, hour_utc, n_forecasts, last_target_utc)
        SELECT %(problem)s, hour_utc, sum(n_forecasts), max(last_target_utc)
        FROM taken WHERE n_forecasts > 0 GROUP BY hour_utc
        ON CONFLICT (problem, hour_utc) DO UPDATE SET n_forecasts = known.n_forecasts + excluded.n_forecasts,
            last_target_utc = greatest(known.last_target_utc, excluded.last_target_utc)
        RETURNING hour_utc, last_target_utc
    ), touched AS (
        SELECT hour_utc, last_target_utc FROM written
        UNION SELECT hour_utc, hour_utc FROM taken
        UNION SELECT hour_utc, known.last_target_utc FROM taken JOIN loopcast.forecast_hours known USING (hour_utc)
            WHERE known.problem = %(problem)s
    )
    INSERT INTO loopcast.rollup_days_due (problem, day_utc)
    SELECT DISTINCT %(problem)s, day_utc FROM touched, generate_series(
        date_bin('1 day', hour_utc, 'epoch'), date_bin('1 day', last_target_utc, 'epoch'), '1 day'
    ) AS day_utc
    ON CONFLICT DO NOTHING
"""
SELECT_DUE = """
    SELECT extract(epoch FROM day_utc)::bigint FROM loopcast.rollup_days_due
    WHERE problem = %s ORDER BY day_utc LIMIT %s
"""
SELECT_HOURS = """
    SELECT extract(epoch FROM hour_utc)::bigint, n_forecasts, extract(epoch FROM last_target_utc)::bigint
    FROM loopcast.forecast_hours
    WHERE problem = %s AND last_target_utc >= to_timestamp(%s) AND hour_utc < to_timestamp(%s) ORDER BY hour_utc
"""


class DueDays(NamedTuple):
    """Some days that are due, and the forecasts that they need."""

    days: Times
    """Ascending, shape (d,)."""
    hours: Times
    """Of origins of forecasts that are made on, or have a target on, one of the days; ascending, shape (n,)."""
    n_forecasts: Ints
    """That were written with an origin in each hour, shape (n,)."""
    reaches: np.ndarray
    """Whether an hour has to do with a day, shape (n, d)."""


def take_marks(connection: Connection[TupleRow], problem: str) -> None:
    """Turn the marks that there are into days that are due; what is marked meanwhile waits for the next time.

    Days on which an actual changed at an origin reach as far as that origin's forecasts, which are scaled by it.
    """
    connection.execute(TAKE_MARKS, {"problem": problem})


def find_due(connection: Connection[TupleRow], problem: str) -> DueDays | None:
    """The first days that are due, None where none is."""
    seconds = np.array(connection.execute(SELECT_DUE, [problem, DAYS_AT_ONCE]).fetchall(), dtype=np.int64).ravel()
    if not len(seconds):
        return None
    days = seconds.astype("datetime64[s]").astype("datetime64[D]")
    days = days[days < days[0] + DAYS_AT_ONCE * DAY]
    ends = [problem, int(seconds[0]), int(seconds[len(days) - 1]) + 86_400]
    found = np.array(connection.execute(SELECT_HOURS, ends).fetchall(), dtype=np.int64).reshape(-1, 3)
    hours, last = (found[:, k].astype("datetime64[s]") for k in (0, 2))
    reaches = (hours[:, None] < days + DAY) & (last[:, None] >= days)
    is_needed = reaches.any(axis=1)
    return DueDays(days, hours[is_needed].astype(HOUR), found[is_needed, 1], reaches[is_needed])


def find_whole(due: DueDays, n_found: Ints) -> Times:
    """The days of which every forecast is still there; of others some were forgotten, and their roll-ups stay.

    Args:
        n_found: Forecasts that were found in each hour, shape (n,).
    """
    is_short = n_found < due.n_forecasts
    whole: Times = due.days[~due.reaches[is_short].any(axis=0)]
    return whole
