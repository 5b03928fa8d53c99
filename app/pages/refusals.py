"""Refusals as pages: whoever looks with a browser is told in a page what a program is told in JSON."""

import logging
import re
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.pages.rendering import render

logger = logging.getLogger(__name__)

NOT_PAGES: Final = re.compile(r"/(api|static|livez|readyz|metrics|openapi\.json)(/|$)")
"""Paths whose refusals stay as they are, whoever asks."""
JSON: Final = b"application/json"
KEPT_HEADERS: Final = frozenset([b"www-authenticate", b"retry-after", b"x-request-id", b"allow"])
"""Of a refusal, on its page too."""


class RefusalPages:
    """Turns what the app refuses into a page, where a page was asked for; around all that may refuse."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if not _asks_for_page(scope):
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def send_page(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_refusal(message):
                start = message
            elif start is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    await _answer_refusal(scope, start, body)(scope, receive, send)

        await self.app(scope, receive, send_page)


def _asks_for_page(scope: Scope) -> bool:
    if scope["type"] != "http" or NOT_PAGES.match(scope["path"]):
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _is_refusal(start: Message) -> bool:
    return start["status"] >= 400 and any(
        name.lower() == b"content-type" and value.startswith(JSON) for name, value in start.get("headers", ())
    )


def _answer_refusal(scope: Scope, start: Message, body: bytes) -> Response:
    """The page that a refusal becomes, or the refusal as it is where there can be no page."""
    headers = {name.decode(): value.decode() for name, value in start["headers"] if name.lower() in KEPT_HEADERS}
    status = start["status"]
    try:
        error = orjson.loads(body)["error"]
        if status == 404 and "route" not in scope:
            error["message"] = "there is no page at this address"
        context = {"problem": None, "error": error, "status_code": status}
        return render(Request(scope), "message.html.jinja", status=status, headers=headers, **context)
    except Exception:  # the last boundary: what cannot be shown is still told
        logger.exception("a refusal could not be shown as a page")
        return Response(body, status, headers, JSON.decode())
