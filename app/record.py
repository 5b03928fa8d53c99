"""What is known of a request while it is answered: its ids, and who asks."""

import re
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from opentelemetry import trace
from starlette.requests import Request
from starlette.types import Scope

from app.asker import NOBODY, Asker

KEY: Final = "loopcast.request"
"""Under which a scope holds the record."""
REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
"""A request id that may be taken from outside: it goes into logs, headers and the table of forecasts."""
TRACEPARENT: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""Of W3C Trace Context; the group is the trace's id."""


@dataclass
class RequestRecord:
    """One request.

    Attributes:
        request_id: As the asker gave it, if that can be taken, else a new one.
        trace_id: Of the distributed trace that it belongs to, 32 hexadecimal digits; None for none.
        asker: Who asks; nobody until it is known.
    """

    request_id: str
    trace_id: str | None = None
    asker: Asker = NOBODY


def open_record(scope: Scope) -> RequestRecord:
    """The record of a request that has just come in, also kept in its scope."""
    given_id = given_trace = b""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given_id = value
        elif name == b"traceparent":
            given_trace = value
    request_id = given_id.decode() if REQUEST_ID.fullmatch(given_id) else uuid4().hex
    record = scope[KEY] = RequestRecord(request_id, _read_trace_id(given_trace))
    return record


def read_record(request: Request) -> RequestRecord:
    """The record of a request that is being answered."""
    record: RequestRecord = request.scope[KEY]
    return record


def _read_trace_id(traceparent: bytes) -> str | None:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        return f"{context.trace_id:032x}"
    found = TRACEPARENT.fullmatch(traceparent)
    return found[1].decode() if found else None
