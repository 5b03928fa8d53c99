"""People who sign in at a provider: what each may, and that nobody meets what is another's."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from loopcast.client import Client
from loopcast.client.errors import NotSignedInError
from tests.e2e.browser import WIDTHS, Person, find_barriers, find_breaks, person, settle, take_screenshot
from tests.e2e.serving import Service, wait_for

pytestmark = pytest.mark.slow

SignIn = Callable[..., Person]
GOOG = "/forecast?problem=google&series=GOOG"


@pytest.fixture
def stranger(browser: Browser, signed_desk: Service, provider: str) -> Iterator[Person]:
    """Somebody whom the service has never seen."""
    with person(browser, signed_desk.url) as someone:
        someone.allowed.append(provider)
        yield someone


@pytest.fixture
def sign_in(browser: Browser, signed_desk: Service, provider: str) -> Iterator[SignIn]:
    """Lets people in, each with a browser of their own."""
    with ExitStack() as stack:

        def enter(name: str) -> Person:
            someone = stack.enter_context(person(browser, signed_desk.url))
            someone.allowed.append(provider)
            page = someone.open("/sign-in?next=/tokens")
            choose(page, name)
            expect(page).to_have_url(f"{signed_desk.url}/tokens")
            return someone

        yield enter


def choose(page: Page, name: str) -> None:
    """Be somebody, on the provider's page."""
    page.get_by_role("button", name=name, exact=True).first.click()


def test_a_stranger_is_led_to_sign_in_and_back_to_where_they_wanted_to_be(stranger: Person):
    """The way leads straight to the provider; whoever signs out has to sign in again."""
    page = stranger.open("/health?problem=google")
    choose(page, "ada")
    expect(page).to_have_url(re.compile(r"/health\?problem=google$"))
    expect(page.get_by_role("banner")).to_contain_text("Ada")

    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{stranger.origin}/sign-in")
    page.goto(f"{stranger.origin}/health")
    expect(page.get_by_role("button", name="ada", exact=True).first).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_to_sign_in_is_whole_and_without_barriers(browser: Browser, signed_desk: Service, width: int):
    """It is the first that people see."""
    with person(browser, signed_desk.url, width=width) as someone:
        page = someone.open("/sign-in")
        take_screenshot(page, f"sign-in-{width}-light")

        assert find_breaks(page) == []
        assert find_barriers(page) == []


def test_a_session_ends_for_everybody_who_has_its_cookie(sign_in: SignIn, stranger: Person):
    """A copy that somebody took opens nothing any more; and no script could have taken it."""
    stranger.allowed.append("401")
    ada = sign_in("ada")
    [cookie] = [each for each in ada.context.cookies(ada.origin) if each["name"] == "loopcast"]
    stranger.context.add_cookies([cookie])
    assert stranger.context.request.get(f"{ada.origin}/api/v1/me").json()["name"] == "Ada"

    page = ada.open("/tokens")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{ada.origin}/sign-in")

    assert stranger.context.request.get(f"{ada.origin}/api/v1/me").status == 401
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")


def test_somebody_without_a_role_is_told_whom_to_ask(stranger: Person):
    """The provider knows them, and this service does not."""
    stranger.allowed.append("403")
    page = stranger.open("/sign-in?next=/")
    choose(page, "eve")

    expect(page.locator("main")).to_contain_text("Eve has no role here")


def test_a_link_cannot_lead_on_to_another_host(stranger: Person):
    """Whatever is asked for, one comes back to this service."""
    page = stranger.open("/sign-in?next=//evil.example/")
    choose(page, "ada")

    expect(page).to_have_url(re.compile(f"^{re.escape(stranger.origin)}/"))


@pytest.mark.parametrize(
    ("name", "may_operate", "may_read_audit"), [("ada", False, False), ("olga", True, False), ("root", True, True)]
)
def test_each_role_sees_and_may_what_it_should(sign_in: SignIn, name: str, may_operate: bool, may_read_audit: bool):
    """What a page does not offer, the API refuses as well."""
    someone = sign_in(name)
    someone.allowed.append("403")

    page = someone.open("/models?problem=google")
    assert page.get_by_role("button", name="Train a new version…").is_visible() is may_operate
    assert page.get_by_role("link", name="Audit").is_visible() is may_read_audit
    someone.open("/audit")

    ask = someone.context.request
    promotion = {"kind": "promotion", "request": {"version": 99, "reason": "to see whether I may"}}
    answered = ask.post(f"{someone.origin}/api/v1/problems/google/queries", data=promotion)
    assert answered.status == (202 if may_operate else 403)
    assert ask.get(f"{someone.origin}/api/v1/audit").status == (200 if may_read_audit else 403)


def test_nobody_meets_the_query_of_another_by_any_route(sign_in: SignIn, worker: object):
    """Neither on a page nor by the API, to read it, to follow it, to stop it or to ask it again; admins no more."""
    ada = sign_in("ada")
    queries = f"{ada.origin}/api/v1/problems/google/queries"
    asked = {"kind": "explanation", "request": {"series_id": "GOOG"}}
    query_id = ada.context.request.post(queries, data=asked).json()["query_id"]
    wait_for(lambda: ada.context.request.get(f"{ada.origin}/api/v1/queries/{query_id}").json()["ended_at_utc"])
    paths = ada.context.request.get(f"{ada.origin}/openapi.json").json()["paths"]
    routes = [
        (method, path.replace("{query_id}", query_id).replace("{name}", "any.csv"))
        for path, operations in paths.items()
        for method in operations
        if "{query_id}" in path
    ]
    pages = [("get", f"/queries/{query_id}"), ("get", f"/queries/{query_id}/progress")]

    for other in (sign_in("bob"), sign_in("root")):
        for method, path in routes + pages:
            answer = other.context.request.fetch(
                f"{ada.origin}{path}", method=method, data={} if method == "post" else None
            )
            assert answer.status == 404, (method, path)
        assert query_id not in other.context.request.get(f"{ada.origin}/api/v1/queries").text()
        assert query_id not in other.open("/queries").content()
    assert len(routes) >= 5
    assert ada.context.request.get(f"{ada.origin}/api/v1/queries/{query_id}").ok


def test_nobody_meets_the_upload_of_another(sign_in: SignIn, tmp_path: Path):
    """It can be neither deleted nor forecast by others."""
    ada, bob = sign_in("ada"), sign_in("bob")
    uploads = f"{ada.origin}/api/v1/uploads"
    content = {"headers": {"Content-Type": "text/csv"}, "data": b"a,b\n1,2\n"}
    upload_id = ada.context.request.post(uploads, **content).json()["upload_id"]

    assert bob.context.request.get(uploads).json() == {"uploads": []}
    assert bob.context.request.delete(f"{uploads}/{upload_id}").status == 404
    assert [each["upload_id"] for each in ada.context.request.get(uploads).json()["uploads"]] == [upload_id]
    assert ada.context.request.delete(f"{uploads}/{upload_id}").status == 204


def test_a_program_asks_with_a_token_that_its_owner_made_and_revokes(sign_in: SignIn):
    """The secret is shown once; what it may is what was chosen."""
    ada = sign_in("ada")
    page = ada.open("/tokens")
    page.get_by_label("What it is for").fill("dashboards")
    page.get_by_label("May ask about").select_option("google")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("Here is its secret")).to_be_visible()
    secret = page.locator("#secret").inner_text()
    assert find_barriers(page) == []

    with Client(ada.origin, secret) as client:
        wait_for(lambda: _is_let_in(client))
        assert [each.problem for each in client.problems()] == ["google"]
        assert (client.me().is_program, client.me().role) == (True, "viewer")

        page.get_by_role("link", name="I have copied it").click()
        settle(page)
        assert secret not in page.content()
        page.get_by_role("button", name="Revoke dashboards").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        wait_for(lambda: not _is_let_in(client))


def test_acts_stand_in_the_audit_with_who_did_them(sign_in: SignIn):
    """Also those that were refused."""
    ada, root = sign_in("ada"), sign_in("root")
    ada.context.request.post(f"{ada.origin}/api/v1/tokens", data={"name": "mine", "role": "admin"})

    page = root.open("/audit")

    row = page.locator("tr", has_text=re.compile("refused", re.IGNORECASE)).first
    expect(row).to_contain_text("Ada")
    expect(page.locator("tr", has_text=re.compile("signed in", re.IGNORECASE)).first).to_contain_text("Root")


def _is_let_in(client: Client) -> bool:
    try:
        return bool(client.me())
    except NotSignedInError:
        return False
