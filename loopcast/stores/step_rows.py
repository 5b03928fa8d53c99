"""Stored forecasts as steps beside their actuals, read in parts of bounded size.

What came true is put on the scale of the origin as the view `loopcast.forecast_steps` does it; the view gives a row for
each step, and is for people and single forecasts.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from psycopg import Connection, sql
from psycopg.rows import TupleRow

from loopcast.config import Problem
from loopcast.health.rollup import HOUR
from loopcast.health.steps import Steps
from loopcast.stores.copy_format import decode_rows, read_rows
from loopcast.typing import Floats, Ints, Times

AT_ONCE: Final = 1 << 15
"""Forecasts that are decoded together: with 5 horizons of 13 quantiles 17 MB."""
SELECT_FORECASTS = sql.SQL("""
    SELECT cardinality(f.target_utc), coalesce(array_length(f.quantiles, 2), 0),
        (coalesce(m.transform, {transform}) = {transform} AND coalesce(m.quantile_levels, {levels}) = {levels}
            AND cardinality(f.quantiles) = cardinality(f.target_utc) * cardinality({levels}))::integer,
        f.model_version, f.origin_utc, f.origin_value, f.ewma_deviation,
        CASE WHEN m.transform = 'log' AND origin.actual > 0 THEN f.origin_value / origin.actual ELSE 1 END,
        f.target_utc, f.quantiles, f.series_id
    FROM loopcast.forecasts f
    LEFT JOIN loopcast.model_versions m ON m.problem = f.problem AND m.version = f.model_version
    LEFT JOIN loopcast.actuals origin
        ON origin.problem = f.problem AND origin.series_id = f.series_id AND origin.timestamp_utc = f.origin_utc
    WHERE f.problem = {problem} AND f.origin_utc >= {first} AND f.origin_utc < {end}
        AND date_bin('1 hour', f.origin_utc, 'epoch') = ANY({hours})
""")
PLAN = "SET LOCAL enable_nestloop = off"
"""The planner knows nothing of what was written a moment ago, and would look up the origin of each forecast singly."""
SELECT_ACTUALS = sql.SQL("""
    SELECT timestamp_utc, actual, series_id FROM loopcast.actuals
    WHERE problem = {problem} AND timestamp_utc >= {first} AND timestamp_utc < {end}
""")
SHAPE: Final = slice(2, 26)
"""Where a tuple says how many horizons and levels it has, and whether they are the problem's: three integers."""


class Part(NamedTuple):
    """Some of the forecasts."""

    hours: Times
    """Of the origin of each forecast, shape (n,)."""
    steps: Steps | None
    """None of forecasts that answer another question: quantiles of other levels, or of another transform."""


def read_steps(
    connection: Connection[TupleRow], problem: Problem, hours: Times, since_utc: np.datetime64, until_utc: np.datetime64
) -> Iterator[Part]:
    """The forecasts of some hours of origins, in parts.

    Args:
        hours: Ascending, shape (n,).
        since_utc, until_utc: Ends of the days of targets whose actuals are wanted; those of others stay NaN.
    """
    if not len(hours):
        return
    actuals = Actuals.read(connection, problem.name, since_utc, until_utc)
    query = SELECT_FORECASTS.format(
        problem=problem.name,
        transform=problem.transform,
        levels=sql.SQL("{}::double precision[]").format(list(problem.quantiles)),
        hours=[_utc(hour) for hour in hours],
        first=_utc(hours[0]),
        end=_utc(hours[-1] + np.timedelta64(1, "h")),
    )
    connection.execute(PLAN)
    groups: dict[tuple[int, bytes], list[bytes]] = defaultdict(list)
    for k, row in enumerate(read_rows(connection, query), 1):
        groups[len(row), row[SHAPE]].append(row)
        if k % AT_ONCE == 0:
            yield from _decode(groups, actuals)
            groups.clear()
    yield from _decode(groups, actuals)


@dataclass(frozen=True)
class Actuals:
    """What came true in some days, for looking up.

    Attributes:
        codes: Of each series.
        times: Ascending, each once, shape (t,).
        keys: Code times t plus the number of the time, ascending, shape (n,).
        values: Shape (n,).
    """

    codes: dict[str, int]
    times: Times
    keys: Ints
    values: Floats

    @classmethod
    def read(
        cls, connection: Connection[TupleRow], problem: str, since_utc: np.datetime64, until_utc: np.datetime64
    ) -> Self:
        """All of a problem's from one moment to before another."""
        query = SELECT_ACTUALS.format(problem=problem, first=_utc(since_utc), end=_utc(until_utc))
        groups: dict[int, list[bytes]] = defaultdict(list)
        for row in read_rows(connection, query):
            groups[len(row)].append(row)
        codes: dict[str, int] = {}
        parts = []
        for length, rows in groups.items():
            times, values, texts = decode_rows(rows, [("m", ()), ("d", ()), ("B", (length - 2 - 12 - 12 - 4,))])
            names, series = _name(texts)
            parts.append((np.array([codes.setdefault(name, len(codes)) for name in names])[series], times, values))
        if not parts:
            return cls({}, np.zeros(1, dtype="datetime64[us]"), np.zeros(1, dtype=np.int64), np.full(1, np.nan))
        series, times, values = (np.concatenate(each) for each in zip(*parts, strict=True))
        moments, numbers = np.unique(times, return_inverse=True)
        keys = series * len(moments) + numbers
        order = np.argsort(keys)
        return cls(codes, moments, keys[order], values[order])

    def look_up(self, series_ids: Sequence[str], series: Ints, target_utc: Times) -> Floats:
        """What came true of each series at each time, NaN where it is not known.

        Args:
            series_ids: Names by code.
            series: Codes, shape (n,).
            target_utc: Shape (n, H).
        """
        codes = np.array([self.codes.get(name, -1) for name in series_ids])[series][:, None]
        numbers = np.minimum(np.searchsorted(self.times, target_utc), len(self.times) - 1)
        keys = codes * len(self.times) + numbers
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        is_known = (self.times[numbers] == target_utc) & (self.keys[places] == keys) & (codes >= 0)
        return np.where(is_known, self.values[places], np.nan)


def _decode(groups: dict[tuple[int, bytes], list[bytes]], actuals: Actuals) -> Iterator[Part]:
    for (length, shape), rows in groups.items():
        _, n_horizons, _, n_levels, _, is_ours = np.frombuffer(shape, dtype=">i4").tolist()
        kinds: list[tuple[str, tuple[int, ...]]] = [
            *[("i", ())] * 4, ("m", ()), *[("d", ())] * 3, ("m", (n_horizons,)), ("d", (n_horizons, n_levels)),
        ]  # fmt: skip
        n_fixed = 2 + 4 * 8 + 4 * 12 + (4 + 20 + 12 * n_horizons) + (4 + 28 + 12 * n_horizons * n_levels)
        columns = decode_rows(rows, [*kinds, ("B", (length - n_fixed - 4,))])
        _, _, _, version, origin_utc, origin_value, deviation, scale, target_utc, quantiles, texts = columns
        hours = origin_utc.astype(HOUR)
        if not is_ours:
            yield Part(hours, None)
            continue
        names, series = _name(texts)
        yield Part(
            hours,
            Steps(
                series_ids=names,
                series=np.repeat(series, n_horizons),
                model_version=np.repeat(version.astype(np.int64), n_horizons),
                origin_utc=np.repeat(origin_utc, n_horizons),
                target_utc=target_utc.ravel(),
                horizon=np.tile(np.arange(1, n_horizons + 1), len(rows)),
                origin_value=np.repeat(origin_value, n_horizons),
                ewma_deviation=np.repeat(deviation, n_horizons),
                quantiles=quantiles.reshape(-1, n_levels),
                actual=(actuals.look_up(names, series, target_utc) * scale[:, None]).ravel(),
            ),
        )


def _name(texts: npt.NDArray[np.uint8]) -> tuple[tuple[str, ...], Ints]:
    """The different texts, and the number of each row's."""
    n, length = texts.shape
    if length == 0:
        return ("",), np.zeros(n, dtype=np.int64)
    found, codes = np.unique(np.ascontiguousarray(texts).view(f"S{length}").ravel(), return_inverse=True)
    return tuple(each.decode() for each in found.tolist()), np.asarray(codes, dtype=np.int64)


def _utc(moment: np.datetime64) -> str:
    """A moment that PostgreSQL takes for UTC."""
    return f"{moment.astype('datetime64[us]')}+00"
