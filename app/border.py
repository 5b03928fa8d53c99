"""What every answer tells a browser about how it may be used, and which requests are not answered whatever they ask.

What is said of a page's own scripts and styles stands in `pages.rendering`.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ErrorCode, Refusal
from app.record import KEY

SAFE_METHODS: Final = frozenset(["GET", "HEAD", "OPTIONS"])
"""These change nothing."""
OWN_SITES: Final = frozenset([b"same-origin", b"none"])
"""As `Sec-Fetch-Site` says that a page of this service asks, or a person by themselves."""
EVERYWHERE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Of an answer that does not say otherwise, as pages and what they load do: it is nobody else's, and never a page."""
BY_TLS: Final = (b"strict-transport-security", b"max-age=31536000")
"""For a year a browser asks this host by TLS alone."""


class SecurityHeaders:
    """Adds to every answer what browsers need to know; the outermost layer."""

    def __init__(self, app: ASGIApp, *, is_secure: bool) -> None:
        self.app = app
        self._headers = (*EVERYWHERE, BY_TLS) if is_secure else EVERYWHERE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message.get("headers", ())
                given = {name for name, _ in own}
                message["headers"] = [*own, *[each for each in self._headers if each[0] not in given]]
            await send(message)

        await self.app(scope, receive, send_guarded)


class ReadableAddress:
    """Answers no address with a NUL in it: nothing here has one in its name, and the database could not be asked."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            what = "the address has a character %00 in it, which nothing here has in its name; leave it out"
            await Refusal(400, ErrorCode.INVALID_REQUEST, what).respond(scope[KEY])(scope, receive, send)
            return
        await self.app(scope, receive, send)


class SameOrigin:
    """Answers no request that a page from elsewhere had a browser make; a link that a person follows is none.

    A request that is signed with a token is let in: no page can have a browser add one without being allowed to, and
    nothing here allows it. Neither does what is no browser's, which sends none of these headers: it has no cookies of
    anybody's, and a body must say that it is JSON, which no form can.

    Source: `CrossOriginProtection` of Go 1.25, https://pkg.go.dev/net/http#CrossOriginProtection, and for what changes
    nothing the resource isolation policy of https://web.dev/articles/fetch-metadata.
    """

    def __init__(self, app: ASGIApp, *, origin: str | None) -> None:
        self.app = app
        self._origin = None if origin is None else origin.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope["type"] == "http" and is_from_elsewhere(scope, self._origin):
            what = "a page from elsewhere may not ask here; open the page of this service that does, or send a token"
            await Refusal(403, ErrorCode.CROSS_ORIGIN, what).respond(scope[KEY])(scope, receive, send)
            return
        await self.app(scope, receive, send)


def is_from_elsewhere(scope: Scope, own_origin: bytes | None) -> bool:
    """Whether a page of another origin had a browser make this request.

    Args:
        own_origin: Where people reach the service; None for where the request was sent to.
    """
    site = mode = dest = origin = host = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return False
        if name == b"sec-fetch-site":
            site = value
        elif name == b"sec-fetch-mode":
            mode = value
        elif name == b"sec-fetch-dest":
            dest = value
        elif name == b"origin":
            origin = value
        elif name == b"host":
            host = value
    is_safe = scope["method"] in SAFE_METHODS
    if site:
        is_link = is_safe and mode == b"navigate" and dest == b"document"
        return site not in OWN_SITES and not is_link
    if is_safe or not origin:
        return False
    return origin != own_origin if own_origin else origin.partition(b"://")[2] != host
