"""How the body of a request is read: how large it may be, of which type, in which time, and by which parser."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

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
MAX_RECEIVING_S: Final = 4.0
"""For a whole body. After five seconds BentoML answers in our place, and not as /openapi.json says."""
UPLOADS_PATH: Final = f"{PREFIX}/uploads"
"""Its route takes files, which are no JSON and larger, and judges them itself."""
METHODS_WITH_BODY: Final = frozenset(["POST", "PUT", "PATCH"])


class _Head(NamedTuple):
    """What the headers say of a body."""

    content_type: bytes
    content_encoding: bytes
    n_bytes: int | None
    """None for one that comes in pieces."""


class BodyLimits:
    """Lets a body in if it says that it is JSON, and as long as it is neither too large nor too slow, however it comes.

    Where there is none, nobody need say of which type it is; a generated client does not. Where an answer comes before
    the end of a body that may be long, the connection is closed: whoever sends without end does not go on. Files are
    judged by the route that takes them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope["type"] != "http" or scope["method"] not in METHODS_WITH_BODY:
            await self.app(scope, receive, send)
            return
        is_file = scope["path"] == UPLOADS_PATH
        head = _read_headers(scope)
        n_bytes, is_whole, is_short = 0, False, head.n_bytes is not None and head.n_bytes <= MAX_BODY_BYTES
        until_s = asyncio.get_running_loop().time() + MAX_RECEIVING_S

        async def receive_counted() -> Message:
            nonlocal n_bytes, is_whole, is_short
            try:
                async with asyncio.timeout_at(None if is_file or is_whole else until_s):
                    message = await receive()
            except TimeoutError:
                is_short = False
                raise _refuse_delay() from None
            n_bytes += len(message.get("body", b""))
            if n_bytes > MAX_BODY_BYTES and not is_file:
                raise _refuse_size()
            is_whole |= not message.get("more_body", False)
            return message

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and not (is_short or is_whole):
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        refusal = None if is_file else _judge_head(head)
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


def _read_headers(scope: Scope) -> _Head:
    """What they say; of a body of which they say nothing, that there is none."""
    content_type = content_encoding = content_length = b""
    is_in_pieces = False
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value.partition(b";")[0].strip().lower()
        elif name == b"content-encoding":
            content_encoding = value.strip().lower()
        elif name == b"content-length":
            content_length = value
        elif name == b"transfer-encoding":
            is_in_pieces = True
    n_bytes = int(content_length) if content_length.isdigit() else None if is_in_pieces else 0
    return _Head(content_type, content_encoding, n_bytes)


def _judge_head(head: _Head) -> Refusal | None:
    is_none = head.n_bytes == 0 and not head.content_type
    if head.content_type != b"application/json" and not is_none:
        return Refusal(415, ErrorCode.WRONG_CONTENT_TYPE, "the body needs `Content-Type: application/json`")
    if head.content_encoding not in {b"", b"identity"}:
        what = "a compressed body is not taken; send the JSON without Content-Encoding"
        return Refusal(415, ErrorCode.WRONG_CONTENT_TYPE, what)
    return _refuse_size() if head.n_bytes is not None and head.n_bytes > MAX_BODY_BYTES else None


def _refuse_size() -> Refusal:
    what = f"the body is larger than {MAX_BODY_BYTES} bytes; send fewer series or shorter histories at once"
    return Refusal(413, ErrorCode.BODY_TOO_LARGE, what)


def _refuse_delay() -> Refusal:
    what = f"the body did not come within {MAX_RECEIVING_S:.0f} s; send it over a faster line, or less at once"
    return Refusal(408, ErrorCode.INVALID_REQUEST, what)
