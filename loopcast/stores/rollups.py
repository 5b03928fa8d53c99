"""Roll-ups of stored forecasts: histograms by hour, sums and tracks by day, kept up to date, read by monitoring.

A day's monitoring reads these and no forecast. Which days must be rolled up anew stands in `rollup_days`, what is
written in `rollup_sums`.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandera.typing import DataFrame
from psycopg import Connection
from psycopg.rows import TupleRow

from loopcast.config import Problem
from loopcast.health.histogram import Bins, Histogram
from loopcast.health.rollup import RollUp, merge_rollups, unpack_counts
from loopcast.health.steps import WATCHED, Column
from loopcast.health.sums import StepSums
from loopcast.health.watched import OF_VERSION, Track
from loopcast.stores.database import Database
from loopcast.stores.rollup_days import DAY, DueDays, find_due, find_whole, take_marks
from loopcast.stores.rollup_sums import SUMS, DaySums, EdgesOf
from loopcast.stores.step_rows import read_steps

SELECT_WINDOW = """
    SELECT model_version, column_name, total, squares, minimum, maximum, low, high, counts
    FROM loopcast.rollups JOIN loopcast.rollup_edges USING (problem, model_version, column_name)
    WHERE problem = %s AND hour_utc >= %s AND hour_utc < %s ORDER BY hour_utc
"""
SELECT_SUMS = f"""
    SELECT {", ".join(SUMS)} FROM loopcast.step_sums
    WHERE problem = %s AND model_version = %s AND day_utc >= %s AND day_utc < %s
    ORDER BY day_utc, series_id, horizon
"""  # noqa: S608  names of columns
SELECT_TRACKS = f"""
    SELECT series_id, origin_utc, model_version = %s, {", ".join(WATCHED)} FROM loopcast.step_tracks
    WHERE problem = %s AND origin_utc >= %s AND origin_utc < %s AND day_utc >= date_bin('1 day', %s, 'epoch')
    ORDER BY origin_utc
"""  # noqa: S608  names of columns
SELECT_EDGES = "SELECT model_version, column_name, low, high FROM loopcast.rollup_edges WHERE problem = %s"
ADD_EDGES = "INSERT INTO loopcast.rollup_edges VALUES (%s, %s, %s, %s, %s)"
SETTLE = "DELETE FROM loopcast.rollup_days_due WHERE problem = %s AND day_utc = ANY(%s)"


class RolledUp(NamedTuple):
    """What a run of `roll_up_new` did."""

    n_days: int
    n_forecasts: int
    """That were read for them; one whose targets lie in several days may be read several times."""


@dataclass(frozen=True)
class RollUpStore:
    """Roll-ups in PostgreSQL."""

    database: Database

    def roll_up_new(self, problem: Problem, edges_of: EdgesOf) -> RolledUp:
        """Bring the roll-ups up to all forecasts and actuals that are stored.

        Each day that has changed is rolled up whole, so that the result is that of a roll-up from scratch, whatever
        came late, was corrected or was interrupted. Several may run at once: they take turns.

        Args:
            edges_of: Asked for a version when forecasts of it are first met; kept from then on. Of a version without
                edges there are sums and tracks, and no histogram.
        """
        lock, n_days, n_forecasts = f"rollups/{problem.name}", 0, 0
        with self.database.locked(lock) as connection:
            take_marks(connection, problem.name)
        while True:
            with self.database.locked(lock) as connection:
                due = find_due(connection, problem.name)
                if due is None:
                    return RolledUp(n_days, n_forecasts)
                n_forecasts += self._roll_up(connection, problem, due, edges_of)
                connection.execute(SETTLE, [problem.name, [f"{day}T00:00Z" for day in due.days]])
                n_days += len(due.days)

    def read_window(
        self, problem: str, since_utc: datetime, until_utc: datetime
    ) -> dict[tuple[int, Column], Histogram]:
        """Histograms of the hours from one moment to before another, by model version and column."""
        with self.database.connect() as connection, connection.cursor(binary=True) as cursor:
            rows = cursor.execute(SELECT_WINDOW, [problem, since_utc, until_utc])
            return merge_rollups(
                RollUp(np.datetime64("NaT"), version, Column(name), _restore(*cells)) for version, name, *cells in rows
            )

    def read_sums(
        self, problem: str, model_version: int, since_utc: datetime, until_utc: datetime
    ) -> DataFrame[StepSums]:
        """Sums of a version's steps whose target's day begins from one moment to before another."""
        with self.database.connect() as connection, connection.cursor(binary=True) as cursor:
            rows = cursor.execute(SELECT_SUMS, [problem, model_version, since_utc, until_utc]).fetchall()
        frame = pd.DataFrame(rows, columns=list(SUMS))
        frame["day_utc"] = pd.to_datetime(frame["day_utc"], utc=True).astype("datetime64[us, UTC]")
        return StepSums.validate(frame)

    def read_tracks(
        self, problem: str, model_version: int, since_utc: datetime, until_utc: datetime
    ) -> dict[str, Track]:
        """Tracks of the series over the origins from one moment to before another.

        Inputs are those of all versions; width and place of the intervals those of one version, NaN where it made none.
        """
        with self.database.connect() as connection, connection.cursor(binary=True) as cursor:
            asked = [model_version, problem, since_utc, until_utc, since_utc]
            rows = cursor.execute(SELECT_TRACKS, asked).fetchall()
        names = [column.value for column in WATCHED]
        frame = pd.DataFrame(rows, columns=["series_id", "origin_utc", "is_version", *names])
        frame = frame.astype(dict.fromkeys(names, float))
        frame.loc[~frame["is_version"].astype(bool), list(OF_VERSION)] = np.nan
        frame["origin_utc"] = pd.to_datetime(frame["origin_utc"], utc=True).dt.tz_localize(None)
        means = frame.groupby(["series_id", "origin_utc"])[names].mean()
        tracks = {}
        for series_id, found in means.groupby(level="series_id"):
            origins = found.index.get_level_values("origin_utc").to_numpy(dtype="datetime64[us]")
            tracks[str(series_id)] = Track(origins, {column: found[column.value].to_numpy() for column in WATCHED})
        return tracks

    def _roll_up(self, connection: Connection[TupleRow], problem: Problem, due: DueDays, edges_of: EdgesOf) -> int:
        """How many forecasts were read for the days."""
        edges = _KeptEdges(connection, problem.name, edges_of)
        sums = DaySums(problem, due.days, edges)
        n_found = np.zeros(len(due.hours), dtype=np.int64)
        for part in read_steps(connection, problem, due.hours, due.days[0], due.days[-1] + DAY):
            n_found += np.bincount(np.searchsorted(due.hours, part.hours), minlength=len(n_found))
            if part.steps is not None:
                sums.add(part.steps)
        edges.keep()
        sums.write(connection, find_whole(due, n_found))
        return int(n_found.sum())


class _KeptEdges:
    """The edges of each version as they were when it was first met."""

    def __init__(self, connection: Connection[TupleRow], problem: str, edges_of: EdgesOf) -> None:
        self._connection, self._problem, self._edges_of = connection, problem, edges_of
        self._known: defaultdict[int, dict[Column, Bins]] = defaultdict(dict)
        self._met: list[int] = []
        for version, name, low, high in connection.execute(SELECT_EDGES, [problem]):
            self._known[version][Column(name)] = Bins(low, high)

    def __call__(self, version: int) -> Mapping[Column, Bins]:
        if version not in self._known:
            self._known[version] = dict(self._edges_of(version))
            self._met.append(version)
        return self._known[version]

    def keep(self) -> None:
        """Write those of versions that were met for the first time, when nothing else uses the connection."""
        with self._connection.cursor() as cursor:
            cursor.executemany(
                ADD_EDGES,
                [
                    [self._problem, version, column.value, bins.low, bins.high]
                    for version in self._met
                    for column, bins in self._known[version].items()
                ],
            )


def _restore(
    total: float, squares: float, minimum: float, maximum: float, low: float, high: float, counts: bytes
) -> Histogram:
    return Histogram(Bins(low, high), unpack_counts(counts), 0, total, squares, minimum, maximum)
