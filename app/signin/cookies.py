"""The cookies of a browser: its session, and each sign-in that is under way in one of its windows."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

ATTEMPT: Final = "loopcast-sign-in-"
"""Before the name of a sign-in's cookie."""
DIGEST_CHARACTERS: Final = 8
DIGEST: Final = re.compile(rf"[0-9a-f]{{{DIGEST_CHARACTERS}}}")


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
        return read_cookies(scope).get(self.full_name, "")

    def give(self, response: Response, value: str, lasts_s: int) -> None:
        """Let the browser keep it."""
        response.set_cookie(
            self.full_name, value, lasts_s, path="/", secure=self.is_secure, httponly=True, samesite="lax"
        )

    def take(self, response: Response) -> None:
        """Let the browser forget it."""
        self.give(response, "", 0)


def read_cookies(scope: Scope) -> Mapping[str, str]:
    """All cookies of a request, by their full names."""
    given = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    return cookie_parser(given.decode("latin-1")) if given else {}


def name_attempt(state: str, is_secure: bool) -> Cookie:
    """The cookie of the sign-in that has this state: windows that sign in at once do not take each other's."""
    return Cookie(ATTEMPT + hashlib.sha256(state.encode()).hexdigest()[:DIGEST_CHARACTERS], is_secure)


def list_attempts(scope: Scope, is_secure: bool) -> list[Cookie]:
    """The cookies of sign-ins that a request has with it."""
    prefix = Cookie(ATTEMPT, is_secure).full_name
    found = (name.removeprefix(prefix) for name in read_cookies(scope) if name.startswith(prefix))
    return [Cookie(ATTEMPT + digest, is_secure) for digest in found if DIGEST.fullmatch(digest)]
