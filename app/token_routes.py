"""`/api/v1/tokens`: people make, list and revoke tokens of their programs. Nobody gives away more than they have."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request

from app.access_shapes import NewToken, TokenBody, Tokens, TokenState
from app.asker import Asker
from app.documentation import PREFIX, SENDING, refusals
from app.errors import ErrorCode, ForbiddenRefusal, Refusal
from app.parts import Asked, ServiceParts, read_asked
from app.store_threads import READERS
from loopcast.stores.audit import Act
from loopcast.stores.tokens import Role, Token

MAX_ACTIVE: Final = 50
"""Of one owner at once: one for each program; whoever reaches this makes them and never looks back."""

router = APIRouter(prefix=f"{PREFIX}/tokens")


@router.get("", operation_id="list_tokens")
async def list_tokens(request: Request) -> Tokens:
    """One's own tokens, without their secrets."""
    asked = read_asked(request)
    return Tokens(tokens=[_describe(token) for token in await _find_own(asked)])


@router.post("", operation_id="create_token", status_code=201, responses=refusals(*SENDING, 409))
async def create_token(body: TokenBody, request: Request) -> NewToken:
    """A new token; its secret is shown this once. A token makes none: whoever finds one could keep the door open."""
    asked = read_asked(request)
    asker = asked.record.asker
    if asker.is_program:
        what = "a token makes no tokens; sign in, or use `loopcast tokens create` where the service runs"
        raise ForbiddenRefusal(what)
    asked.needs(body.role)
    problems = _choose_problems(body, asked)
    if sum(token.is_active(datetime.now(UTC)) for token in await _find_own(asked)) >= MAX_ACTIVE:
        what = f"you have {MAX_ACTIVE} active tokens, which is as many as one may; revoke one that is not used any more"
        raise Refusal(409, ErrorCode.TOO_MANY, what)
    expires_at_utc = None
    if body.expires_in_days is not None:
        expires_at_utc = datetime.now(UTC) + timedelta(days=body.expires_in_days)

    def create() -> tuple[Token, str]:
        token, secret = asked.parts.token_store.create(body.name, asker.id, body.role, problems, expires_at_utc)
        _notice(asked.parts)
        # What is not in the audit is not told either: without the secret the token opens nothing.
        asked.keep_act(
            Act.TOKEN_CREATED,
            str(token.id),
            name=token.name,
            role=token.role,
            problems=", ".join(token.problems) or "all",
            expires="never" if expires_at_utc is None else f"{expires_at_utc:%Y-%m-%d}",
        )
        return token, secret

    token, secret = await READERS.ask(create)
    return NewToken(token=_describe(token), secret=secret)


@router.delete("/{token_id}", operation_id="revoke_token", status_code=204)
async def revoke_token(token_id: UUID, request: Request) -> None:
    """End a token of one's own; an admin ends any. One that was ended before stays as it was."""
    asked = read_asked(request)
    found = next((token for token in await _list_all(asked) if token.id == token_id), None)
    if found is None or not _may_revoke(asked.record.asker, found):
        raise Refusal(404, ErrorCode.NOT_FOUND, "you have no such token; GET /api/v1/tokens lists those that you have")

    def revoke() -> None:
        asked.parts.token_store.revoke(token_id)
        _notice(asked.parts)
        asked.keep_act(Act.TOKEN_REVOKED, str(token_id), name=found.name, owner=found.owner)

    await READERS.ask(revoke)


def _choose_problems(body: TokenBody, asked: Asked) -> tuple[str, ...]:
    """What the token is for; one's own problems where the body names none."""
    asker = asked.record.asker
    known = [name for name in asked.parts.champions.names() if asker.may_use(name)]
    for name in body.problems:
        if name not in known and name not in asker.problems:
            what = (
                f"body.problems: found {name[:60]!r}, needs one of those that you may use: {', '.join(known) or 'none'}"
            )
            raise Refusal(422, ErrorCode.INVALID_REQUEST, what)
    return tuple(body.problems) or asker.problems


def _may_revoke(asker: Asker, token: Token) -> bool:
    return token.owner == asker.id or asker.may(Role.ADMIN)


async def _find_own(asked: Asked) -> list[Token]:
    return [token for token in await _list_all(asked) if token.owner == asked.record.asker.id]


async def _list_all(asked: Asked) -> list[Token]:
    return await READERS.ask(asked.parts.token_store.list_all)


def _notice(parts: ServiceParts) -> None:
    """Let this worker know at once; others do within seconds."""
    if parts.tokens is not None:
        parts.tokens.refresh()


def _describe(token: Token) -> TokenState:
    return TokenState(
        id=token.id,
        name=token.name,
        role=token.role,
        problems=list(token.problems),
        created_at_utc=token.created_at_utc,
        expires_at_utc=token.expires_at_utc,
        revoked_at_utc=token.revoked_at_utc,
        is_active=token.is_active(datetime.now(UTC)),
    )
