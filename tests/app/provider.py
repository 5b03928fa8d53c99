"""An OpenID provider that tests run and let misbehave: a server of its own, with keys of its own."""

import hashlib
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from benchmarks.servers import find_port

CLIENT_ID = "loopcast"
CLIENT_SECRET = "s3cret/of+the client"  # noqa: S105  of a test
Claims = dict[str, Any]


@dataclass
class ProviderServer:
    """What the provider does, which a test may change while it runs.

    Attributes:
        issuer: Its address.
        claims: Of whoever signs in; each test sets them.
        twist: Changes the claims of an ID token before it is signed.
        sign: Makes the ID token; as a provider should, unless a test says otherwise.
        keys: Those that it publishes, the last of which signs.
        more_keys: What it publishes beside them, as it stands.
        refusal_status: Of its answer to a code that it does not know.
        error: With which it sends people back, if any.
        metadata: What it says of itself beside, or instead of, what is true.
        asked: Parameters of the requests that came, by path.
    """

    issuer: str
    claims: Claims = field(default_factory=lambda: {"sub": "ada", "name": "Ada", "groups": ["analysts"]})
    twist: Callable[[Claims], Claims] = lambda claims: claims
    sign: "Callable[[ProviderServer, Claims], str]" = lambda self, claims: self.sign_well(claims)
    keys: list[RSAKey] = field(default_factory=lambda: [make_key()])
    more_keys: list[Any] = field(default_factory=list)
    refusal_status: int = 400
    error: str = ""
    metadata: Claims = field(default_factory=dict)
    asked: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def sign_well(self, claims: Claims) -> str:
        """An ID token as it should be."""
        key = self.keys[-1]
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)

    def describe(self) -> Claims:
        """Its discovery document."""
        paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        paths["end_session_endpoint"] = "logout"
        return {"issuer": self.issuer} | {name: f"{self.issuer}/{path}" for name, path in paths.items()} | self.metadata

    async def get_metadata(self, request: Request) -> Response:
        """Where it lies."""
        return JSONResponse(self.describe())

    async def get_keys(self, request: Request) -> Response:
        """With which keys it signs."""
        self._note(request, {})
        return JSONResponse({"keys": [*self.more_keys, *(key.as_dict(private=False) for key in self.keys)]})

    async def authorize(self, request: Request) -> Response:
        """Send the person back at once."""
        asked = self._note(request, dict(request.query_params))
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        given = {"error": self.error} if self.error else {"code": code}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(given | {'state': asked['state']})}", 302)

    async def issue(self, request: Request) -> Response:
        """An ID token for a code, once, to who has the verifier."""
        body = dict(part.split("=", 1) for part in (await request.body()).decode().split("&"))
        self._note(request, body | {"authorization": request.headers.get("authorization", "")})
        asked = self.codes.pop(body["code"], None)
        digest = hashlib.sha256(body["code_verifier"].encode()).digest()
        if asked is None or asked["code_challenge"] != urlsafe_b64encode(digest).rstrip(b"=").decode():
            return JSONResponse({"error": "invalid_grant"}, self.refusal_status)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        return JSONResponse({"token_type": "Bearer", "id_token": self.sign(self, self.twist(claims | self.claims))})

    def _note(self, request: Request, parameters: dict[str, str]) -> dict[str, str]:
        self.asked.setdefault(request.url.path, []).append(parameters)
        return parameters


def make_key() -> RSAKey:
    """A key that nobody had before."""
    return RSAKey.generate_key(2048, auto_kid=True)


@contextmanager
def run_provider() -> Iterator[ProviderServer]:
    """A provider that answers on a port of its own while the block runs."""
    port = find_port()
    provider = ProviderServer(f"http://127.0.0.1:{port}")
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", provider.get_metadata),
            Route("/jwks", provider.get_keys),
            Route("/authorize", provider.authorize),
            Route("/token", provider.issue, methods=["POST"]),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield provider
    finally:
        server.should_exit = True
        thread.join()
