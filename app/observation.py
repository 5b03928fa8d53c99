"""Around every request: ids, one line in the log, a place in the metrics, an answer to what nobody expected."""

import logging
import time
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import hide_error
from app.metrics import Metrics
from app.record import RequestRecord, open_record

logger = logging.getLogger(__name__)

CLIENT_GONE: Final = 499
"""Status in log and metrics of a request whose asker left before the answer, as nginx writes it."""


class Observation:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_s = time.perf_counter()
        record = open_record(scope)
        status = CLIENT_GONE
        is_started = False

        async def send_observed(message: Message) -> None:
            nonlocal status, is_started
            if message["type"] == "http.response.start":
                status, is_started = message["status"], True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", record.request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_observed)
        except Exception:  # the last boundary: whatever happens is logged, and nothing of it told
            logger.exception("an error that was not expected", extra={"fields": _describe(record)})
            if is_started:
                raise
            await hide_error().respond(record)(scope, receive, send_observed)
        finally:
            self._close(scope, record, status, time.perf_counter() - started_s)

    def _close(self, scope: Scope, record: RequestRecord, status: int, duration_s: float) -> None:
        route = getattr(scope.get("route"), "path", None)
        self.metrics.observe_request(scope["method"], route, status, duration_s)
        fields = {
            "method": scope["method"],
            "route": route,
            "status": status,
            "duration_ms": round(1000 * duration_s, 3),
            **_describe(record),
        }
        logger.info("request", extra={"fields": fields})


def _describe(record: RequestRecord) -> dict[str, Any]:
    return {
        "request_id": record.request_id,
        "trace_id": record.trace_id,
        "asker": record.asker.name,
    }
