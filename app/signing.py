"""Who asks: a token for everything but the few paths that are open to all, and how often one may ask."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.asker import LOCAL, Asker
from app.errors import ErrorCode, Refusal
from app.metrics import Metrics
from app.rates import RateLimit
from app.record import KEY, RequestRecord
from app.tokens import ActiveTokens

OPEN_PATHS: Final = frozenset(["/livez", "/readyz", "/metrics", "/openapi.json"])
"""For those who watch the service, and what says how it is asked. None tells a forecast or a series."""
LOOPBACK_HOSTS: Final = frozenset([b"localhost", b"127.0.0.1", b"[::1]"])


class SigningIn:
    """Lets a request in whose token is active and does not ask too often."""

    def __init__(self, app: ASGIApp, tokens: ActiveTokens, limit: RateLimit, metrics: Metrics) -> None:
        self.app = app
        self.tokens = tokens
        self.limit = limit
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        is_open = scope["type"] != "http" or scope["path"] in OPEN_PATHS
        refusal = None if is_open else self._judge(scope)
        await (refusal.respond(scope[KEY]) if refusal else self.app)(scope, receive, send)

    def _judge(self, scope: Scope) -> Refusal | None:
        record: RequestRecord = scope[KEY]
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, secret = given.partition(b" ")
        token = self.tokens.find(secret.strip()) if scheme.lower() == b"bearer" else None
        if token is None:
            what = (
                "needs `Authorization: Bearer lc_...` with an active token; "
                "`loopcast tokens create NAME --all-problems` makes one"
            )
            return Refusal(401, ErrorCode.NOT_SIGNED_IN, what, headers={"WWW-Authenticate": "Bearer"})
        record.asker = Asker(token.owner, token.name, token.role, token.problems)
        if wait_s := self.limit.take(token.id):
            self.metrics.rate_limited.inc()
            what = f"this token asks too often; ask again in {wait_s} s, or send several series at once"
            return Refusal(429, ErrorCode.RATE_LIMITED, what, headers={"Retry-After": str(wait_s)})
        return None


class LoopbackOnly:
    """Where no token is asked for: lets in what was sent to this machine by its own name.

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
