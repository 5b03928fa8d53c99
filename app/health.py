"""For those who watch the service: whether it runs, whether it answers forecasts, and what it counts."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import anyio
import numpy as np
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app.answers.service import Liveness, Readiness
from app.documentation import UNSIGNED
from app.metrics import QUEUE
from app.parts import ServiceParts, read_asked
from app.store_threads import READERS
from loopcast.errors import LoopcastError
from loopcast.forecasts import ForecastSource
from loopcast.model.served import make_forecasts
from loopcast.stores.champions import ServedProblem

MAX_WAIT_S: Final = 1.0
"""For the queue's figures; without them the others are told all the same."""

router = APIRouter()


@router.get("/livez", operation_id="get_liveness", openapi_extra=UNSIGNED)
async def get_liveness() -> Liveness:
    """The worker runs; where this is not answered, restart it."""
    return Liveness(is_alive=True)


@router.get("/readyz", operation_id="get_readiness", responses={503: {"model": Readiness}}, openapi_extra=UNSIGNED)
async def get_readiness(request: Request, response: Response) -> Readiness:
    """The model in service of each problem has just computed a forecast; where not, send no requests here."""
    reasons = find_obstacles(read_asked(request).parts)
    response.status_code = 503 if reasons else 200
    return Readiness(is_ready=not reasons, reasons=reasons)


@router.get("/metrics", operation_id="get_metrics", response_class=PlainTextResponse, openapi_extra=UNSIGNED)
async def get_metrics(request: Request) -> Response:
    """What Prometheus reads."""
    parts = read_asked(request).parts
    with suppress(LoopcastError), anyio.move_on_after(MAX_WAIT_S):
        await READERS.ask(parts.recent.get, QUEUE, parts.queries.measure_queue)
    return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def find_obstacles(parts: ServiceParts) -> list[str]:
    """Why forecasts are not answered, a sentence each; none where they are.

    A forecast of one series of each problem is computed, which takes less than a millisecond a problem, and not kept.
    """
    names = parts.champions.names()
    if not names:
        return ["no champion is in service yet"]
    return [reason for name in names if (reason := _find_obstacle(name, parts))]


def _find_obstacle(name: str, parts: ServiceParts) -> str | None:
    try:
        served = parts.champions.get(name)
        if not served.latest:
            return f"{name}: no series of the newest history can be forecast"
        return None if _computes(served) else f"{name}: version {served.version} answers no numbers"
    except LoopcastError:
        return f"{name}: no champion is in service"


def _computes(served: ServedProblem) -> bool:
    row = np.array([next(iter(served.latest.values()))])
    forecasts = make_forecasts(
        served.model,
        served.design,
        row,
        version=served.version,
        source=ForecastSource.ONLINE,
        request_id="readiness",
        issued_at_utc=datetime.now(UTC),
    )
    return bool(np.isfinite(forecasts.quantiles).all())
