"""`GET /api/v1/forecasts/{forecast_id}` and its lineage: what was forecast, what came true, and where it came from."""

import time
from collections.abc import Callable
from typing import Final, TypeVar
from uuid import UUID

import anyio
from fastapi import APIRouter
from starlette.requests import Request

from app.answers import forecasts as answers
from app.documentation import PREFIX
from app.errors import ErrorCode, Refusal
from app.parts import Asked, read_asked
from app.store_threads import READERS
from loopcast.stores.stored_forecast import ForecastLineage, StoredForecast

MAX_WAIT_S: Final = 0.5
"""How long a forecast is waited for that may still be on its way from the journal to the table: two turns of it."""
LOOK_EVERY_S: Final = 0.1

COPIED: Final = set(answers.StoredForecast.model_fields) - {"forecast_id", "quantiles"}
"""Fields that a stored forecast and its answer share."""

Found = TypeVar("Found", StoredForecast, ForecastLineage)
router = APIRouter(prefix=f"{PREFIX}/forecasts")


@router.get("/{forecast_id}", operation_id="get_forecast")
async def get_forecast(forecast_id: UUID, request: Request) -> answers.StoredForecast:
    """A stored forecast, whole, beside what came true since."""
    asked = read_asked(request)
    found = await _find(asked.parts.forecasts.find, forecast_id, asked)
    version = await READERS.ask(asked.parts.versions.get, found.problem, found.model_version)
    if version is None:
        what = f"version {found.model_version} of {found.problem} is not known any more, and so not its levels"
        raise Refusal(404, ErrorCode.NOT_FOUND, what)
    columns = zip(version.quantile_levels, zip(*found.quantiles, strict=True), strict=True)
    return answers.StoredForecast(
        forecast_id=found.id,
        quantiles={answers.name_level(level): list(values) for level, values in columns},
        **found.model_dump(include=COPIED),
    )


@router.get("/{forecast_id}/lineage", operation_id="get_lineage")
async def get_lineage(forecast_id: UUID, request: Request) -> answers.Lineage:
    """Where a stored forecast comes from: model version, training, commit, and data."""
    asked = read_asked(request)
    found = await _find(asked.parts.forecasts.lineage, forecast_id, asked)
    return answers.Lineage(forecast_id=found.id, **found.model_dump(exclude={"id"}))


async def _find(look: Callable[[UUID], Found | None], forecast_id: UUID, asked: Asked) -> Found:
    """What a store has of a forecast; while forecasts wait in the journal it is asked again for a moment.

    Raises:
        Refusal: There is nothing, or nothing that the asker may know of.
    """
    until_s = time.monotonic() + MAX_WAIT_S
    is_on_its_way = True
    while is_on_its_way:
        # Asked before the store is: what is shipped in between is found, and what comes later is waited for.
        is_on_its_way = asked.parts.journal.n_waiting > 0 and time.monotonic() < until_s
        found = await READERS.ask(look, forecast_id)
        if found is not None and asked.record.asker.may_use(found.problem):
            return found
        await anyio.sleep(LOOK_EVERY_S if is_on_its_way else 0)
    raise refuse_forecast()


def refuse_forecast() -> Refusal:
    """What is told of a forecast that there is none of, or that the asker may not know of."""
    what = "no such forecast is stored; one that was answered just now may take a second, then ask again"
    return Refusal(404, ErrorCode.NOT_FOUND, what)
