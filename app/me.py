"""`GET /api/v1/me`: who asks, as the service sees it."""

from fastapi import APIRouter
from starlette.requests import Request

from app.access_shapes import Me
from app.documentation import PREFIX
from app.parts import read_asked

router = APIRouter(prefix=PREFIX)


@router.get("/me", operation_id="get_me")
async def get_me(request: Request) -> Me:
    """Who asks, and what they may."""
    asker = read_asked(request).record.asker
    return Me(
        id=asker.id,
        name=asker.name,
        role=asker.role,
        problems=list(asker.problems),
        is_local=asker.is_local,
        is_program=asker.is_program,
    )
