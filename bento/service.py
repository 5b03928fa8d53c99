"""The service for BentoML: `bentoml serve bento.service:Loopcast`.

BentoML binds the address, starts the workers and restarts those that die, and passes signals on; the app answers. Its
other parts are off: `docs/serving.md` says which, and what they cost. The process that supervises the workers imports
this module as well, so what a worker needs is imported when one starts.
"""

import gc
import logging
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import bentoml

from bento.binding import DEFAULT_HOST, check_tokens, find_asked_host, find_listening_hosts, needs_tokens
from loopcast.errors import LoopcastError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

ANSWER_TIMEOUT_S: Final = 5
"""After this long a request is given up. BentoML keeps 3 KB for each request of the last so many seconds."""
GC_THRESHOLDS: Final = (50_000, 20, 50)
"""Of the garbage collector's generations. A full collection stops every answer for a tenth of a second or more; what
answers leave behind is freed without one."""
ENVIRONMENT: Final = (
    {"name": "OMP_NUM_THREADS", "value": "1"},
    {"name": "ARROW_DEFAULT_MEMORY_POOL", "value": "system"},  # jemalloc would keep 16 MB of one read history
    {"name": "MALLOC_ARENA_MAX", "value": "2"},  # glibc would keep free memory for each thread that there was
)
"""Of the workers, unless the command's own says otherwise."""


class Door:
    """Leads every request to the app of this worker, past BentoML's own routes, which would shadow it."""

    app: "ASGIApp | None" = None

    def __init__(self, lifespan: "ASGIApp") -> None:
        self._lifespan = lifespan

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """As ASGI says."""
        app = self._lifespan if scope["type"] == "lifespan" else Door.app
        assert app is not None, "no request comes before the service is made"
        await app(scope, receive, send)


@bentoml.service(
    workers=1,
    http={"host": DEFAULT_HOST},
    traffic={"timeout": ANSWER_TIMEOUT_S},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": [".*"]},
    envs=list(ENVIRONMENT),
)
class Loopcast:
    """Forecasts of the champions over HTTP, each stored before it is answered."""

    def __init__(self) -> None:
        from app.logs import configure_logs
        from bento.worker import open_app
        from loopcast.settings import read_settings

        configure_logs()
        logging.getLogger("uvicorn.access").propagate = False  # the app's line says more; without a handler it is off
        self._stack = ExitStack()
        with self._stack:  # closes what was opened if something else cannot be
            Door.app = open_app(read_settings(), find_listening_hosts(), self._stack)
            self._stack = self._stack.pop_all()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check_address() -> None:
        """End the command with one sentence where others could reach the service and nobody has a token."""
        from loopcast.settings import read_settings

        hosts = {find_asked_host()}
        try:
            settings = read_settings()
            if needs_tokens(hosts, settings):
                from loopcast.stores.opened import Stores

                check_tokens(hosts, settings, Stores(settings).tokens)
        except LoopcastError as exc:
            sys.exit(f"loopcast: {exc}")

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Give the database what waits for it; the last request was answered before."""
        self._stack.close()


Loopcast.add_asgi_middleware(Door)  # type: ignore[attr-defined]  # mypy does not follow decorators of classes
