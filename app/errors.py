"""Every refusal in one JSON shape: `{"error": {"code", "message", "request_id", "details"}}`.

What a person can put right says how; what goes wrong inside says nothing of the inside, and is logged.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.record import RequestRecord, read_record
from loopcast.errors import AttributionError, DataRefusedError, LoopcastError
from loopcast.stores.champions import NothingServedError, UnknownProblemError
from loopcast.stores.journal import JournalFullError
from loopcast.stores.queries import KeyReusedError, TooManyQueriesError, TrainingOpenError
from loopcast.stores.query import QueryEndedError
from loopcast.stores.uploads import UploadsFullError

logger = logging.getLogger(__name__)

MAX_DETAILS: Final = 20
"""Mistakes named in one answer; who makes more of them makes the same one many times."""
MAX_SHOWN_CHARACTERS: Final = 60
"""Of a wrong value, in an answer."""
LIMIT_RETRY_AFTER_S: Final = 30
"""Seconds after which to ask again where the wait is for one of the asker's own queries."""
RETRY_AFTER_S: Final = 5
"""Seconds after which to ask again where the wait is for something else than the asker: a database, a champion."""


class ErrorCode(StrEnum):
    """What kind of refusal it is: a word that a program may rely on."""

    MALFORMED_JSON = "malformed_json"
    NOT_SIGNED_IN = "not_signed_in"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_EXPLAINED = "not_explained"
    BODY_TOO_LARGE = "body_too_large"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    WRONG_HOST = "wrong_host"
    CROSS_ORIGIN = "cross_origin"
    SIGN_IN_FAILED = "sign_in_failed"
    TOO_MANY = "too_many"
    CONFLICT = "conflict"
    INVALID_REQUEST = "invalid_request"
    UNKNOWN_SERIES = "unknown_series"
    DATA_REFUSED = "data_refused"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"


TAG_MISTAKES: Final = frozenset(["union_tag_invalid", "union_tag_not_found"])
"""What pydantic calls that a body is of none of the kinds that there are."""
CODES_BY_STATUS: Final[Mapping[int, ErrorCode]] = {
    400: ErrorCode.INVALID_REQUEST,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
}
"""Of the refusals that the framework makes."""


class Refusal(HTTPException):
    """A request that is not answered, as its asker is told."""

    def __init__(
        self,
        status_code: int,
        code: ErrorCode,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        details: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(status_code, message, headers)
        self.code = code
        self.details = details

    def respond(self, record: RequestRecord) -> Response:
        """The response to the request of this record."""
        error: dict[str, Any] = {"code": self.code, "message": self.detail, "request_id": record.request_id}
        if self.details:
            error["details"] = self.details
        return Response(orjson.dumps({"error": error}), self.status_code, self.headers, "application/json")


class ForbiddenRefusal(Refusal):
    """What is asked needs a role that the asker does not have."""

    def __init__(self, message: str) -> None:
        super().__init__(403, ErrorCode.FORBIDDEN, message)


def hide_error() -> Refusal:
    """What is told of an error that nobody expected."""
    message = "an error that was not expected; it is logged under this request_id, give it to those who run the service"
    return Refusal(500, ErrorCode.INTERNAL, message)


def install_handlers(app: FastAPI) -> None:
    """Let everything that is raised while a request is answered become one shape."""
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(LoopcastError, _answer_loopcast)


async def _answer_http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    if not isinstance(exc, Refusal):
        code = CODES_BY_STATUS.get(exc.status_code, ErrorCode.INVALID_REQUEST)
        message = f"{request.method} {request.url.path[:MAX_SHOWN_CHARACTERS]}: {exc.detail}; see /openapi.json"
        exc = Refusal(exc.status_code, code, message, headers=exc.headers)
    return exc.respond(read_record(request))


async def _answer_validation(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    errors = exc.errors()
    if errors[0]["type"] == "json_invalid":
        what = f"the body is no JSON: {errors[0]['ctx']['error']}; NaN and Infinity are none either"
        return Refusal(400, ErrorCode.MALFORMED_JSON, what).respond(read_record(request))
    details = [_describe_mistake(error, exc.body) for error in errors[:MAX_DETAILS]]
    what = f"{details[0]['where']}: {details[0]['message']}; correct it as /openapi.json says, and ask again"
    return Refusal(422, ErrorCode.INVALID_REQUEST, what, details=details).respond(read_record(request))


async def _answer_loopcast(request: Request, exc: Exception) -> Response:
    refusal = translate_error(exc)
    if refusal.status_code >= 500:
        logger.warning("%s", exc, extra={"fields": {"request_id": read_record(request).request_id}})
    return refusal.respond(read_record(request))


def translate_error(exc: Exception) -> Refusal:
    """What the asker is told of an error of ours; of stores nothing that says where they are."""
    match exc:
        case UnknownProblemError():
            return refuse_problem()
        case DataRefusedError():
            return Refusal(422, ErrorCode.DATA_REFUSED, str(exc))
        case AttributionError():
            return Refusal(409, ErrorCode.NOT_EXPLAINED, str(exc))
        case QueryEndedError() | KeyReusedError() | TrainingOpenError():
            return Refusal(409, ErrorCode.CONFLICT, str(exc))
        case TooManyQueriesError() | UploadsFullError():
            return Refusal(429, ErrorCode.TOO_MANY, str(exc), headers={"Retry-After": str(LIMIT_RETRY_AFTER_S)})
        case NothingServedError():
            what = "no champion is in service yet"
        case JournalFullError():
            what = "no forecast can be kept: the database has been away for so long that the journal is full"
        case _:
            what = "a store that this needs does not answer"
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return Refusal(503, ErrorCode.UNAVAILABLE, f"{what}; ask again in {RETRY_AFTER_S} s", headers=headers)


def refuse_problem() -> Refusal:
    """What is told of a problem that is not served, or that the asker may not know of."""
    return Refusal(404, ErrorCode.NOT_FOUND, "no such problem is in service; GET /api/v1/problems lists those that are")


def _describe_mistake(error: Mapping[str, Any], body: Any) -> dict[str, str]:
    where, kind = error["loc"], error["type"]
    if kind in TAG_MISTAKES:
        where = (*where, error["ctx"]["discriminator"].strip("'"))
        if kind == "union_tag_not_found":
            return {"where": _path(where), "message": "Field required"}
        known = ", ".join(re.findall(r"'(.*?)'", error["ctx"]["expected_tags"]))
        return {"where": _path(where), "message": f"found {_show(error['ctx']['tag'])}, needs one of {known}"}
    what = str(error["msg"]).removeprefix("Value error, ")
    found = error.get("input")
    if isinstance(found, (str, int, float)) and kind != "value_error":
        what += f", found {_show(found)}"
    return {"where": _path(_leave_out_tags(where, body, is_missing=kind == "missing")), "message": what}


def _leave_out_tags(keys: tuple[int | str, ...], body: Any, *, is_missing: bool) -> list[int | str]:
    """The way to a value as it was sent, without what pydantic calls the shape that it was compared with.

    Args:
        is_missing: Whether the last key is the one that was not sent.

    >>> _leave_out_tags(("body", "backtest", "request"), {"kind": "backtest"}, is_missing=True)
    ['body', 'request']
    """
    kept, found = list(keys[:1]), body if keys[:1] == ("body",) else None
    for place, key in enumerate(keys[1:], start=2):
        if isinstance(found, Mapping) and key not in found and not (is_missing and place == len(keys)):
            continue
        kept.append(key)
        found = found.get(key) if isinstance(found, Mapping) else None
    return kept


def _path(keys: Iterable[int | str]) -> str:
    """The way to a value, as one writes it: `body.series[0].history`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key[:MAX_SHOWN_CHARACTERS]}" for key in keys)[1:]


def _show(value: str | float) -> str:
    shown = repr(value[:MAX_SHOWN_CHARACTERS] if isinstance(value, str) else value)
    return shown if len(shown) <= MAX_SHOWN_CHARACTERS else f"{shown[:MAX_SHOWN_CHARACTERS]}…"
