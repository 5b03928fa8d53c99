"""The app as a whole: routes, layers around them, and what documents them."""

from fastapi import FastAPI

from app import (
    auditing,
    explaining,
    forecasting,
    health,
    loop_health,
    me,
    model_routes,
    problems,
    stored,
    token_routes,
    track_record,
)
from app.bodies import BodyLimits
from app.border import ReadableAddress, SameOrigin, SecurityHeaders
from app.documentation import DESCRIPTION, READING, DocumentedApp, refusals
from app.errors import ForbiddenRefusal, install_handlers
from app.heads import HeadAnswers
from app.observation import Observation
from app.pages.routes import add_pages
from app.parts import ServiceParts
from app.queries.routes import add_queries
from app.rates import RateLimit
from app.signing import LoopbackOnly, SigningIn
from loopcast import __version__


def create_app(parts: ServiceParts) -> FastAPI:
    """The JSON API as an ASGI app, to be served alone or mounted at the root of another; nothing is started.

    What it needs is handed in, opened and started: it makes no thread of its own and needs no lifespan events. An app
    is made once for each `parts`, in each worker process.
    """
    app = DocumentedApp(
        title="Loopcast",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # its page would be fetched from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        telemetry={
            "tracing": parts.tracer_provider is not None,
            "tracer_provider": parts.tracer_provider,
            "operation_spans": False,
            "metrics": False,
            "logs": False,
            "auto_configure": False,
        },
    )
    app.state.parts = parts
    # The one that is asked most is looked at first.
    for module in (
        forecasting,
        explaining,
        problems,
        stored,
        track_record,
        loop_health,
        model_routes,
        me,
        token_routes,
        auditing,
    ):
        app.include_router(module.router, responses=refusals(*READING))
    add_queries(app)
    app.include_router(health.router)
    if parts.people is not None:
        from app.signin import routes  # with what checks signatures, which only those pay for who need it

        app.include_router(routes.router)
    install_handlers(app)
    app.add_exception_handler(ForbiddenRefusal, auditing.answer_forbidden)
    parts.metrics.read_parts(parts)

    # The last one that is added comes first.
    app.add_middleware(BodyLimits)
    if parts.tokens is None:
        app.add_middleware(LoopbackOnly)
    else:
        limit = RateLimit(parts.settings.token_requests_per_s)
        app.add_middleware(SigningIn, tokens=parts.tokens, people=parts.people, limit=limit, metrics=parts.metrics)
    app.add_middleware(ReadableAddress)
    app.add_middleware(SameOrigin, origin=parts.settings.public_url)
    app.add_middleware(Observation, metrics=parts.metrics)
    add_pages(app)
    app.add_middleware(SecurityHeaders, is_secure=(parts.settings.public_url or "").startswith("https:"))
    app.add_middleware(HeadAnswers)
    return app
