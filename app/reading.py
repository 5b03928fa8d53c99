"""How routes and pages read what stores remember of a problem: off the event loop, and only what the asker may know.

Which tables say what stands in `loopcast.stores`; what is answered, in `answers`.
"""

import math
from collections.abc import Callable, Hashable
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from app.errors import RETRY_AFTER_S, ErrorCode, Refusal, refuse_problem
from app.parts import Asked
from app.store_threads import READERS
from loopcast.stores.database import Database
from loopcast.stores.model_versions import ModelVersionStore

T = TypeVar("T")
LINKED: frozenset[str] = frozenset(["http", "https"])


async def read_recent(asked: Asked, problem: str, what: Hashable, read: Callable[[Database], T]) -> T:
    """What the database says of a problem, at most some seconds old.

    A problem without a champion is read as well, once a version of it was trained.

    Args:
        what: Tells this reading from others of the problem.

    Raises:
        Refusal: There is no such problem that the asker may know of, or no database.
        StoreError: The database does not answer.
    """
    if not asked.record.asker.may_use(problem):
        raise refuse_problem()
    database = asked.parts.database
    if database is None:
        wait = {"Retry-After": str(RETRY_AFTER_S)}
        raise Refusal(503, ErrorCode.UNAVAILABLE, "this service has no database to read that from", headers=wait)
    is_served = problem in asked.parts.champions.names()

    def read_known() -> T:
        if not is_served and not ModelVersionStore(database).history(problem, limit=1):
            raise refuse_problem()
        return read(database)

    key = (problem, what)
    found: T | None = asked.parts.recent.find(key)
    return await READERS.ask(asked.parts.recent.get, key, read_known) if found is None else found


def as_known(value: float) -> float | None:
    """A figure as JSON has it: null where it could not be known.

    >>> as_known(0.5), as_known(float("nan"))
    (0.5, None)
    """
    return value if math.isfinite(value) else None


def as_link(address: str | None) -> str | None:
    """An address that a page may link to, without a password in it; None for one that leads nowhere by HTTP.

    >>> as_link("https://ada:secret@mlflow.example.org/"), as_link("sqlite:///mlflow.db"), as_link("javascript:alert()")
    ('https://mlflow.example.org/', None, None)
    """
    try:
        parts = urlsplit(address or "")
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in LINKED or not host:
        return None
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
