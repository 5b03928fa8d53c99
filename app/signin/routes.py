"""`/sign-in`, the way back from the provider, and `/sign-out`: for browsers, which keep the session in a cookie."""

import hmac
import logging

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from app.asker import Asker
from app.errors import ErrorCode, Refusal
from app.pages.rendering import render
from app.parts import Asked, read_asked
from app.signin.attempts import LASTS_S, Attempt, begin_attempt, check_path, open_attempt
from app.signin.cookies import name_attempt
from app.signin.people import People
from app.signin.provider import DistrustedError, ProviderError
from app.signin.roles import identify, judge_person, name_person
from app.store_threads import WRITERS
from loopcast.stores.audit import Act
from loopcast.stores.sessions import ReplayedError, make_session
from loopcast.stores.tokens import Role

logger = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)
AGAIN = "begin again at /sign-in"


@router.get("/sign-in")
async def begin_sign_in(request: Request, next: str | None = None) -> Response:  # noqa: A002  what links call it
    """Lead a person to the provider, or, without a place to come back to, let them choose to go there."""
    asked, people = _read(request)
    if next is None:
        return render(request, "sign_in.html.jinja", href="/sign-in?next=/")
    if await people.find_session(request.scope) is not None:
        return _redirect(check_path(next))
    attempt = begin_attempt(next)
    try:
        response = _redirect(await people.provider.address_sign_in(attempt))
    except ProviderError as exc:
        raise _refuse_provider(exc, asked) from exc
    people.keep_attempt(request, response, attempt)
    return response


@router.get("/sign-in/callback")
async def finish_sign_in(request: Request) -> Response:
    """Let a person in who comes back from the provider: each time with a new session."""
    asked, people = _read(request)
    if wait_s := people.limit.take(None):
        what = f"too many people sign in at once; try again in {wait_s} s"
        raise Refusal(429, ErrorCode.RATE_LIMITED, what, headers={"Retry-After": str(wait_s)})
    before = await people.find_session(request.scope)
    state = request.query_params.get("state", "")
    cookie = name_attempt(state, people.session.is_secure)
    attempt = open_attempt(cookie.read(request.scope), people.key)
    if attempt is None or not hmac.compare_digest(attempt.state.encode(), state.encode()):
        if before is not None:  # another window of the same browser was quicker
            return _redirect("/")
        raise _refuse(400, f"this sign-in was not begun in this browser, or over {LASTS_S // 60} minutes ago; {AGAIN}")
    asker = asked.record.asker = await _ask_provider(request, asked, people, attempt)
    session, secret = make_session(asker.id, asker.name, asker.role, asker.problems, people.lasts)
    try:
        await WRITERS.ask(people.store.begin, session, attempt.nonce)
    except ReplayedError as exc:
        if before is not None:
            return _redirect("/")
        raise _refuse(400, str(exc)) from exc
    await asked.audit(Act.SIGNED_IN, str(session.id))
    if before is not None:
        await WRITERS.ask(people.store.end, before.secret_sha256)
        people.active.drop(before)
    people.active.add(session)
    response = _redirect(attempt.path)
    people.session.give(response, secret, int(people.lasts.total_seconds()))
    cookie.take(response)
    return response


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session, here at once and elsewhere within seconds; `location` is where to go then."""
    asked, people = _read(request)
    session = await people.find_session(request.scope)
    if session is not None:
        asked.record.asker = Asker(session.asker_id, session.asker_name, session.role, session.problems)
        await WRITERS.ask(people.store.end, session.secret_sha256)
        people.active.drop(session)
        await asked.audit(Act.SIGNED_OUT, str(session.id))
    response = JSONResponse({"location": await _find_exit(people)})
    people.session.take(response)
    return response


async def _ask_provider(request: Request, asked: Asked, people: People, attempt: Attempt) -> Asker:
    """Who came back, as the provider says."""
    given = request.query_params
    if "error" in given or "code" not in given:
        logger.info("the provider refused a sign-in: %.200r", given.get("error"))
        raise _refuse(403, f"the sign-in service did not let you in; {AGAIN}, or ask those who run it")
    try:
        claims = await people.provider.redeem(given["code"], given.get("iss"), attempt)
    except DistrustedError as exc:
        logger.warning("a sign-in was refused: %s", exc, extra={"fields": {"request_id": asked.record.request_id}})
        raise _refuse(400, f"what the sign-in service says of you is not good for this sign-in; {AGAIN}") from exc
    except ProviderError as exc:
        raise _refuse_provider(exc, asked) from exc
    asker = judge_person(claims, people.settings)
    if asker is None:
        asked.record.asker = Asker(identify(claims), name_person(claims), Role.VIEWER, problems=("",))
        await asked.audit(Act.SIGN_IN_REFUSED, people.settings.oidc_role_claim)
        raise _refuse(403, f"{name_person(claims)} has no role here; ask those who run this service for one")
    return asker


async def _find_exit(people: People) -> str:
    if not people.settings.oidc_sign_out:
        return "/sign-in"
    try:
        return await people.provider.address_sign_out() or "/sign-in"
    except ProviderError as exc:
        logger.warning("nobody is led to sign out at the provider: %s", exc)
        return "/sign-in"


def _read(request: Request) -> tuple[Asked, People]:
    asked = read_asked(request)
    assert asked.parts.people is not None, "these routes are there only where people sign in"
    return asked, asked.parts.people


def _redirect(address: str) -> Response:
    return RedirectResponse(address, 303)


def _refuse(status: int, what: str) -> Refusal:
    return Refusal(status, ErrorCode.SIGN_IN_FAILED, what)


def _refuse_provider(exc: ProviderError, asked: Asked) -> Refusal:
    logger.error("people cannot sign in: %s", exc, extra={"fields": {"request_id": asked.record.request_id}})
    what = "the sign-in service does not answer as it should; try again in a minute, or tell those who run this service"
    return Refusal(503, ErrorCode.UNAVAILABLE, what, headers={"Retry-After": "60"})
