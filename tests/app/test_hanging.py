"""A database that hangs: it refuses nothing, answers nothing, and must not take the service with it."""

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import psutil
import pytest
from httpx import ASGITransport, AsyncClient

from app.api import create_app
from app.parts import ServiceParts
from app.store_threads import READERS, StoreThreads
from loopcast.settings import Settings
from loopcast.stores.audit import AuditStore
from loopcast.stores.database import open_database
from loopcast.stores.files import FileStore
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.keeper import find_postmaster
from loopcast.stores.kept_connections import keep_connections
from loopcast.stores.model_versions import ModelVersionStore
from loopcast.stores.query_store import QueryStore
from loopcast.stores.tokens import TokenStore
from loopcast.stores.uploads import UploadStore
from tests.app.client import API, code_of
from tests.integration.conftest import home

ROUTES = [
    ("GET", f"{API}/forecasts/{uuid4()}"),
    ("GET", f"{API}/problems/google/track-record"),
    ("GET", f"{API}/queries"),
    ("GET", f"{API}/queries/{uuid4()}"),
    ("GET", f"{API}/uploads"),
    ("GET", f"{API}/tokens"),
    ("GET", f"{API}/audit"),
    ("POST", f"{API}/queries/{uuid4()}/cancellation"),
    ("GET", "/queries"),
    ("GET", "/health"),
]
GIVEN_UP_S = 5.0
"""After which BentoML answers in the service's place."""
N_AT_ONCE = 60

__all__ = ["home"]


@pytest.fixture
def stuck(home, make_parts) -> Iterator[ServiceParts]:
    """A service that has asked its database before, and now all processes of that are halted."""
    database = open_database(Settings(home=home))
    kept = keep_connections(database)
    parts = make_parts(
        settings=Settings(home=home),
        database=kept,
        queries=QueryStore(kept),
        uploads=UploadStore(kept, FileStore(str(home))),
        forecasts=ForecastStore(kept),
        versions=ModelVersionStore(kept),
        audit=AuditStore(kept),
        token_store=TokenStore(kept),
    )
    assert parts.queries.count_workers() == 0
    postmaster = find_postmaster(home / "postgres" / "data")
    assert postmaster is not None
    processes = [postmaster, *postmaster.children()]
    send(processes, signal.SIGSTOP)
    yield parts
    send(processes, signal.SIGCONT)
    asyncio.run(meet(READERS))
    kept.close()


async def meet(threads: StoreThreads) -> None:
    """Return when each of the threads has done what it was at."""
    barrier = threading.Barrier(threads.n_threads, timeout=10)
    await asyncio.gather(*[threads.ask(barrier.wait) for _ in range(threads.n_threads)])


def send(processes: list[psutil.Process], number: signal.Signals) -> None:
    """A signal to all of them."""
    for process in processes:
        process.send_signal(number)


def test_a_database_that_hangs_is_told_like_one_that_is_away(stuck):
    """In time, in our own shape, however many ask; forecasts are answered all the while, and no threads pile up."""
    app = create_app(stuck)

    async def ask_all():
        async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost", timeout=30) as session:
            asked = [asyncio.create_task(ask(session, *ROUTES[k % len(ROUTES)])) for k in range(N_AT_ONCE)]
            scraped = [asyncio.create_task(ask(session, "GET", "/metrics")) for _ in range(N_AT_ONCE)]
            await asyncio.sleep(1)
            body = {"series": [{"series_id": "GOOG"}]}
            forecast = await session.post(f"{API}/problems/google/forecasts", json=body)
            return forecast, await asyncio.gather(*asked), await asyncio.gather(*scraped)

    n_before = threading.active_count()
    forecast, answers, metrics = asyncio.run(asyncio.wait_for(ask_all(), 20))

    assert forecast.status_code == 200
    assert {code_of(answer) for answer, _ in answers} == {(503, "unavailable")}
    assert {answer.headers["retry-after"] for answer, _ in answers} == {"5"}
    assert {answer.status_code for answer, _ in metrics} == {200}
    assert max(wait_s for _, wait_s in [*answers, *metrics]) < GIVEN_UP_S
    assert threading.active_count() - n_before <= READERS.n_threads


async def ask(session, method, path):
    """An answer, and how long it took."""
    began_s = time.monotonic()
    body = {"json": {}} if method == "POST" else {}
    return await session.request(method, path, **body), time.monotonic() - began_s
