"""The Queries pages: one's own long queries, how far each is, and what it found."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.pages.query_words import KINDS, STATES, describe_duration, describe_request
from app.pages.rendering import render
from app.pages.results import VIEWS, view_result
from app.parts import Asked, read_asked
from app.queries.routes import NEEDED, get_query, list_queries
from app.queries.shapes import QuerySummary
from loopcast.config import Problem
from loopcast.errors import LoopcastError
from loopcast.stores.query import QueryState
from loopcast.stores.tokens import Role

PAGE_ROWS: Final = 30
WORDS: Final[dict[str, Any]] = {
    "kinds": KINDS,
    "states": STATES,
    "describe_request": describe_request,
    "describe_duration": describe_duration,
}

router = APIRouter()


@router.get("/queries")
async def show_queries(request: Request, after: Annotated[UUID | None, Query()] = None) -> Response:
    """One's own queries, the latest first."""
    page = await list_queries(request, None, after, PAGE_ROWS)
    return render(request, "queries.html.jinja", problem=None, page=page, after=after, **WORDS)


@router.get("/queries/rows")
async def show_rows(request: Request, after: Annotated[UUID | None, Query()] = None) -> Response:
    """The same list again, as a part of the page."""
    page = await list_queries(request, None, after, PAGE_ROWS)
    return render(request, "_queries.html.jinja", page=page, after=after, **WORDS)


@router.get("/queries/{query_id}")
async def show_query(query_id: UUID, request: Request) -> Response:
    """A query with what it found, or how far it is."""
    asked = read_asked(request)
    query = await get_query(query_id, request)
    kind = _find_problem(asked, query.problem)
    found = None if query.result is None else view_result(query.kind, query.result, kind)
    part = f"_result_{query.kind}.html.jinja" if query.kind in VIEWS else "_result_other.html.jinja"
    return render(
        request, "query.html.jinja", problem=None, query=query, found=found, part=part, **_describe(asked, query)
    )  # fmt: skip


@router.get("/queries/{query_id}/progress")
async def show_progress(query_id: UUID, request: Request) -> Response:
    """How far a query is, as a part of its page; once it has ended, the page is to be shown anew."""
    query = await get_query(query_id, request)
    headers = {} if query.state.is_open else {"hx-refresh": "true"}
    return render(
        request, "_progress.html.jinja", headers=headers, query=query, **_describe(read_asked(request), query)
    )


def _describe(asked: Asked, query: QuerySummary) -> dict[str, Any]:
    may_act = asked.record.asker.may(NEEDED.get(query.kind, Role.VIEWER))
    return WORDS | {
        "may_stop": may_act and query.state.is_open and not query.is_cancel_asked,
        "may_retry": may_act and query.state in {QueryState.FAILED, QueryState.CANCELLED},
    }


def _find_problem(asked: Asked, problem: str) -> Problem | None:
    """A problem as it is in service; a result is shown where it is not, too."""
    try:
        return asked.find_served(problem).model.problem
    except LoopcastError:
        return None
