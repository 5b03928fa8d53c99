"""Forecasts on their way into the database: as the bytes that COPY takes, and from those into the table, each once.

The bytes are also what waits in the journal, so that a forecast is put into form one time, whenever it is written.
"""

from collections.abc import Iterable
from datetime import UTC
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from psycopg import Connection
from psycopg.rows import TupleRow

from loopcast.errors import StoreError
from loopcast.forecasts import Forecasts
from loopcast.stores.copy_format import Bytes, as_bytes, as_moments, copy_rows, encode_rows, group_by_length
from loopcast.stores.database import Database
from loopcast.stores.partitions import hold_partitions

COLUMNS: Final = (
    "id", "problem", "series_id", "origin_utc", "model_version", "source", "origin_value", "ewma_deviation",
    "target_utc", "quantiles", "features_digest", "request_id", "issued_at_utc",
)  # fmt: skip
MAX_NAME_BYTES: Final = 1000
"""Of a series or a request; an entry of PostgreSQL's indexes takes 2,704 bytes."""
NAMES = ", ".join(COLUMNS)
ARRIVED: Final = "arrived_forecasts"
"""A table of each connection that writes."""
STAGE = f"CREATE TEMP TABLE IF NOT EXISTS {ARRIVED} (LIKE loopcast.forecasts) ON COMMIT DELETE ROWS"
INSERT = (
    f"INSERT INTO loopcast.forecasts ({NAMES}) SELECT {NAMES} FROM {ARRIVED} "  # noqa: S608  names from above
    "ON CONFLICT DO NOTHING"
)


def encode_forecasts(forecasts: Forecasts) -> bytes:
    """The forecasts as rows for `insert_rows`; those of series whose names are of one length come together.

    Raises:
        StoreError: A value is not finite, or a name cannot be stored.
    """
    _check_finite(forecasts)
    names = _encode_names(forecasts.series_ids)
    (request_id,) = _encode_names([forecasts.request_id])
    issued_at_utc = np.array([forecasts.issued_at_utc.astimezone(UTC).replace(tzinfo=None)], dtype="datetime64[us]")
    groups = []
    for rows, series_ids in group_by_length(names):
        columns = [
            _as_rows(forecasts.ids[rows]),
            as_bytes(forecasts.problem.encode()),
            series_ids,
            as_moments(forecasts.origin_utc[rows]),
            np.array([forecasts.model_version], dtype=np.int32),
            as_bytes(forecasts.source.encode()),
            forecasts.origin_value[rows],
            forecasts.ewma_deviation[rows],
            as_moments(forecasts.target_utc[rows]),
            forecasts.quantiles[rows],
            _as_rows(forecasts.features_digest[rows]),
            as_bytes(request_id),
            as_moments(issued_at_utc),
        ]
        groups.append(encode_rows(columns))
    return b"".join(groups)


def insert_rows(database: Database, connection: Connection[TupleRow], rows: Iterable[bytes]) -> int:
    """How many forecasts were new, of rows that `encode_forecasts` made; the caller ends the transaction."""
    connection.execute(STAGE)
    copy_rows(connection, ARRIVED, COLUMNS, rows)
    hold_partitions(connection, database, ARRIVED)
    return connection.execute(INSERT).rowcount


def _check_finite(forecasts: Forecasts) -> None:
    for name in ("origin_utc", "origin_value", "ewma_deviation", "target_utc", "quantiles"):
        values: npt.NDArray[Any] = getattr(forecasts, name)
        if not np.isfinite(values).all():
            row = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))[0]
            raise StoreError(
                f"{forecasts.problem} version {forecasts.model_version}: {name} of {forecasts.series_ids[row]} at "
                f"{forecasts.origin_utc[row]} is not finite; needs finite values, so look for what the model was given"
            )


def _encode_names(names: Iterable[str]) -> list[bytes]:
    encoded = [name.encode(errors="replace") for name in names]
    for name in encoded:
        if len(name) > MAX_NAME_BYTES or b"\0" in name:
            raise StoreError(
                f"found a name of {len(name)} bytes, {name[:40]!r}; a series or request that is stored needs a name of "
                f"at most {MAX_NAME_BYTES} bytes, without NUL"
            )
    return encoded


def _as_rows(ids: npt.NDArray[np.void]) -> Bytes:
    return ids.view(np.uint8).reshape(len(ids), -1)
