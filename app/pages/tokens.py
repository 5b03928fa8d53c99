"""The Tokens page: what one's programs sign their requests with. A secret is shown once, when it is made."""

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.access_shapes import MAX_DAYS, TokenState
from app.asker import ORDER
from app.pages.navigation import list_problems
from app.pages.rendering import render
from app.parts import read_asked
from app.token_routes import list_tokens
from loopcast.stores.tokens import MAX_NAME_CHARACTERS

EXPIRIES: Final = ((30, "30 days"), (90, "90 days"), (365, "A year"), ("", "Never"))
"""Days until a token expires."""

router = APIRouter()


@router.get("/tokens")
async def show_tokens(request: Request) -> Response:
    """One's own tokens, and how to make one."""
    asked = read_asked(request)
    tokens = (await list_tokens(request)).tokens
    return render(
        request,
        "tokens.html.jinja",
        active=[each for each in reversed(tokens) if each.is_active],
        ended=[each for each in reversed(tokens) if not each.is_active],
        roles=[role for role in ORDER if asked.record.asker.may(role)],
        allowed=list_problems(asked),
        expiries=EXPIRIES,
        max_days=MAX_DAYS,
        max_name=MAX_NAME_CHARACTERS,
        tell_end=tell_end,
    )


def tell_end(token: TokenState) -> str:
    """Why a token opens nothing any more."""
    return "revoked" if token.revoked_at_utc else "expired"
