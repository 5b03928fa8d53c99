"""How the body of a request is read: how large it may be, of which type, and by which parser."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import orjson
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.documentation import PREFIX
from app.errors import ErrorCode, Refusal
from app.record import KEY

MAX_BODY_BYTES: Final = 2 * 2**20
"""A hundred series of 150 rows with prices and a covariate, written out in full; read in some 20 ms."""
UPLOADS_PATH: Final = f"{PREFIX}/uploads"
"""Its route takes files, which are no JSON and larger, and judges them itself."""
METHODS_WITH_BODY: Final = frozenset(["POST", "PUT", "PATCH"])


class BodyLimits:
    """Lets a body in if it says that it is JSON, and as long as it is not too large, however it comes.

    Where an answer comes before the end of a body that may be long, the connection is closed: whoever sends without
    end does not go on. Files are judged by the route that takes them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope["type"] != "http" or scope["method"] not in METHODS_WITH_BODY:
            await self.app(scope, receive, send)
            return
        is_file = scope["path"] == UPLOADS_PATH
        content_type, told_bytes = _read_headers(scope)
        n_bytes, is_read = 0, told_bytes is not None and told_bytes <= MAX_BODY_BYTES

        async def receive_counted() -> Message:
            nonlocal n_bytes, is_read
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > MAX_BODY_BYTES and not is_file:
                raise _refuse_size()
            is_read |= not message.get("more_body", False)
            return message

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and not is_read:
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        refusal = None if is_file else _judge_headers(content_type, told_bytes)
        await (refusal.respond(scope[KEY]) if refusal else self.app)(scope, receive_counted, send_last)


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


def _read_headers(scope: Scope) -> tuple[bytes, int | None]:
    """Type of a body, and its length where that is told; one that says nothing of it comes in pieces, or is empty."""
    content_type = content_length = b""
    is_in_pieces = False
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value.partition(b";")[0].strip().lower()
        elif name == b"content-length":
            content_length = value
        elif name == b"transfer-encoding":
            is_in_pieces = True
    if content_length.isdigit():
        return content_type, int(content_length)
    return content_type, None if is_in_pieces else 0


def _judge_headers(content_type: bytes, told_bytes: int | None) -> Refusal | None:
    if content_type != b"application/json":
        return Refusal(415, ErrorCode.WRONG_CONTENT_TYPE, "the body needs `Content-Type: application/json`")
    return _refuse_size() if told_bytes is not None and told_bytes > MAX_BODY_BYTES else None


def _refuse_size() -> Refusal:
    what = f"the body is larger than {MAX_BODY_BYTES} bytes; send fewer series or shorter histories at once"
    return Refusal(413, ErrorCode.BODY_TOO_LARGE, what)
