"""The OpenID provider: where it sends people, what it says of them, and whether that can be believed.

Source: OpenID Connect Core 1.0, section 3.1 (authorization code) and 3.1.3.7 (checks of the ID token); OpenID Connect
Discovery 1.0; RP-Initiated Logout 1.0; RFC 7636 (PKCE); RFC 9207 (issuer in the answer).
"""

import logging
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import anyio
import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet
from pydantic import BaseModel, ConfigDict, ValidationError

from app.signin.attempts import Attempt
from loopcast.addresses import PublicAddress
from loopcast.errors import LoopcastError
from loopcast.settings import Settings

logger = logging.getLogger(__name__)

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""With which an ID token may be signed: by a key that the provider alone has. Neither `none` nor a shared secret."""
KEY_TYPES: Final = frozenset(["RSA", "EC"])
"""Of those algorithms."""
TIMEOUT_S: Final = 4.0
"""For all that one step asks of the provider; a request of a service is given up after five seconds."""
KNOWN_FOR_S: Final = 3600.0
"""For how long the provider's addresses and keys are taken as they were read; a new key is looked for at once."""
LEEWAY_S: Final = 30
"""By how much clocks may differ."""


class ProviderError(LoopcastError):
    """The provider cannot be asked, or does not let this service ask."""


class DistrustedError(LoopcastError):
    """What the provider, or somebody in its name, said of a person cannot be believed."""


class Metadata(BaseModel):
    """What a provider says of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    issuer: str
    authorization_endpoint: PublicAddress
    token_endpoint: PublicAddress
    jwks_uri: PublicAddress
    end_session_endpoint: PublicAddress = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


@dataclass(frozen=True)
class Known:
    """What was read of a provider, and when by the monotonic clock."""

    metadata: Metadata
    keys: KeySet
    read_s: float


class Provider:
    """The provider that the settings name; asked when it is needed, so that a service starts without it."""

    def __init__(self, settings: Settings) -> None:
        assert settings.oidc_issuer, "the settings name a provider, and so all of what follows"
        assert settings.oidc_client_id
        assert settings.oidc_client_secret
        self.issuer = settings.oidc_issuer
        self.client_id = settings.oidc_client_id
        self._secret = settings.oidc_client_secret.get_secret_value()
        self._scopes = settings.oidc_scopes
        self._public_url = settings.public_url
        self._known: Known | None = None

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends people back; of the settings, and never of what a request says."""
        return f"{self._public_url}/sign-in/callback"

    async def address_sign_in(self, attempt: Attempt) -> str:
        """Where a person signs in.

        Raises:
            ProviderError: The provider does not say.
        """
        known = await self._know()
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self._scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return _extend(str(known.metadata.authorization_endpoint), asked)

    async def address_sign_out(self) -> str | None:
        """Where a person signs out of the provider; None where it has no such place.

        Raises:
            ProviderError: The provider does not say.
        """
        endpoint = (await self._know()).metadata.end_session_endpoint
        asked = {"client_id": self.client_id, "post_logout_redirect_uri": f"{self._public_url}/sign-in"}
        return None if endpoint is None else _extend(endpoint, asked)

    async def redeem(self, code: str, issuer: str | None, attempt: Attempt) -> dict[str, Any]:
        """Checked claims about the person with whom a code came back.

        Args:
            issuer: As it came back with the code, if it did.

        Raises:
            ProviderError: The provider cannot be asked.
            DistrustedError: The code is not good, or the ID token is not for this service and this sign-in.
        """
        known = await self._know()
        if issuer not in {None, self.issuer} or (
            issuer is None and known.metadata.authorization_response_iss_parameter_supported
        ):
            raise DistrustedError(f"found an answer of {str(issuer)[:200]!r}, needs one of {self.issuer}")
        id_token = await self._redeem_code(code, known.metadata, attempt)
        try:
            return self._check(id_token, known.keys, attempt)
        except InvalidKeyIdError:
            self._known = None  # it signs with a key that is new
        try:
            return self._check(id_token, (await self._know()).keys, attempt)
        except InvalidKeyIdError as exc:
            raise DistrustedError("the ID token is signed by a key that the provider does not have") from exc

    async def _know(self) -> Known:
        known = self._known
        if known is None or time.monotonic() - known.read_s > KNOWN_FOR_S:
            found = await self._ask("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            try:
                metadata = Metadata.model_validate(found)
                if metadata.issuer != self.issuer:
                    raise ProviderError(
                        f"LOOPCAST_OIDC_ISSUER: found {self.issuer}, and there a provider that names itself "
                        f"{metadata.issuer}; both must be the same, to the last slash"
                    )
                keys = read_keys(await self._ask("GET", str(metadata.jwks_uri)))
            except ValidationError as exc:
                raise ProviderError(f"{self.issuer} does not say where or with which keys it signs: {exc}") from exc
            known = self._known = Known(metadata, keys, time.monotonic())
        return known

    async def _redeem_code(self, code: str, metadata: Metadata, attempt: Attempt) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        auth = None
        if "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            auth = httpx.BasicAuth(quote_plus(self.client_id), quote_plus(self._secret))  # as RFC 6749, 2.3.1, says
        else:
            form |= {"client_id": self.client_id, "client_secret": self._secret}
        answer = await self._ask("POST", str(metadata.token_endpoint), data=form, auth=auth)
        error = answer.get("error")
        if error == "invalid_grant":
            raise DistrustedError("the provider does not know the code, or it was used before")
        if error is not None or not isinstance(answer.get("id_token"), str):
            raise ProviderError(f"{self.issuer} gave no ID token: {str(error)[:200]}; look at its log of this client")
        return str(answer["id_token"])

    def _check(self, id_token: str, keys: KeySet, attempt: Attempt) -> dict[str, Any]:
        needed = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            nonce={"essential": True, "value": attempt.nonce},
            azp={"value": self.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            claims = jwt.decode(id_token, keys, ALGORITHMS).claims
            needed.validate(claims)
        except InvalidKeyIdError:
            raise
        except (JoseError, ValueError, TypeError) as exc:
            raise DistrustedError(f"the ID token is not good: {exc}") from exc
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and "azp" not in claims:
            raise DistrustedError("the ID token is for several services, and does not say for which of them")
        return claims

    async def _ask(self, method: str, address: str, **options: Any) -> dict[str, Any]:
        """What the provider answers; a refusal too, as RFC 6749 writes it."""
        try:
            with anyio.fail_after(TIMEOUT_S):
                async with httpx.AsyncClient(verify=self._trust, timeout=TIMEOUT_S) as client:
                    answer = await client.request(method, address, headers={"Accept": "application/json"}, **options)
            found = answer.json()
        except (httpx.HTTPError, TimeoutError, ValueError) as exc:
            raise ProviderError(f"{address} does not answer as a provider does: {exc or type(exc).__name__}") from exc
        if not isinstance(found, dict) or (answer.status_code != 200 and "error" not in found):
            raise ProviderError(f"{address} answered with status {answer.status_code}")
        return found

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()


def read_keys(found: Mapping[str, Any]) -> KeySet:
    """The keys of a provider with which it may sign ID tokens; others and those that cannot be read are passed over.

    Raises:
        ProviderError: There is none.

    Source: RFC 7517, section 5, of keys that are not understood.
    """
    listed = found.get("keys")
    keys: list[Key] = []
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and each.get("kty") in KEY_TYPES and each.get("use", "sig") == "sig":
            with suppress(JoseError, KeyError, TypeError, ValueError):
                keys.append(JWKRegistry.import_key(each))
    if not keys:
        raise ProviderError("the provider lists no key with which ID tokens could be signed; look at its settings")
    return KeySet(keys)


def _extend(address: str, query: dict[str, str]) -> str:
    """An address with more in its query.

    >>> _extend("https://id.example.org/authorize?realm=a", {"state": "b c"})
    'https://id.example.org/authorize?realm=a&state=b+c'
    """
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"
