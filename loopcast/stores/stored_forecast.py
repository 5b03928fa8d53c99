"""A forecast as the database remembers it, and where it comes from."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator

from loopcast.evidence.record import RECORD, Moment
from loopcast.forecasts import ForecastSource

Hexadecimal = Annotated[str, BeforeValidator(lambda found: found.hex() if isinstance(found, bytes) else found)]
"""Of bytes."""


class StoredForecast(BaseModel):
    """One forecast as it was stored, and what came true since; H horizons, K quantiles."""

    model_config = RECORD

    id: UUID
    problem: str
    series_id: str
    origin_utc: Moment
    model_version: int
    source: ForecastSource
    origin_value: float
    ewma_deviation: float
    target_utc: tuple[Moment, ...]
    """Length H."""
    quantiles: tuple[tuple[float, ...], ...]
    """H of K each, ascending."""
    features_digest: Hexadecimal
    request_id: str
    issued_at_utc: Moment
    actual: tuple[float | None, ...]
    """Of each target step, on the scale that the target had at the origin; None where not known."""


class ForecastLineage(BaseModel):
    """Where a forecast comes from; what follows the version is None where that version is not known."""

    model_config = RECORD

    id: UUID
    problem: str
    series_id: str
    origin_utc: Moment
    source: ForecastSource
    request_id: str
    issued_at_utc: Moment
    features_digest: Hexadecimal
    model_version: int
    candidate: str | None = None
    weights_sha256: str | None = None
    run_id: str | None = None
    execution_id: str | None = None
    execution_url: str | None = None
    git_commit: str | None = None
    is_git_dirty: bool | None = None
    snapshot_sha256: str | None = None
    snapshot_url: str | None = None
    trained_until_utc: Moment | None = None
    registered_at_utc: Moment | None = None
