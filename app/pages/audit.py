"""The Audit page: who changed what, for admins."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.auditing import MAX_POSITION, list_audit
from app.pages.rendering import render

N_SHOWN: Final = 50

router = APIRouter()


@router.get("/audit")
async def show_audit(request: Request, before: Annotated[int | None, Query(ge=1, le=MAX_POSITION)] = None) -> Response:
    """The last acts, or those before a place among them."""
    found = await list_audit(request, before, N_SHOWN)
    return render(request, "audit.html.jinja", found=found, before=before)
