"""Forecasts as they are stored and judged: one for each series and origin, all horizons and quantiles together.

How a model makes them stands in `model`, where they are kept in `stores`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Final

import numpy as np

from loopcast.typing import Floats, Ids, Names, Times

ID_BYTES: Final = 16
"""Of an id and of a digest: as many as a UUID has."""


class ForecastSource(StrEnum):
    """On whose behalf a forecast was made."""

    ONLINE = "online"
    """A request to the service."""
    BATCH = "batch"
    """The scheduled run over all series, or a backfill."""
    REPLAY = "replay"
    """A walk through history."""


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of one problem by one model version; n forecasts, H horizons, K quantiles.

    A forecast can be judged by what is in it and the actuals that come later, with no other data: `origin_value` and
    `ewma_deviation` say what the naive baseline forecast at the same origin.

    Attributes:
        problem: Name of the problem.
        model_version: That made them.
        source: On whose behalf.
        ids: 16 bytes each, shape (n,).
        series_ids: Shape (n,).
        origin_utc: Last observed step, shape (n,).
        origin_value: Target at the origin, in its unit, shape (n,).
        ewma_deviation: Standard deviation of the next change of the transformed target, as the EWMA baseline sees it
            at the origin, shape (n,).
        target_utc: Steps that are forecast, shape (n, H).
        quantiles: Of the target, in its unit, ascending, shape (n, H, K).
        features_digest: BLAKE2b of the features that the model read, 16 bytes each, shape (n,).
        issued_at_utc: When they were made.
        request_id: Of the request or run that asked for them.
    """

    problem: str
    model_version: int
    source: ForecastSource
    ids: Ids
    series_ids: Names
    origin_utc: Times
    origin_value: Floats
    ewma_deviation: Floats
    target_utc: Times
    quantiles: Floats
    features_digest: Ids
    issued_at_utc: datetime
    request_id: str

    def __len__(self) -> int:
        """How many forecasts these are, n."""
        return len(self.ids)


def identify_forecasts(source: ForecastSource, problem: str, version: int, series_ids: Names, origin_utc: Times) -> Ids:
    """Ids that say what is forecast, by whom and why, so that a run that is repeated finds what it stored: shape (n,).

    Of forecasts that are answered online each is one of its own, whatever it says; their ids are random.

    Args:
        series_ids: Shape (n,).
        origin_utc: Shape (n,).

    >>> origin_utc = np.array(["2024-02-29"], dtype="datetime64[us]")
    >>> ids = identify_forecasts(ForecastSource.BATCH, "google", 3, np.array(["GOOG"], dtype=object), origin_utc)
    >>> ids[0].tobytes().hex()
    'd3875378d6f5a1785510c17f1f66d2da'
    """
    shared = blake2b(f"{source}\0{problem}\0{version}\0".encode(), digest_size=ID_BYTES)
    moments = origin_utc.astype("datetime64[us]").astype("<i8").view("V8")
    digests = bytearray()
    for series_id, moment in zip(series_ids, moments, strict=True):
        each = shared.copy()
        each.update(moment.tobytes() + series_id.encode(errors="surrogatepass"))
        digests += each.digest()
    return np.frombuffer(bytes(digests), dtype=f"V{ID_BYTES}")
