"""How a service is started, tuned and stopped under BentoML, whichever champions it answers with.

BentoML binds the address, starts the workers and restarts those that die, and passes signals on; the app answers. Its
other parts are off: `docs/serving.md` says which, and what they cost. The process that supervises the workers imports
this module as well, so what a worker needs is imported when one starts.
"""

import gc
import logging
import os
import signal
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import bentoml

from bento.binding import DEFAULT_HOST, check_tokens, find_asked_host, find_listening_hosts, needs_tokens
from loopcast.errors import LoopcastError
from loopcast.settings import PREFIX

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Receive, Scope, Send

    from loopcast.settings import Settings
    from loopcast.stores.champions import Champions

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
OPTIONS: Final[dict[str, Any]] = {
    "workers": 1,
    "http": {"host": DEFAULT_HOST},
    "traffic": {"timeout": ANSWER_TIMEOUT_S},
    "metrics": {"enabled": False},
    "logging": {"access": {"enabled": False}},
    "tracing": {"excluded_urls": [".*"]},
    "envs": list(ENVIRONMENT),
}
"""Of a service, for the decorator `bentoml.service`."""


class Door:
    """Leads every request to the app of this worker, past BentoML's own routes, which would shadow it."""

    app: "ASGIApp | None" = None

    def __init__(self, lifespan: "ASGIApp") -> None:
        self._lifespan = lifespan

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """As ASGI says."""
        if scope["type"] == "lifespan":
            _spare_uploads(scope["app"])
        app = self._lifespan if scope["type"] == "lifespan" else Door.app
        assert app is not None, "no request comes before the service is made"
        await app(scope, receive, send)


def _spare_uploads(application: "Starlette") -> None:
    """Lead uploads to the app ahead of BentoML's own layers, which would give up a file that comes slowly.

    What answers streams is not given up once it has begun to answer.
    """
    from app.bodies import UPLOADS_PATH

    others = application.middleware_stack
    assert others is not None, "it is what has called the door"

    async def lead(scope: "Scope", receive: "Receive", send: "Send") -> None:
        is_upload = scope["type"] == "http" and scope["path"] == UPLOADS_PATH
        await ((Door.app if is_upload else None) or others)(scope, receive, send)

    application.middleware_stack = lead


class Serving:
    """A service without its champions, which the class below it opens."""

    def __init__(self) -> None:
        from app.logs import configure_logs
        from bento.worker import open_app
        from loopcast.lifeline import end_with_parent
        from loopcast.settings import read_settings

        end_with_parent(signal.SIGTERM)  # a killed supervisor would leave this worker behind, and its address taken
        configure_logs()
        logging.getLogger("uvicorn.access").propagate = False  # the app's line says more; without a handler it is off
        self._stack = ExitStack()
        with self._stack:  # closes what was opened if something else cannot be
            Door.app = open_app(read_settings(), find_listening_hosts(), self.open_champions, self._stack)
            self._stack = self._stack.pop_all()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)

    def open_champions(self, settings: "Settings", stack: ExitStack) -> "Champions":
        """The champions that answer, with what closes them on the stack."""
        raise NotImplementedError

    @bentoml.on_deployment  # type: ignore[untyped-decorator]  # BentoML types it by what it wraps
    @staticmethod
    def check_address() -> None:
        """End the command with one sentence where others could reach the service and nobody has a token."""
        from loopcast.settings import read_settings

        hosts = {find_asked_host()}
        try:
            settings = read_settings()
            os.environ[f"{PREFIX}HOME"] = str(settings.home_path)  # workers of a Bento run in the Bento's own folder
            if needs_tokens(hosts, settings):
                from loopcast.stores.opened import Stores

                check_tokens(hosts, settings, lambda: Stores(settings).tokens.active())
        except LoopcastError as exc:
            sys.exit(f"loopcast: {exc}")

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]  # as above
    def close(self) -> None:
        """Give the database what waits for it; the last request was answered before."""
        self._stack.close()
