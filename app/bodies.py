"""How the body of a request is read: how large it may be, of which type, and by which parser."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import orjson
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ErrorCode, Refusal
from app.record import KEY

MAX_BODY_BYTES: Final = 2 * 2**20
"""A hundred series of 150 rows with prices and a covariate, written out in full; read in some 20 ms."""
METHODS_WITH_BODY: Final = frozenset(["POST", "PUT", "PATCH"])


class BodyLimits:
    """Lets a body in if it says that it is JSON, and as long as it is not too large, however it comes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope["type"] != "http" or scope["method"] not in METHODS_WITH_BODY:
            await self.app(scope, receive, send)
            return
        n_bytes = 0

        async def receive_counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > MAX_BODY_BYTES:
                raise _refuse_size()
            return message

        refusal = _judge_headers(scope)
        await (refusal.respond(scope[KEY]) if refusal else self.app)(scope, receive_counted, send)


class JsonRequest(Request):
    """A request whose body is read by orjson, which knows no NaN and bounds how deep it nests."""

    async def json(self) -> Any:
        """The body.

        Raises:
            json.JSONDecodeError: It is no JSON in UTF-8.
        """
        return orjson.loads(await self.body())


class JsonRoute(APIRoute):
    """A route whose requests are `JsonRequest`s."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI says."""
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json


def _judge_headers(scope: Scope) -> Refusal | None:
    content_type = content_length = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length":
            content_length = value
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        return Refusal(415, ErrorCode.WRONG_CONTENT_TYPE, "the body needs `Content-Type: application/json`")
    if content_length.isdigit() and int(content_length) > MAX_BODY_BYTES:
        return _refuse_size()
    return None


def _refuse_size() -> Refusal:
    what = f"the body is larger than {MAX_BODY_BYTES} bytes; send fewer series or shorter histories at once"
    return Refusal(413, ErrorCode.BODY_TOO_LARGE, what)
