"""`GET /api/v1/audit`, and that acts which were refused for want of a role are in it too."""

import logging
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.access_shapes import Audit, AuditEntry
from app.border import SAFE_METHODS
from app.documentation import PREFIX
from app.errors import ForbiddenRefusal
from app.parts import read_asked
from app.store_threads import READERS
from loopcast.errors import LoopcastError
from loopcast.stores.audit import Act
from loopcast.stores.tokens import Role

logger = logging.getLogger(__name__)

MAX_PAGE: Final = 200
"""Acts in one answer: 100 kB."""
MAX_POSITION: Final = 2**63 - 1

router = APIRouter(prefix=PREFIX)


@router.get("/audit", operation_id="list_audit")
async def list_audit(
    request: Request,
    before: Annotated[
        int | None, Query(ge=1, le=MAX_POSITION, description="`next_before` of the page that came before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> Audit:
    """Who changed what, the latest first; for admins of all problems."""
    asked = read_asked(request)
    asked.needs(Role.ADMIN)
    if asked.record.asker.problems:
        raise ForbiddenRefusal("the audit is of all problems, and you may use some; ask an admin who may use all")
    found = await READERS.ask(asked.parts.audit.read, limit + 1, before)
    return Audit(
        entries=[AuditEntry(**entry.model_dump(exclude={"position"})) for entry in found[:limit]],
        next_before=found[limit - 1].position if len(found) > limit else None,
    )


async def answer_forbidden(request: Request, exc: Exception) -> Response:
    """Keep in the audit that somebody asked for what they may not, and tell them so."""
    assert isinstance(exc, ForbiddenRefusal)
    asked = read_asked(request)
    if request.method not in SAFE_METHODS:
        try:
            await asked.audit(Act.ACT_REFUSED, f"{request.method} {request.url.path}", reason=exc.detail)
        except LoopcastError as failure:
            logger.warning("a refused act is not in the audit: %s", failure)
    return exc.respond(asked.record)
