"""What /openapi.json says beside the shapes: how the API is meant, and which refusals a route may give."""

from typing import Any, Final

from fastapi import FastAPI

from app.answers.refusals import ErrorAnswer

PREFIX: Final = "/api/v1"
"""Of every path that needs a token."""
DESCRIPTION: Final = """
Forecasts of time series with their uncertainty: for each series and each of the next steps, the quantiles of what may
come. Every forecast that is answered was stored first, with the model version that made it, and is compared later with
what came true.

Requests carry `Authorization: Bearer lc_...`, unless the service listens on this machine alone; a browser has the
cookie of a session, where people sign in. Bodies are JSON in
UTF-8 without NaN and Infinity. A given `X-Request-ID` is taken over into answer, log and table; every answer has one.
Every refusal has one shape, `ErrorAnswer`: rely on its `code`, read its `message`.
"""

REFUSALS: Final = {
    400: "The body is no JSON, or the address has a character that no name has.",
    401: "Neither an active token nor a session.",
    403: "This needs a higher role; or a page from elsewhere asks; or, where nobody signs in, another machine.",
    404: "There is none of this name or id, or the token is for others.",
    408: "The body did not come in time.",
    409: "What is there does not allow it; the message says what that is.",
    413: "The body is too large.",
    415: "The body does not say that it is of the type that the route takes.",
    422: "The request breaks its shape, or a history breaks the rules of the data.",
    429: "You ask too often; `Retry-After` says when to ask again.",
    500: "An error that nobody expected; it is logged under the request id.",
    503: "No champion, or a store, to answer with; ask again after `Retry-After`.",
}
READING: Final = (400, 401, 403, 404, 422, 429, 500, 503)
"""Refusals that any route of the API may give."""
SENDING: Final = (408, 413, 415)
"""Refusals of a body."""
UNSIGNED: Final[dict[str, Any]] = {"security": []}
"""Of a route that needs no token."""


class DocumentedApp(FastAPI):
    """An app whose description says how requests are signed."""

    def openapi(self) -> dict[str, Any]:
        """As FastAPI says; tokens are read by a layer of our own, of which it knows nothing."""
        description = super().openapi()
        if self.state.parts.tokens is not None:
            schemes = description.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["token"] = {"type": "http", "scheme": "bearer", "bearerFormat": "lc_…"}
            description["security"] = [{"token": []}]
            if self.state.parts.people is not None:
                name = self.state.parts.people.session.full_name
                schemes["session"] = {"type": "apiKey", "in": "cookie", "name": name}
                description["security"].append({"session": []})
        return description


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a route documents its refusals of these statuses."""
    return {status: {"model": ErrorAnswer, "description": REFUSALS[status]} for status in statuses}
