"""Which faults a cluster may retry: those that pass by themselves, nothing else.

Flyte retries a task only when it raises `FlyteRecoverableException`. A wrong column stays wrong.
"""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from flytekit.exceptions.user import FlyteRecoverableException

TRANSIENT: Final = (ConnectionError, TimeoutError)
DATABASE_FAULT: Final = "OperationalError"
"""A database that is away, as psycopg and SQLAlchemy both call it; by name, because tasks import neither."""

P = ParamSpec("P")
R = TypeVar("R")


def retry_transient_faults(function: Callable[P, R]) -> Callable[P, R]:
    """Mark lost connections and timeouts as worth another attempt, also where another error was raised from one."""

    @wraps(function)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as exc:
            if is_transient(exc):
                raise FlyteRecoverableException(str(exc)) from exc
            raise

    return attempt


def is_transient(exc: BaseException | None) -> bool:
    """Whether an error, or one that led to it, passes by itself."""
    while exc is not None:
        if isinstance(exc, TRANSIENT) or type(exc).__name__ == DATABASE_FAULT:
            return True
        exc = exc.__cause__
    return False
