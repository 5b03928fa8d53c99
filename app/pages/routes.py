"""The pages as one piece: their routes, and the layer that answers refusals as pages."""

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.pages import assets, audit, forecast, health, models, queries, tokens, track_record
from app.pages.answered import keep_answers
from app.pages.navigation import link_to
from app.pages.refusals import RefusalPages
from app.recent import RecentReadings

home = APIRouter(include_in_schema=False)


@home.get("/")
async def get_home(request: Request) -> Response:
    """To the page that most people come for."""
    return RedirectResponse(link_to("/forecast"), 303)


def add_pages(app: FastAPI) -> None:
    """Let an app answer with pages too; to be called last, because its layer is around all others."""
    app.state.kept_answers = keep_answers()
    app.state.kept_pages = RecentReadings()
    app.include_router(home)
    for module in (forecast, assets, queries, track_record, health, models, tokens, audit):
        app.include_router(module.router, include_in_schema=False)
    app.add_middleware(RefusalPages)
