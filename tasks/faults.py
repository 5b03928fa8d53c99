"""Which faults a cluster may retry: those that pass by themselves, nothing else.

Flyte retries a task only when it raises `FlyteRecoverableException`. A wrong column stays wrong.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from flytekit.exceptions.user import FlyteRecoverableException

from tasks.identity import is_local

TRANSIENT: Final = frozenset({
    "ConnectionError", "TimeoutError",  # Python's own, botocore's and urllib3's; requests' ConnectionError
    "gaierror",  # a name that does not resolve, as while a cluster's DNS restarts
    "Timeout", "ChunkedEncodingError", "RetryError",  # requests
    "ClientConnectionError", "ClientPayloadError",  # aiohttp
    "HTTPClientError",  # botocore, when no whole answer came; an answer that refuses is its ClientError
    "MaxRetryError", "ProtocolError",  # urllib3
    "ServiceRequestError", "ServiceResponseError",  # Azure: not sent, not answered
    "ServerError", "TransportError",  # Google: answered by 5xx, not reached
    "FlyteUploadDataException", "FlyteDownloadDataException",
    "OperationalError",  # a database that is away, as psycopg and SQLAlchemy both call it
})  # fmt: skip
"""Names of error classes, of which tasks import none; no class for an HTTP answer of 4xx is, or derives from, one."""

P = ParamSpec("P")
R = TypeVar("R")


def retry_transient_faults(function: Callable[P, R]) -> Callable[P, R]:
    """Mark lost connections and timeouts as worth another attempt, also where another error was raised from one.

    A run on a laptop makes no other attempt, and is told the error as it is: Flyte's would say it twice.
    """

    @wraps(function)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as exc:
            if is_transient(exc) and not is_local():
                raise FlyteRecoverableException(str(exc)) from exc
            raise

    return attempt


def is_transient(exc: BaseException) -> bool:
    """Whether an error, or one that led to it, passes by itself."""
    return any(kind.__name__ in TRANSIENT for each in _trace_back(exc) for kind in type(each).__mro__)


def _trace_back(exc: BaseException | None) -> Iterator[BaseException]:
    """The error and those before it; MLflow raises its own while it handles another, without `from`."""
    while exc is not None:
        yield exc
        exc = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
