"""A service over a problem with a past, which is read from real PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from app.api import create_app
from app.parts import ServiceParts
from loopcast.stores.champions import FixedChampions, ServedProblem
from loopcast.stores.database import Database
from tests.app.client import Client
from tests.reading_factory import Past, make_past

HTML = {"Accept": "text/html"}


def serve_past(prices: ServedProblem, past: Past, version: int = 3) -> ServedProblem:
    """The simulated prices in service as the problem of a past."""
    return replace(
        prices,
        version=version,
        record=past.register(version),
        model=replace(prices.model, problem=past.problem),
    )


def make_reader(
    make_parts: Callable[..., ServiceParts],
    prices: ServedProblem,
    database: Database,
    name: str,
    **changes: Any,
) -> tuple[Past, Client]:
    """A problem of a test's own in service, and a client of that service."""
    past = make_past(database, name)
    champions = FixedChampions({name: serve_past(prices, past)})
    return past, Client(create_app(make_parts(**{"champions": champions, "database": database} | changes)))
