"""`/api/v1/queries`: long queries are asked, followed, cancelled and asked again; whoever asked one alone sees it."""

import mimetypes
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, BinaryIO, Final
from uuid import UUID

from fastapi import APIRouter, FastAPI, Header
from fastapi import Query as Parameter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.bodies import JsonRoute
from app.documentation import PREFIX, READING, SENDING, refusals
from app.errors import ErrorCode, Refusal, refuse_problem
from app.metrics import QUEUE
from app.parts import Asked, read_asked
from app.queries import uploads
from app.queries.bodies import QueryBody
from app.queries.events import RETRY_MS, QueryWatch
from app.queries.shapes import Query as QueryAnswer
from app.queries.shapes import QueryPage, QuerySummary
from app.store_threads import READERS
from loopcast.queries.kinds import QueryKind
from loopcast.stores.audit import Act
from loopcast.stores.files import PIECE_BYTES, FileStore
from loopcast.stores.query import Query
from loopcast.stores.tokens import Role

NEEDED: Final[Mapping[QueryKind, Role]] = {
    QueryKind.PROMOTION: Role.OPERATOR,
    QueryKind.ROLLBACK: Role.OPERATOR,
    QueryKind.TRAINING: Role.OPERATOR,
}
"""Kinds that change what is in service; the others need no more than a viewer."""
ACTS: Final[Mapping[QueryKind, Act]] = {
    QueryKind.PROMOTION: Act.PROMOTION,
    QueryKind.ROLLBACK: Act.ROLLBACK,
    QueryKind.TRAINING: Act.TRAINING,
}
"""What the audit calls asking for these; asking the others is a query like any."""
MAX_PAGE: Final = 100
FILE_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
EVENT_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
    204: {"description": "The query has ended, and the listener knows how."},
}

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[A-Za-z0-9._:-]{1,100}$",
        description="Sent again with the same key, the same query is answered as it is by then, and none is made.",
    ),
]

router = APIRouter(prefix=PREFIX, route_class=JsonRoute)


def add_queries(app: FastAPI) -> None:
    """Let an app answer about queries and uploads."""
    app.state.query_watch = QueryWatch(app.state.parts.queries)
    app.include_router(router, responses=refusals(*READING))
    uploads.add_uploads(app)


@router.post(
    "/problems/{problem}/queries",
    operation_id="submit_query",
    status_code=202,
    responses=refusals(*SENDING, 409),
)
async def submit_query(
    problem: str, body: QueryBody, request: Request, idempotency_key: IdempotencyKey = None
) -> QueryAnswer:
    """Ask what takes longer than a request may; a worker answers it."""
    asked = read_asked(request)
    asked.find_served(problem)
    query = Query(
        problem=problem,
        kind=body.kind,
        owner=asked.record.asker.id,
        asker_name=asked.record.asker.name,
        request=body.request.model_dump(mode="json"),
        submitted_at_utc=datetime.now(UTC),
        idempotency_key=idempotency_key,
    )
    return await _submit(asked, query, Act.QUERY_SUBMITTED)


@router.get("/queries", operation_id="list_queries")
async def list_queries(
    request: Request,
    problem: Annotated[str | None, Parameter(max_length=200, description="Of one problem only.")] = None,
    after: Annotated[UUID | None, Parameter(description="`next_after` of the page that came before.")] = None,
    limit: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = MAX_PAGE,
) -> QueryPage:
    """One's own queries, the latest first, without their results."""
    asked = read_asked(request)
    asker, queries = asked.record.asker, asked.parts.queries
    if problem is not None and not asker.may_use(problem):
        raise refuse_problem()
    problems = asker.problems if problem is None else (problem,)
    found = await READERS.ask(queries.list_own, asker.id, problems, limit + 1, after)
    figures = await READERS.ask(asked.parts.recent.get, QUEUE, queries.measure_queue)
    return QueryPage(
        queries=[QuerySummary(**_describe(query)) for query in found[:limit]],
        next_after=found[limit - 1].id if len(found) > limit else None,
        n_workers=figures.n_workers,
    )


@router.get("/queries/{query_id}", operation_id="get_query")
async def get_query(query_id: UUID, request: Request) -> QueryAnswer:
    """One's own query as it is now, with its result once it is done."""
    return describe_query(await find_query(read_asked(request), query_id))


@router.get("/queries/{query_id}/events", operation_id="follow_query", response_class=Response, responses=EVENT_ANSWER)
async def follow_query(
    query_id: UUID,
    request: Request,
    last_event_id: Annotated[str | None, Header(max_length=100, description="As `EventSource` sends it.")] = None,
) -> Response:
    """Server-sent events: `query`, with the query as `GET` answers it, now and at each change until it ends.

    A stream ends after some seconds; an `EventSource` asks again by itself, and misses nothing.
    """
    query = await find_query(read_asked(request), query_id)
    is_known = last_event_id == str(query.revision)
    if is_known and not query.state.is_open:
        return Response(status_code=204)
    watch: QueryWatch = request.app.state.query_watch
    watch.check(query.owner)
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_tell(watch, query, is_known), media_type="text/event-stream", headers=headers)


@router.post(
    "/queries/{query_id}/cancellation",
    operation_id="cancel_query",
    status_code=202,
    responses=refusals(*SENDING, 409),
)
async def cancel_query(query_id: UUID, request: Request) -> QueryAnswer:
    """Ask for a stop: at once while it waits, within seconds while it runs; 409 where it has ended."""
    asked = read_asked(request)
    query = await find_query(asked, query_id)
    asked.needs(NEEDED.get(query.kind, Role.VIEWER))

    def cancel() -> Query | None:
        cancelled = asked.parts.queries.ask_cancel(query.id, query.owner)
        if cancelled is not None:
            _keep_act(asked, Act.QUERY_CANCELLED, cancelled)
        return cancelled

    cancelled = await READERS.ask(cancel)
    if cancelled is None:
        raise _refuse_query()
    return describe_query(cancelled)


@router.post(
    "/queries/{query_id}/retry", operation_id="retry_query", status_code=202, responses=refusals(*SENDING, 409)
)
async def retry_query(query_id: UUID, request: Request, idempotency_key: IdempotencyKey = None) -> QueryAnswer:
    """Ask again what failed or was cancelled, as a new query; 409 for another."""
    asked = read_asked(request)
    query = await find_query(asked, query_id)
    asked.find_served(query.problem)
    again = query.ask_again(datetime.now(UTC), idempotency_key, asked.record.asker.name)
    return await _submit(asked, again, Act.QUERY_RETRIED)


@router.get(
    "/queries/{query_id}/files/{name}",
    operation_id="get_query_file",
    response_class=Response,
    responses=FILE_ANSWER,
)
async def get_query_file(query_id: UUID, name: str, request: Request) -> Response:
    """A file beside the result of one's own query."""
    asked = read_asked(request)
    query = await find_query(asked, query_id)
    if name not in query.files:
        what = f"the query has no such file; those that it has: {', '.join(query.files) or 'none'}"
        raise Refusal(404, ErrorCode.NOT_FOUND, what)
    file = await READERS.ask(FileStore(asked.parts.settings.artifacts).open, f"queries/{query.id}/{name}")
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_read_pieces(file), media_type=media_type, headers=headers)


async def find_query(asked: Asked, query_id: UUID) -> Query:
    """The asker's own query.

    Raises:
        Refusal: They have none of this id, or may not know of its problem any more.
    """
    asker = asked.record.asker
    found = await READERS.ask(asked.parts.queries.find, query_id, asker.id)
    if found is None or not asker.may_use(found.problem):
        raise _refuse_query()
    return found


def describe_query(query: Query) -> QueryAnswer:
    """A query as its owner is told."""
    return QueryAnswer(**_describe(query), result=query.result)


async def _submit(asked: Asked, query: Query, act: Act) -> QueryAnswer:
    asked.needs(NEEDED.get(query.kind, Role.VIEWER))
    max_open = asked.parts.settings.queries_open_per_owner

    def submit() -> Query:
        kept = asked.parts.queries.submit(query, max_open)
        if kept.id == query.id:
            _keep_act(asked, ACTS.get(query.kind, act), kept)
        return kept

    return describe_query(await READERS.ask(submit))


def _keep_act(asked: Asked, act: Act, query: Query) -> None:
    details = {"kind": str(query.kind)} | {
        name: str(query.request[name]) for name in ("reason", "version") if name in query.request
    }
    if query.retry_of is not None:
        details["retry_of"] = str(query.retry_of)
    asked.keep_act(act, str(query.id), query.problem, **details)


async def _tell(watch: QueryWatch, query: Query, is_known: bool) -> AsyncIterator[str]:
    """What a listener is sent; with what it knows already, it is not."""
    yield f"retry: {RETRY_MS}\n\n"
    if not is_known:
        yield _write_event(query)
    async for changed in watch.follow(query):
        yield _write_event(changed)


def _write_event(query: Query) -> str:
    return f"id: {query.revision}\nevent: query\ndata: {describe_query(query).model_dump_json()}\n\n"


def _read_pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _describe(query: Query) -> dict[str, Any]:
    own = query.model_dump(include=set(QuerySummary.model_fields))
    return own | {"query_id": query.id, "files": list(query.files)}


def _refuse_query() -> Refusal:
    what = "you have no such query; GET /api/v1/queries lists those that you have, for as long as they are kept"
    return Refusal(404, ErrorCode.NOT_FOUND, what)
