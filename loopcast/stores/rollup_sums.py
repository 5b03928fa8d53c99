"""What the forecasts of some days add up to, part by part, and how it is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from pandera.typing import DataFrame
from psycopg import Connection, sql
from psycopg.rows import TupleRow

from loopcast.config import Problem
from loopcast.health.histogram import Bins, Histogram
from loopcast.health.rollup import pack_counts, roll_up
from loopcast.health.steps import ISSUED, WATCHED, Column, Steps, measure_columns
from loopcast.health.sums import KEYS, StepSums, add_sums, sum_steps
from loopcast.typing import Floats, Times

EdgesOf = Callable[[int], Mapping[Column, Bins]]
"""The edges of a model version's columns."""

SUMS: Final = tuple(StepSums.to_schema().columns)
TRACK_KEYS: Final = ("day_utc", "model_version", "series_id", "origin_utc")
TYPES: Final = {
    "rollups": ("text", "timestamptz", "int4", "text", "int8", *["float8"] * 4, "bytea"),
    "step_sums": ("text", "timestamptz", "int4", "text", "int4", *["float8"] * (len(SUMS) - len(KEYS))),
    "step_tracks": ("text", "timestamptz", "int4", "text", "timestamptz", *["float8"] * len(WATCHED)),
}
"""Of the columns of each table."""
DELETE = sql.SQL("""
    DELETE FROM loopcast.{table} WHERE problem = {problem} AND {time} >= {first} AND {time} < {last} + interval '1 day'
        AND date_bin('1 day', {time}, 'epoch') = ANY({days})
""")


@dataclass
class DaySums:
    """The roll-ups, sums and tracks of some days of one problem.

    Attributes:
        days: Ascending.
        edges_of: Asked for each version that there are forecasts of.
    """

    problem: Problem
    days: Times
    edges_of: EdgesOf
    histograms: dict[tuple[np.datetime64, int, Column], Histogram] = field(default_factory=dict)
    sums: DataFrame[StepSums] | None = None
    tracks: pd.DataFrame | None = None

    def add(self, steps: Steps) -> None:
        """Count some more steps; those that have nothing to do with the days are passed over."""
        is_issued = np.isin(steps.origin_utc.astype("datetime64[D]"), self.days) & (steps.horizon == 1)
        is_due = np.isin(steps.target_utc.astype("datetime64[D]"), self.days)
        is_taken = is_issued | is_due
        if not is_taken.any():
            return
        steps, is_issued, is_due = steps.take(is_taken), is_issued[is_taken], is_due[is_taken]
        values = measure_columns(steps, self.problem)
        for version in np.unique(steps.model_version).tolist():
            self._add_histograms(steps, values, steps.model_version == version, is_issued, is_due, version)
        due = steps.take(is_due)
        found = {column: each[is_due] for column, each in values.items()}
        sums = sum_steps(due, self.problem, found)
        self.sums = sums if self.sums is None else add_sums(self.sums, sums)
        self.tracks = pd.concat([self.tracks, _sum_tracks(due, found)]).groupby(level=list(range(4))).sum()

    def write(self, connection: Connection[TupleRow], days: Times) -> None:
        """Put what was counted in the place of what there was of some of the days."""
        stored = [_utc(day) for day in days]
        if not stored:
            return
        kept = {day.replace(tzinfo=None) for day in stored}
        for table, time, rows in (
            ("rollups", "hour_utc", self._rollup_rows()),
            ("step_sums", "day_utc", self._sum_rows()),
            ("step_tracks", "day_utc", self._track_rows()),
        ):
            connection.execute(
                DELETE.format(
                    table=sql.Identifier(table), time=sql.Identifier(time), problem=self.problem.name, days=stored,
                    first=stored[0], last=stored[-1],
                )
            )  # fmt: skip
            copy = sql.SQL("COPY loopcast.{} FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table))
            with connection.cursor() as cursor, cursor.copy(copy) as target:
                target.set_types(TYPES[table])
                for time_utc, *cells in rows:
                    if time_utc.replace(hour=0, tzinfo=None) in kept:
                        target.write_row([self.problem.name, time_utc, *cells])

    def _add_histograms(
        self, steps: Steps, values: Mapping[Column, Floats], is_ours: Any, is_issued: Any, is_due: Any, version: int
    ) -> None:
        bins = self.edges_of(version)
        for columns, is_wanted in ((ISSUED, is_issued), (set(Column) - set(ISSUED), is_due)):
            rows = is_ours & is_wanted
            chosen = {column: values[column][rows] for column in columns if column in bins}
            for each in roll_up(steps.take(rows), chosen, bins):
                key = (each.hour_utc, version, each.column)
                known = self.histograms.get(key)
                self.histograms[key] = each.histogram if known is None else known + each.histogram

    def _rollup_rows(self) -> list[list[Any]]:
        return [
            [_utc(hour), version, column.value, found.n, found.total, found.squares, found.minimum, found.maximum,
             pack_counts(found.counts)]
            for (hour, version, column), found in self.histograms.items()
        ]  # fmt: skip

    def _sum_rows(self) -> list[list[Any]]:
        if self.sums is None:
            return []
        columns = [self.sums[name].tolist() for name in SUMS]
        columns[0] = [moment.to_pydatetime() for moment in self.sums["day_utc"]]
        return [list(row) for row in zip(*columns, strict=True)]

    def _track_rows(self) -> list[list[Any]]:
        if self.tracks is None:
            return []
        means = [(self.tracks[column] / self.tracks[f"n_{column}"]).tolist() for column in WATCHED]
        return [
            [_utc(day), version, name, _utc(origin), *cells]
            for (day, version, name, origin), *cells in zip(self.tracks.index, *means, strict=True)
        ]


def _sum_tracks(steps: Steps, values: Mapping[Column, Floats]) -> pd.DataFrame:
    """Sums of the watched columns of next steps, and of how many they are, by the keys of a track."""
    is_next = steps.horizon == 1
    frame = pd.DataFrame(
        {
            "day_utc": steps.target_utc[is_next].astype("datetime64[D]").astype("datetime64[us]"),
            "model_version": steps.model_version[is_next],
            "series_id": steps.series[is_next],
            "origin_utc": steps.origin_utc[is_next],
        }
    )
    for column in WATCHED:
        found = values[column][is_next]
        frame[column.value] = np.nan_to_num(found)
        frame[f"n_{column}"] = np.isfinite(found).astype(float)
    sums = frame.groupby(list(TRACK_KEYS)).sum()
    return sums.rename(index=dict(enumerate(steps.series_ids)), level="series_id")


def _utc(moment: Any) -> datetime:
    found: datetime = pd.Timestamp(moment).tz_localize("UTC").to_pydatetime()
    return found
