"""What a track record is told from: sums of steps by day, model version and horizon, and forecasts beside actuals.

What is made of the sums stands in `health.track_record`, how they come to be in `rollups`. Steps of days on which a
version was trained say nothing of how it forecasts, and are counted apart.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from psycopg import sql

from loopcast.health.track_record import SUMMED
from loopcast.stores.database import Database

MAX_POINTS: Final = 260
"""Forecasts of one chart: a year of trading days, and about as many as a screen tells apart."""
SELECT_SUMS = sql.SQL("""
    SELECT extract(epoch FROM s.day_utc)::float8, s.model_version, s.horizon,
        coalesce(s.day_utc <= m.trained_until_utc, false),
        sum(s.n_steps), sum(s.n_judged), sum(s.loss), sum(s.baseline_loss), sum(s.n_covered_80), sum(s.n_covered_95),
        coalesce(sum(s.n_judged) FILTER (WHERE s.persistence_error IS NOT NULL), 0),
        coalesce(sum(s.absolute_error) FILTER (WHERE s.persistence_error IS NOT NULL), 0),
        coalesce(sum(s.persistence_error), 0)
    FROM loopcast.step_sums s
    LEFT JOIN loopcast.model_versions m ON m.problem = s.problem AND m.version = s.model_version
    WHERE {condition}
    GROUP BY 1, 2, 3, 4
""")
SELECT_DAYS = "SELECT min(day_utc), max(day_utc) FROM loopcast.step_sums WHERE problem = %s"
SELECT_WAITING = """
    SELECT min(day_utc), count(DISTINCT day_utc) FROM (
        SELECT day_utc FROM loopcast.rollup_days_due WHERE problem = %(problem)s
        UNION ALL
        SELECT date_bin('1 day', hour_utc, 'epoch') FROM loopcast.rollup_marks WHERE problem = %(problem)s
    ) AS waiting
"""
SELECT_POINTS = sql.SQL("""
    WITH first_told AS (
        SELECT DISTINCT ON (f.origin_utc) f.origin_utc, f.target_utc[{horizon}] AS target_utc, f.model_version,
            f.origin_value, m.transform,
            f.quantiles[{horizon}][array_position(m.quantile_levels, 0.5)] AS median,
            f.quantiles[{horizon}][array_position(m.quantile_levels, 0.1)] AS low_80,
            f.quantiles[{horizon}][array_position(m.quantile_levels, 0.9)] AS high_80,
            f.quantiles[{horizon}][array_position(m.quantile_levels, 0.025)] AS low_95,
            f.quantiles[{horizon}][array_position(m.quantile_levels, 0.975)] AS high_95
        FROM loopcast.forecasts f
        JOIN loopcast.model_versions m ON m.problem = f.problem AND m.version = f.model_version
        WHERE {condition} AND f.target_utc[{horizon}] > m.trained_until_utc
        ORDER BY f.origin_utc, f.issued_at_utc
    ), numbered AS (
        SELECT *, row_number() OVER (ORDER BY origin_utc DESC) - 1 AS place, count(*) OVER () AS n FROM first_told
    )
    SELECT told.n, told.origin_utc, told.target_utc, told.model_version, told.origin_value,
        told.median, told.low_80, told.high_80, told.low_95, told.high_95,
        CASE WHEN told.transform = 'log' AND origin.actual > 0
            THEN target.actual * (told.origin_value / origin.actual) ELSE target.actual END
    FROM numbered told
    LEFT JOIN loopcast.actuals target ON target.problem = {problem} AND target.series_id = {series}
        AND target.timestamp_utc = told.target_utc
    LEFT JOIN loopcast.actuals origin ON origin.problem = {problem} AND origin.series_id = {series}
        AND origin.timestamp_utc = told.origin_utc
    WHERE told.place % ((told.n + {most} - 1) / {most}) = 0
    ORDER BY told.origin_utc
""")


class Rolled(NamedTuple):
    """How far the sums go."""

    first_day_utc: datetime | None
    last_day_utc: datetime | None
    """Of the targets, also of those that have not come true; None where nothing was ever added up."""
    waiting_since_utc: datetime | None
    """First day that a forecast or an actual has touched since it was added up; None where nothing waits."""
    n_waiting_days: int


@dataclass(frozen=True)
class Chosen:
    """Which steps are meant.

    Attributes:
        since_utc, until_utc: From one day's midnight to before another's, of targets.
        series_id, model_version, horizon: None for all.
    """

    problem: str
    since_utc: datetime
    until_utc: datetime
    series_id: str | None = None
    model_version: int | None = None
    horizon: int | None = None


class Point(NamedTuple):
    """A forecast of one horizon, beside what came true; columns of `SELECT_POINTS`, behind the number of origins."""

    origin_utc: datetime
    target_utc: datetime
    model_version: int
    origin_value: float
    """What persistence says."""
    median: float
    low_80: float
    high_80: float
    low_95: float
    high_95: float
    actual: float | None
    """On the scale of the origin; None where it is not known."""


@dataclass(frozen=True)
class TrackRecordStore:
    """Track records in PostgreSQL."""

    database: Database

    def find_rolled(self, problem: str) -> Rolled:
        """How far the sums of a problem go, and what they lack."""
        with self.database.connect() as connection:
            first, last = connection.execute(SELECT_DAYS, [problem]).fetchone() or (None, None)
            since, n_days = connection.execute(SELECT_WAITING, {"problem": problem}).fetchone() or (None, 0)
        return Rolled(first, last, since, int(n_days))

    def read_sums(self, chosen: Chosen) -> pd.DataFrame:
        """Sums over the series, with the columns that `sum_up_track` reads, and whether a day was trained on."""
        wanted = {
            "s.problem =": chosen.problem, "s.day_utc >=": chosen.since_utc, "s.day_utc <": chosen.until_utc,
            "s.series_id =": chosen.series_id, "s.model_version =": chosen.model_version,
            "s.horizon =": chosen.horizon,
        }  # fmt: skip
        with self.database.connect() as connection, connection.cursor(binary=True) as cursor:
            rows = cursor.execute(SELECT_SUMS.format(condition=_all_of(wanted))).fetchall()
        days, versions, horizons, is_trained, *summed = np.array(rows, dtype=float).reshape(-1, 4 + len(SUMMED)).T
        return pd.DataFrame(
            {
                "day_utc": pd.DatetimeIndex(days.astype("datetime64[s]"), tz="UTC"),
                "model_version": versions.astype(int),
                "horizon": horizons.astype(int),
                "is_trained": is_trained.astype(bool),
                **dict(zip(SUMMED, summed, strict=True)),
            }
        )

    def read_points(self, chosen: Chosen, n_most: int = MAX_POINTS) -> tuple[int, list[Point]]:
        """How many origins there are, and what was forecast from them first, every so many where there are more.

        Args:
            chosen: One series and one horizon; its days are those of origins.
        """
        wanted = {
            "f.problem =": chosen.problem, "f.series_id =": chosen.series_id, "f.origin_utc >=": chosen.since_utc,
            "f.origin_utc <": chosen.until_utc, "f.model_version =": chosen.model_version,
        }  # fmt: skip
        query = SELECT_POINTS.format(
            condition=_all_of(wanted), problem=chosen.problem, series=chosen.series_id, horizon=chosen.horizon or 1,
            most=n_most,
        )  # fmt: skip
        with self.database.connect() as connection, connection.cursor(binary=True) as cursor:
            rows = cursor.execute(query).fetchall()
        return (rows[0][0] if rows else 0), [Point._make(row[1:]) for row in rows]


def _all_of(wanted: dict[str, Any]) -> sql.Composed:
    conditions = (
        sql.SQL("{} {}").format(sql.SQL(what), sql.Literal(value))
        for what, value in wanted.items()
        if value is not None
    )
    return sql.SQL(" AND ").join(conditions)
