"""The memory of every forecast: written once, found by id or series, with what came true and where it comes from.

How rows get into the table stands in `forecast_rows`, how its months come and go in `partitions`, and how forecasts
that were answered get here in `journal`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

import numpy as np
from psycopg import sql
from psycopg.rows import dict_row

from loopcast.forecasts import ID_BYTES, Forecasts, ForecastSource, identify_forecasts
from loopcast.stores.database import Database
from loopcast.stores.forecast_rows import COLUMNS, encode_forecasts, insert_rows
from loopcast.stores.partitions import forget_partitions
from loopcast.stores.stored_forecast import ForecastLineage, StoredForecast
from loopcast.typing import Bools, Names, Times

SELECT = sql.SQL("""
    SELECT {columns}, ARRAY(
        SELECT step.actual FROM loopcast.forecast_steps step
        WHERE step.id = f.id AND step.origin_utc = f.origin_utc ORDER BY step.horizon
    ) AS actual
    FROM (
        SELECT * FROM loopcast.forecasts WHERE {condition} ORDER BY origin_utc DESC, issued_at_utc DESC LIMIT %s
    ) f
    ORDER BY origin_utc DESC, issued_at_utc DESC
""")
SELECT_IDS = """
    SELECT id FROM loopcast.forecasts
    WHERE problem = %s AND model_version = %s AND source = %s AND series_id = ANY(%s) AND origin_utc BETWEEN %s AND %s
"""
SELECT_LINEAGE = "SELECT * FROM loopcast.forecast_lineage WHERE id = %s"
COUNT = "SELECT count(*) FROM loopcast.forecasts WHERE problem = %s"

TEXT: Final = f"S{ID_BYTES}"
"""Ids as numpy can compare them."""


SHARED: Final = ForecastLineage.model_fields.keys() & StoredForecast.model_fields.keys()
"""What lineage and forecast say alike."""


class ForecastLog(Protocol):
    """Where forecasts are kept."""

    def write(self, forecasts: Forecasts) -> int:
        """How many of the forecasts are new; those that are there already stay as they are.

        Raises:
            StoreError: A value is not finite.
        """

    def find(self, forecast_id: UUID) -> StoredForecast | None:
        """The forecast of this id, None for none."""

    def lineage(self, forecast_id: UUID) -> ForecastLineage | None:
        """Where it comes from, None where there is no such forecast."""

    def read(
        self,
        problem: str,
        *,
        series_id: str | None = None,
        since_utc: datetime | None = None,
        until_utc: datetime | None = None,
        model_version: int | None = None,
        source: ForecastSource | None = None,
        limit: int = 100,
    ) -> list[StoredForecast]:
        """The forecasts of a problem, those of the latest origin first, and of one origin the last made.

        Args:
            since_utc, until_utc: First and last origin.
        """

    def are_stored(
        self, source: ForecastSource, problem: str, version: int, series_ids: Names, origin_utc: Times
    ) -> Bools:
        """Whether each forecast of a run is here already, so that one that was stopped goes on: shape (n,).

        Args:
            series_ids, origin_utc: As for `identify_forecasts`, shape (n,).
        """

    def count(self, problem: str) -> int:
        """How many forecasts of a problem are kept."""

    def forget(self, issued_before_utc: datetime) -> int:
        """How many forecasts are forgotten: those of each month of origins in which all were made before a moment."""


@dataclass(frozen=True)
class ForecastStore:
    """`ForecastLog` in PostgreSQL."""

    database: Database

    def write(self, forecasts: Forecasts) -> int:
        """See `ForecastLog`."""
        rows = encode_forecasts(forecasts)
        with self.database.connect() as connection:
            return insert_rows(self.database, connection, [rows])

    def find(self, forecast_id: UUID) -> StoredForecast | None:
        """See `ForecastLog`."""
        found = self._select({"id =": forecast_id}, limit=1)
        return found[0] if found else None

    def lineage(self, forecast_id: UUID) -> ForecastLineage | None:
        """See `ForecastLog`."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(SELECT_LINEAGE, [forecast_id]).fetchone()
        return None if row is None else ForecastLineage.model_validate(row)

    def read(
        self,
        problem: str,
        *,
        series_id: str | None = None,
        since_utc: datetime | None = None,
        until_utc: datetime | None = None,
        model_version: int | None = None,
        source: ForecastSource | None = None,
        limit: int = 100,
    ) -> list[StoredForecast]:
        """See `ForecastLog`."""
        conditions = {
            "problem =": problem, "series_id =": series_id, "origin_utc >=": since_utc, "origin_utc <=": until_utc,
            "model_version =": model_version, "source =": source,
        }  # fmt: skip
        return self._select(conditions, limit)

    def are_stored(
        self, source: ForecastSource, problem: str, version: int, series_ids: Names, origin_utc: Times
    ) -> Bools:
        """See `ForecastLog`."""
        if not len(series_ids):
            return np.zeros(0, dtype=np.bool_)
        ids = identify_forecasts(source, problem, version, series_ids, origin_utc)
        ends = [_as_datetime(origin_utc.min()), _as_datetime(origin_utc.max())]
        with self.database.connect() as connection, connection.cursor(binary=True) as cursor:
            found = cursor.execute(SELECT_IDS, [problem, version, source, sorted(set(series_ids)), *ends])
            stored = np.frombuffer(b"".join(each.bytes for (each,) in found), dtype=ids.dtype)
        return np.isin(ids.view(TEXT), stored.view(TEXT))

    def count(self, problem: str) -> int:
        """See `ForecastLog`."""
        with self.database.connect() as connection:
            (n_forecasts,) = connection.execute(COUNT, [problem]).fetchone() or (0,)
        return int(n_forecasts)

    def forget(self, issued_before_utc: datetime) -> int:
        """See `ForecastLog`."""
        return forget_partitions(self.database, issued_before_utc)

    def _select(self, conditions: Mapping[str, object], limit: int) -> list[StoredForecast]:
        wanted = {condition: value for condition, value in conditions.items() if value is not None}
        statement = SELECT.format(
            columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
            condition=sql.SQL(" AND ").join(sql.SQL(f"{condition} %s") for condition in wanted),
        )
        with self.database.connect() as connection, connection.cursor(binary=True, row_factory=dict_row) as cursor:
            found = cursor.execute(statement, [*wanted.values(), limit])
            return [StoredForecast.model_validate(row) for row in found]


@dataclass(frozen=True)
class MemoryForecastStore:
    """`ForecastLog` of this process, for tests and trials: it knows of no actuals, and of no model version's past."""

    kept: dict[UUID, StoredForecast] = field(default_factory=dict)

    def write(self, forecasts: Forecasts) -> int:
        """See `ForecastLog`."""
        encode_forecasts(forecasts)  # refuses what the database would not take
        n_before = len(self.kept)
        for row in range(len(forecasts)):
            found = _read_row(forecasts, row)
            self.kept.setdefault(found.id, found)
        return len(self.kept) - n_before

    def find(self, forecast_id: UUID) -> StoredForecast | None:
        """See `ForecastLog`."""
        return self.kept.get(forecast_id)

    def lineage(self, forecast_id: UUID) -> ForecastLineage | None:
        """See `ForecastLog`."""
        found = self.kept.get(forecast_id)
        return None if found is None else ForecastLineage.model_validate(found.model_dump(include=SHARED))

    def read(
        self,
        problem: str,
        *,
        series_id: str | None = None,
        since_utc: datetime | None = None,
        until_utc: datetime | None = None,
        model_version: int | None = None,
        source: ForecastSource | None = None,
        limit: int = 100,
    ) -> list[StoredForecast]:
        """See `ForecastLog`."""
        found = [
            each
            for each in self.kept.values()
            if each.problem == problem
            and series_id in {None, each.series_id}
            and (since_utc is None or each.origin_utc >= since_utc)
            and (until_utc is None or each.origin_utc <= until_utc)
            and model_version in {None, each.model_version}
            and source in {None, each.source}
        ]
        return sorted(found, key=lambda each: (each.origin_utc, each.issued_at_utc), reverse=True)[:limit]

    def are_stored(
        self, source: ForecastSource, problem: str, version: int, series_ids: Names, origin_utc: Times
    ) -> Bools:
        """See `ForecastLog`."""
        ids = identify_forecasts(source, problem, version, series_ids, origin_utc)
        return np.array([UUID(bytes=each.tobytes()) in self.kept for each in ids], dtype=np.bool_)

    def count(self, problem: str) -> int:
        """See `ForecastLog`."""
        return sum(each.problem == problem for each in self.kept.values())

    def forget(self, issued_before_utc: datetime) -> int:
        """See `ForecastLog`."""
        used = {_month(each) for each in self.kept.values() if each.issued_at_utc >= issued_before_utc}
        forgotten = [each.id for each in self.kept.values() if _month(each) not in used]
        for each in forgotten:
            del self.kept[each]
        return len(forgotten)


def _read_row(forecasts: Forecasts, row: int) -> StoredForecast:
    return StoredForecast(
        id=UUID(bytes=forecasts.ids[row].tobytes()),
        problem=forecasts.problem,
        series_id=forecasts.series_ids[row],
        origin_utc=_as_datetime(forecasts.origin_utc[row]),
        model_version=forecasts.model_version,
        source=forecasts.source,
        origin_value=forecasts.origin_value[row],
        ewma_deviation=forecasts.ewma_deviation[row],
        target_utc=tuple(map(_as_datetime, forecasts.target_utc[row])),
        quantiles=tuple(map(tuple, forecasts.quantiles[row].tolist())),
        features_digest=forecasts.features_digest[row].tobytes().hex(),
        request_id=forecasts.request_id,
        issued_at_utc=forecasts.issued_at_utc,
        actual=(None,) * forecasts.target_utc.shape[1],
    )


def _as_datetime(moment: np.datetime64) -> datetime:
    naive: datetime = moment.astype("datetime64[us]").item()
    return naive.replace(tzinfo=UTC)


def _month(forecast: StoredForecast) -> tuple[int, int]:
    return forecast.origin_utc.year, forecast.origin_utc.month
