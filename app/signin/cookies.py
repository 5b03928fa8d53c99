"""The two cookies of a browser: its session, and the sign-in that is under way."""

from dataclasses import dataclass

from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope


@dataclass(frozen=True)
class Cookie:
    """A cookie that only this service reads, no script, and no request that another page made.

    Attributes:
        name: Without the prefix.
        is_secure: Whether people reach the service by TLS. Then the cookie is bound to this host alone; without TLS,
            which is for this machine, browsers allow no such prefix.
    """

    name: str
    is_secure: bool

    @property
    def full_name(self) -> str:
        """As it is sent."""
        return f"__Host-{self.name}" if self.is_secure else self.name

    def read(self, scope: Scope) -> str:
        """What a request has of it, nothing where it has none."""
        given = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
        return cookie_parser(given.decode("latin-1")).get(self.full_name, "") if given else ""

    def give(self, response: Response, value: str, lasts_s: int) -> None:
        """Let the browser keep it."""
        response.set_cookie(
            self.full_name, value, lasts_s, path="/", secure=self.is_secure, httponly=True, samesite="lax"
        )

    def take(self, response: Response) -> None:
        """Let the browser forget it."""
        self.give(response, "", 0)
