"""Who asks: a program by its token, a person by the session that they signed in to, or whoever sits at this machine.

How people sign in stands in `app.signin`.
"""

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.asker import LOCAL, Asker
from app.errors import ErrorCode, Refusal, translate_error
from app.metrics import Metrics
from app.rates import RateLimit
from app.record import KEY, RequestRecord
from app.tokens import ActiveTokens
from loopcast.errors import LoopcastError

if TYPE_CHECKING:
    from app.signin.people import People

OPEN_PATHS: Final = frozenset(
    ["/livez", "/readyz", "/metrics", "/openapi.json", "/sign-in", "/sign-in/callback", "/sign-out"]
)
"""For those who watch the service, what says how it is asked, and the way in. None tells a forecast or a series."""
OPEN_FOLDER: Final = "/static/"
"""What pages load, the one to sign in too."""
API_FOLDER: Final = "/api/"
LOOPBACK_HOSTS: Final = frozenset([b"localhost", b"127.0.0.1", b"[::1]"])
MAX_PATH_CHARACTERS: Final = 2000
"""Of an address to come back to after signing in; from a longer one people come back to the first page."""


class SigningIn:
    """Lets a request in that an active token or session signs, and whose asker does not ask too often."""

    def __init__(
        self, app: ASGIApp, tokens: ActiveTokens, people: "People | None", limit: RateLimit, metrics: Metrics
    ) -> None:
        self.app = app
        self.tokens = tokens
        self.people = people
        self.limit = limit
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or scope["path"].startswith(OPEN_FOLDER):
            await self.app(scope, receive, send)
            return
        record: RequestRecord = scope[KEY]
        try:
            refusal = await self._judge(scope, record)
        except LoopcastError as exc:
            refusal = translate_error(exc)
        if refusal is None:
            await self.app(scope, receive, send)
        elif refusal.status_code == 401 and self.people is not None and _asks_for_page(scope):
            await RedirectResponse(f"/sign-in?next={_quote_path(scope)}", 303)(scope, receive, send)
        else:
            await refusal.respond(record)(scope, receive, send)

    async def _judge(self, scope: Scope, record: RequestRecord) -> Refusal | None:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if given is not None:
            scheme, _, secret = given.partition(b" ")
            token = self.tokens.find(secret.strip()) if scheme.lower() == b"bearer" else None
            if token is None:
                return self._refuse(scope)
            record.asker = Asker(token.owner, token.name, token.role, token.problems, is_program=True)
            return self._slow_down(token.id)
        session = None if self.people is None else await self.people.find_session(scope)
        if session is None:
            return self._refuse(scope)
        record.asker = Asker(session.asker_id, session.asker_name, session.role, session.problems)
        return self._slow_down(session.id)

    def _slow_down(self, asker: object) -> Refusal | None:
        wait_s = self.limit.take(asker)
        if not wait_s:
            return None
        self.metrics.rate_limited.inc()
        what = f"you ask too often; ask again in {wait_s} s, or send several series at once"
        return Refusal(429, ErrorCode.RATE_LIMITED, what, headers={"Retry-After": str(wait_s)})

    def _refuse(self, scope: Scope) -> Refusal:
        headers = {"WWW-Authenticate": "Bearer"}
        what = (
            "needs `Authorization: Bearer lc_...` with an active token; "
            "`loopcast tokens create NAME --all-problems` makes one"
        )
        if self.people is not None:
            what = "sign in at /sign-in, or send `Authorization: Bearer lc_...` with an active token"
            shown = next((value for name, value in scope["headers"] if name == b"hx-current-url"), None)
            if shown is not None:  # htmx: let the page that asks for a part of itself be left for the way in
                headers["HX-Redirect"] = f"/sign-in?next={_quote_shown(shown)}"
        return Refusal(401, ErrorCode.NOT_SIGNED_IN, what, headers=headers)


class LoopbackOnly:
    """Where nobody signs in: lets in what was sent to this machine by its own name.

    A page in a browser may have its own name point to 127.0.0.1, and would then ask as if from here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        refusal = None
        if scope["type"] == "http":
            host = next((value for name, value in scope["headers"] if name == b"host"), b"")
            name = host if host.endswith(b"]") else host.rpartition(b":")[0] or host
            if name.lower() in LOOPBACK_HOSTS:
                scope[KEY].asker = LOCAL
            else:
                what = "without tokens only localhost is answered; LOOPCAST_REQUIRE_TOKENS=true opens other names"
                refusal = Refusal(403, ErrorCode.WRONG_HOST, what)
        await (refusal.respond(scope[KEY]) if refusal else self.app)(scope, receive, send)


def _asks_for_page(scope: Scope) -> bool:
    if scope["method"] != "GET" or scope["path"].startswith(API_FOLDER):
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _quote_path(scope: Scope) -> str:
    """The address that was asked for, as a value in a query."""
    query = scope["query_string"].decode("latin-1")
    path = quote(scope["path"]) + (f"?{query}" if query else "")
    return quote(path, safe="") if len(path) < MAX_PATH_CHARACTERS else "/"


def _quote_shown(shown: bytes) -> str:
    """The address of the page that is shown, without its host, as a value in a query."""
    try:
        parts = urlsplit(shown.decode("latin-1"))
    except ValueError:  # it is none
        return "/"
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return quote(path, safe="") if len(path) < MAX_PATH_CHARACTERS else "/"
