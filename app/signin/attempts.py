"""One sign-in on its way: what must come back from the provider, and where the person wanted to go.

It travels in a cookie of the browser that began it, signed, and is good for some minutes. That it is used once is seen
to where the session begins.
"""

import hashlib
import hmac
import re
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

LASTS_S: Final = 600
"""Time for a password and a second factor."""
SEED_BYTES: Final = 32
ALGORITHMS: Final = ("HS256",)
LOCAL_PATH: Final = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1999}")
"""A path of this service as it stands in an address: printable, without a backslash, which browsers take for a slash,
and not of two slashes, which lead to another host."""


@dataclass(frozen=True)
class Attempt:
    """One sign-in.

    Attributes:
        seed: Random; what is sent to the provider follows from it.
        path: Where to go afterwards.
    """

    seed: str
    path: str

    @property
    def state(self) -> str:
        """What the provider must send back with the browser."""
        return self._derive("state")

    @property
    def nonce(self) -> str:
        """What must stand in the ID token."""
        return self._derive("nonce")

    @property
    def verifier(self) -> str:
        """What shows the provider that the code is redeemed by who asked for it (PKCE, RFC 7636)."""
        return self._derive("verifier")

    @property
    def challenge(self) -> str:
        """The digest of `verifier`, which the provider is sent first."""
        return _encode(hashlib.sha256(self.verifier.encode()).digest())

    def _derive(self, what: str) -> str:
        return _encode(hmac.digest(self.seed.encode(), what.encode(), "sha256"))


def begin_attempt(path: str) -> Attempt:
    """A new one."""
    return Attempt(secrets.token_urlsafe(SEED_BYTES), check_path(path))


def check_path(path: str) -> str:
    r"""The path if it lies in this service, else that of the first page.

    >>> [check_path(path) for path in ("/health?problem=google", "//evil", "/\\evil", "https://evil", "/sign-in")]
    ['/health?problem=google', '/', '/', '/', '/']
    """
    return path if LOCAL_PATH.fullmatch(path) and not path.startswith("/sign-") else "/"


def make_key(client_secret: str) -> OctKey:
    """What attempts are signed with, the same at every worker and after a restart."""
    return OctKey.import_key(hmac.digest(client_secret.encode(), b"loopcast sign-in attempt", "sha256"))


def seal_attempt(attempt: Attempt, key: OctKey) -> str:
    """An attempt as a cookie holds it."""
    claims = {"seed": attempt.seed, "path": attempt.path, "exp": int(time.time()) + LASTS_S}
    return jwt.encode({"alg": ALGORITHMS[0]}, claims, key, ALGORITHMS)


def open_attempt(sealed: str, key: OctKey) -> Attempt | None:
    """The attempt of a cookie; None for one that is too old, or that nobody here signed."""
    try:
        claims = jwt.decode(sealed, key, ALGORITHMS).claims
        jwt.JWTClaimsRegistry(exp={"essential": True}).validate(claims)
    except (JoseError, ValueError, TypeError):  # the last where a header is of no shape that it may have
        return None
    return Attempt(claims["seed"], check_path(claims["path"]))


def _encode(digest: bytes) -> str:
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
