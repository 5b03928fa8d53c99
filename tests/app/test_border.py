"""What browsers are told, and which requests they may make here for pages from elsewhere: none but links."""

import pytest

from app.api import create_app
from loopcast.settings import Settings
from tests.app.client import API, Client, code_of, signed

FORECASTS = f"{API}/problems/google/forecasts"
BODY = {"series": [{"series_id": "GOOG"}]}
LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture
def secure(make_parts):
    """A client of a service that people reach by TLS, from a proxy before it."""
    return Client(create_app(make_parts(settings=Settings(public_url="https://forecasts.example.org"))))


@pytest.mark.parametrize("path", ["/livez", f"{API}/problems", f"{API}/problems/nothing", "/nothing", "/metrics"])
def test_every_answer_keeps_browsers_in_bounds(client, path):
    """Not kept, not guessed at, never run as a page, in nobody's frame, and read by no other page."""
    headers = client.get(path).headers

    assert {name: headers[name] for name in headers if name in EXPECTED} == EXPECTED
    assert "strict-transport-security" not in headers
    assert "access-control-allow-origin" not in headers


EXPECTED = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@pytest.mark.parametrize("path", ["/forecast", "/nothing", "/health?problem=nothing"])
def test_a_page_runs_and_loads_only_what_is_ours(client, path):
    """Also one that refuses; and nobody shows it in a frame, or keeps it."""
    answer = client.get(path, headers={"Accept": "text/html"})

    assert answer.headers["content-type"].startswith("text/html")
    [policy] = answer.headers.get_list("content-security-policy")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == rules["form-action"] == "'self'"
    assert {name: answer.headers.get_list(name) for name in EXPECTED if name != "content-security-policy"} == {
        name: [value] for name, value in EXPECTED.items() if name != "content-security-policy"
    }


def test_what_pages_load_is_kept_for_ever(client):
    """Its address changes with it."""
    page = client.get("/forecast", headers={"Accept": "text/html"}).text
    address = next(part for part in page.split('"') if part.startswith("/static/"))

    headers = client.get(address).headers

    assert headers.get_list("cache-control") == ["public, max-age=31536000, immutable"]
    assert headers["x-content-type-options"] == "nosniff"


def test_by_tls_browsers_come_back_by_tls(secure):
    """For a year; without TLS, as on this machine, nothing is said of it."""
    assert secure.get("/livez").headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", **LINK},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": ""} | {"Origin": "http://evil.example.org"},
        {"Origin": "http://evil.example.org"},
        {"Origin": "http://localhost:8080"},
        {"Origin": "http://localhost.evil.example.org"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_a_page_from_elsewhere_changes_nothing(client, headers):
    """Neither one of another site, nor of another port or name below this one; by a form as little as by a script."""
    for method, path in (("POST", FORECASTS), ("DELETE", f"{API}/tokens/7"), ("POST", "/sign-out"), ("PUT", "/x")):
        answer = client.ask(method, path, json=BODY, headers=headers)
        assert code_of(answer) == (403, "cross_origin")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
    ],
    ids=str,
)
def test_our_own_pages_and_programs_ask(client, headers):
    """A program sends none of these headers, an old browser only its origin."""
    assert client.post(FORECASTS, BODY, headers=headers).status_code == 200


def test_behind_a_proxy_the_public_address_counts(secure):
    """Whatever name the request was passed on to."""
    allowed = secure.post(FORECASTS, BODY, headers={"Origin": "https://forecasts.example.org"})
    plain = secure.post(FORECASTS, BODY, headers={"Origin": "http://forecasts.example.org"})
    inside = secure.post(FORECASTS, BODY, headers={"Origin": "http://localhost"})

    assert [answer.status_code for answer in (allowed, plain, inside)] == [200, 403, 403]


def test_a_token_is_enough_wherever_it_comes_from(make_parts, store, tokens):
    """No page can have a browser add one; a program of another origin that has one may use it."""
    _, secret = store.create("dashboards", "ada", "viewer", ())
    tokens.refresh()
    client = signed(create_app(make_parts(tokens=tokens)), secret)

    answer = client.post(
        FORECASTS, BODY, headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.org"}
    )

    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/problems/a%00b/models", f"{API}/problems/google/track-record?series=%00", f"{API}/queries?problem=a%00",
        "/track-record?series=%00", "/a%00b",
    ],
)  # fmt: skip
def test_an_address_that_no_database_takes_is_refused(client, path):
    """PostgreSQL knows no text with this character; nobody's mistake becomes an error of ours."""
    assert code_of(client.get(path)) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (LINK, 200),
        (LINK | {"Sec-Fetch-Dest": "iframe"}, 403),
        (LINK | {"Sec-Fetch-Dest": "object"}, 403),
        ({"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        ({"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 403),
        ({}, 403),
    ],
    ids=str,
)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_from_elsewhere_only_a_link_leads_here(client, headers, status, site):
    """Not a frame, an image or a script, which would have the person's own session with it."""
    assert client.get(f"{API}/problems", headers=headers | {"Sec-Fetch-Site": site}).status_code == status


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_form_could_send_is_no_body(client, content_type):
    """So that a browser that says nothing of itself cannot be made to send one either."""
    headers = {"Content-Type": content_type}

    answers = [client.post(path, headers=headers, content=b"{}") for path in (FORECASTS, f"{API}/uploads")]

    assert [answer.status_code for answer in answers] == [415, 415]
