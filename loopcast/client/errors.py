"""What a client raises: each refusal of the service as an error of its own kind, and what went wrong on the way."""

from collections.abc import Mapping
from typing import Any, Final

from loopcast.errors import LoopcastError


class LoopcastClientError(LoopcastError):
    """The service did not do what it was asked.

    Attributes:
        message: What was found, what is needed, the next step.
        code: The word of the service that a program may rely on; empty where the service said nothing.
        request_id: Under which the service has logged the request; empty likewise.
        status: Of HTTP; 0 where there was no answer.
        details: Each mistake in the request: `where`, and `message`.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        request_id: str = "",
        status: int = 0,
        details: tuple[Mapping[str, str], ...] = (),
    ) -> None:
        super().__init__(f"{message} (request {request_id})" if request_id else message)
        self.message = message
        self.code = code
        self.request_id = request_id
        self.status = status
        self.details = details


class UnreachableError(LoopcastClientError):
    """The service did not answer: wrong address, not started, or slower than the timeout."""


class UnreadableAnswerError(LoopcastClientError):
    """What answered is no Loopcast, or one of another version."""


class InvalidRequestError(LoopcastClientError):
    """The request or the data in it breaks a rule, which the message names."""


class NotSignedInError(LoopcastClientError):
    """There is no token, or none that is active."""


class ForbiddenError(LoopcastClientError):
    """The token's role does not allow it."""


class NotFoundError(LoopcastClientError):
    """There is none of this name or id, or it belongs to others."""


class ConflictError(LoopcastClientError):
    """What was asked cannot be done in the present state."""


class RateLimitedError(LoopcastClientError):
    """Asked too often, also after the waits that the service named."""


class UnavailableError(LoopcastClientError):
    """The service cannot answer now, also after the waits that it named."""


class QueryNotDoneError(LoopcastClientError):
    """A query has no result: it failed, was cancelled, or has not ended in time."""


ERRORS: Final[Mapping[int, type[LoopcastClientError]]] = {
    400: InvalidRequestError,
    401: NotSignedInError,
    403: ForbiddenError,
    404: NotFoundError,
    408: InvalidRequestError,
    409: ConflictError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitedError,
    503: UnavailableError,
}
"""By status; any other refusal is a `LoopcastClientError`."""


def read_refusal(status: int, body: Any, what: str) -> LoopcastClientError:
    """The error that a refusal is raised as.

    Args:
        body: As parsed from JSON; anything else where there was none.
        what: Was asked.

    >>> body = {"error": {"code": "not_found", "message": "no such forecast", "request_id": "r1"}}
    >>> read_refusal(404, body, "GET /api/v1/forecasts/7")
    NotFoundError('no such forecast (request r1)')
    >>> read_refusal(502, None, "GET /api/v1/problems")
    UnreadableAnswerError('GET /api/v1/problems: found status 502 and no answer of Loopcast; check the address, ...')
    """
    match body:
        case {"error": {"code": str(code), "message": str(message), "request_id": str(request_id), **rest}}:
            kind, details = ERRORS.get(status, LoopcastClientError), rest.get("details")
            mistakes = tuple(details) if isinstance(details, list) else ()
            return kind(message, code=code, request_id=request_id, status=status, details=mistakes)
    where = "check the address, and what stands between it and the service"
    return UnreadableAnswerError(f"{what}: found status {status} and no answer of Loopcast; {where}", status=status)
