"""Roll-ups: what an hour of one model version's forecasts looked like, kept so that monitoring never reads them again.

A roll-up holds the histogram of one column over one hour. Hours add up to days and windows, and what arrives late is
added to its hour. What is known when a forecast is made belongs to the hour of its origin, what waits for the actual to
the hour of its target.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from loopcast.health.histogram import N_BINS, Bins, Histogram, count_values
from loopcast.health.steps import ISSUED, Column, Steps
from loopcast.typing import Floats, Ints

HOUR: Final = "datetime64[h]"


@dataclass(frozen=True)
class RollUp:
    """One column of one hour of one model version."""

    hour_utc: np.datetime64
    model_version: int
    column: Column
    histogram: Histogram


def roll_up(steps: Steps, values: Mapping[Column, Floats], bins: Mapping[Column, Bins]) -> list[RollUp]:
    """The roll-ups of some steps, by column, hour and version; hours without a value of a column have none.

    Args:
        values: Columns of the steps as `measure_columns` gives them, or some of them: only those of `ISSUED` when
            forecasts are written, the others when their actuals arrive.
        bins: Edges of each column, from the model's profile.
    """
    found = []
    for by_origin, times in ((True, steps.origin_utc), (False, steps.target_utc)):
        columns = [column for column in values if (column in ISSUED) is by_origin]
        if not columns or len(steps) == 0:
            continue
        hours = times.astype(HOUR)
        order = _sort_groups(hours.astype(np.int64), steps.model_version)
        heads = _find_heads(hours.astype(np.int64)[order], steps.model_version[order])
        for column in columns:
            ordered = values[column][order]
            for first, end in zip(heads, np.r_[heads[1:], len(order)], strict=True):
                part = ordered[first:end]
                if len(part := part[~np.isnan(part)]):
                    at = order[first]
                    version, histogram = int(steps.model_version[at]), count_values(part, bins[column])
                    found.append(RollUp(hours[at], version, column, histogram))
    return found


def merge_rollups(rollups: Iterable[RollUp]) -> dict[tuple[int, Column], Histogram]:
    """The histograms of a window, by model version and column.

    Raises:
        ValueError: Roll-ups of one version and column have different edges.
    """
    merged: dict[tuple[int, Column], Histogram] = {}
    for each in rollups:
        key = (each.model_version, each.column)
        merged[key] = merged[key] + each.histogram if key in merged else each.histogram
    return merged


def pack_counts(counts: Ints) -> bytes:
    """Counts as a database keeps them: some hundred bytes for a few values, some thousand for many."""
    return zlib.compress(counts.astype("<i8").tobytes(), level=1)


def unpack_counts(packed: bytes) -> Ints:
    """Counts as they were packed, shape (N_BINS,).

    Raises:
        ValueError: The bytes are not N_BINS counts.

    >>> unpack_counts(pack_counts(np.arange(N_BINS)))[-1]
    np.int64(2047)
    """
    counts = np.frombuffer(zlib.decompress(packed), dtype="<i8").astype(np.int64)
    if len(counts) != N_BINS:
        raise ValueError(f"found {len(counts)} counts, needs {N_BINS}; the roll-up was written by another version")
    return counts


def _sort_groups(hours: Ints, versions: Ints) -> Ints:
    """The order that puts groups one behind another; that of time already, for most that comes in."""
    later = (hours[1:] > hours[:-1]) | ((hours[1:] == hours[:-1]) & (versions[1:] >= versions[:-1]))
    return np.arange(len(hours)) if later.all() else np.lexsort((versions, hours))


def _find_heads(hours: Ints, versions: Ints) -> Ints:
    return np.flatnonzero(np.r_[True, (hours[1:] != hours[:-1]) | (versions[1:] != versions[:-1])])
