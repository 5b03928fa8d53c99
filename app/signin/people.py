"""All that signing people in needs, opened once for a service."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from joserfc.jwk import OctKey
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from app.rates import RateLimit
from app.signin.attempts import LASTS_S, Attempt, make_key, seal_attempt
from app.signin.cookies import Cookie, list_attempts, name_attempt
from app.signin.provider import Provider
from app.signin.sessions import ActiveSessions
from loopcast.settings import Settings
from loopcast.stores.sessions import Session, Sessions

ATTEMPTS_PER_S = 20.0
"""People who may come back from the provider to one worker in a second; whoever makes up codes has it asked no more."""
MAX_ATTEMPTS: Final = 8
"""Sign-ins of one browser that are under way at once: with more of their cookies proxies would refuse its requests."""


@dataclass(frozen=True)
class People:
    """Who signs in, and how.

    Attributes:
        settings: Of this machine, with a provider.
        provider: At which they sign in.
        store: Where sessions are kept.
        active: Those that are active.
        key: With which sign-ins under way are signed.
        limit: How many of them may come back.
        session: The cookie of a session.
    """

    settings: Settings
    provider: Provider
    store: Sessions
    active: ActiveSessions
    key: OctKey
    limit: RateLimit
    session: Cookie

    @property
    def lasts(self) -> timedelta:
        """How long a session lasts, whatever is done."""
        return timedelta(hours=self.settings.session_hours)

    def keep_attempt(self, request: Request, response: Response, attempt: Attempt) -> None:
        """Let the browser keep a sign-in that has begun; one that has begun many and ended none forgets those."""
        begun = list_attempts(request.scope, self.session.is_secure)
        for each in begun if len(begun) >= MAX_ATTEMPTS else ():
            each.take(response)
        name_attempt(attempt.state, self.session.is_secure).give(response, seal_attempt(attempt, self.key), LASTS_S)

    async def find_session(self, scope: Scope) -> Session | None:
        """The session of a request, None for none.

        Raises:
            StoreError: It is not known here, and the store is away.
        """
        secret = self.session.read(scope)
        return await self.active.find_used(secret.encode("latin-1")) if secret else None


def open_people(settings: Settings, store: Sessions, active: ActiveSessions) -> People:
    """Signing in by the provider of the settings, which is not asked yet."""
    assert settings.oidc_client_secret
    is_secure = str(settings.public_url).startswith("https:")
    return People(
        settings=settings,
        provider=Provider(settings),
        store=store,
        active=active,
        key=make_key(settings.oidc_client_secret.get_secret_value()),
        limit=RateLimit(ATTEMPTS_PER_S),
        session=Cookie("loopcast", is_secure),
    )
