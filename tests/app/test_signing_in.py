"""People sign in at an OpenID provider, and nobody does so in another's name."""

import hmac
import json
import re
import time
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote_plus

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from app.api import create_app
from app.metrics import Metrics
from app.rates import RateLimit
from app.signin.people import MAX_ATTEMPTS, open_people
from app.signin.sessions import ActiveSessions
from loopcast.settings import Settings
from loopcast.stores.audit import Act
from loopcast.stores.sessions import MemorySessionStore
from tests.app.browser import PAGE, Browser
from tests.app.client import API, code_of, signed
from tests.app.provider import CLIENT_ID, CLIENT_SECRET, make_key, run_provider

ME = f"{API}/me"
IDLE = timedelta(hours=2)
CRITICAL = "eyJhbGciOiJIUzI1NiIsImNyaXQiOjV9.e30."
"""Of which the header is `{"alg":"HS256","crit":5}`, which no standard allows."""


@pytest.fixture(scope="module")
def server():
    """A provider's server, which stays for all tests."""
    with run_provider() as provider:
        yield provider


@pytest.fixture
def provider(server):
    """The same, behaving itself."""
    fresh = type(server)(server.issuer, keys=server.keys[:1])
    vars(server).update(vars(fresh))
    return server


@pytest.fixture
def make_settings(provider, tmp_path):
    """Settings of a service at which people sign in."""

    def make(**changes):
        given = {
            "home": tmp_path,
            "public_url": "http://localhost",
            "oidc_issuer": provider.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SecretStr(CLIENT_SECRET),
            "oidc_viewers": ("analysts",),
            "oidc_operators": ("operators",),
            "oidc_admins": ("admins",),
        }
        return Settings(**given | changes)

    return make


@pytest.fixture
def make_app(make_parts, make_settings, tokens, store):
    """An app at which people sign in, with sessions of its own."""

    def make(**changes):
        settings = make_settings(**changes)
        sessions = MemorySessionStore(IDLE)
        people = open_people(settings, sessions, ActiveSessions(sessions))
        return create_app(make_parts(settings=settings, tokens=tokens, token_store=store, people=people))

    return make


@pytest.fixture
def app(make_app):
    """The same, as most tests want it."""
    return make_app()


@pytest.fixture
def browser(app):
    """A browser of somebody new."""
    return Browser(app)


def acts_of(app):
    """What the audit has, the earliest first."""
    return [entry.act for entry in app.state.parts.audit.kept]


def attempts_of(browser):
    """Names of the cookies of sign-ins that a browser has under way."""
    return [name for name in browser.cookies if name.startswith("loopcast-sign-in-")]


def test_a_person_comes_in_and_back_to_where_they_wanted_to_go(browser, app):
    """With the name and the role that the provider says, which the audit has too."""
    sent_away = browser.get("/track-record?problem=google&series=A%26B")
    assert sent_away.status_code == 303
    assert sent_away.headers["location"] == "/sign-in?next=%2Ftrack-record%3Fproblem%3Dgoogle%26series%3DA%2526B"

    back = browser.sign_in("/track-record?problem=google&series=A%26B")

    assert (back.status_code, back.headers["location"]) == (303, "/track-record?problem=google&series=A%26B")
    issuer = app.state.parts.settings.oidc_issuer
    assert browser.get(ME).json() == {
        "id": f"{issuer}#ada",
        "name": "Ada",
        "role": "viewer",
        "problems": [],
        "is_local": False,
        "is_program": False,
    }
    [entry] = app.state.parts.audit.kept
    assert (entry.act, entry.actor_id, entry.actor_name) == (Act.SIGNED_IN, f"{issuer}#ada", "Ada")


def test_the_provider_is_asked_as_openid_connect_says(browser, provider):
    """By code, with PKCE, state and nonce; the way back is that of the settings, and the secret goes in a header."""
    browser.sign_in()

    [asked] = provider.asked["/authorize"]
    assert {name: asked[name] for name in ("response_type", "client_id", "redirect_uri", "scope")} == {
        "response_type": "code",
        "client_id": "loopcast",
        "redirect_uri": "http://localhost/sign-in/callback",
        "scope": "openid profile email",
    }
    assert asked["code_challenge_method"] == "S256"
    random = [asked[name] for name in ("state", "nonce", "code_challenge")]
    assert len(set(random)) == 3
    assert all(len(value) == 43 for value in random)
    [redeemed] = provider.asked["/token"]
    assert redeemed["authorization"] == httpx.BasicAuth("loopcast", "s3cret%2Fof%2Bthe+client")._auth_header
    assert "secret" not in redeemed


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(browser, provider):
    """As it says of itself."""
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}

    browser.sign_in()

    [redeemed] = provider.asked["/token"]
    assert redeemed["client_secret"] == quote_plus(CLIENT_SECRET)
    assert not redeemed["authorization"]


def test_the_host_of_a_request_does_not_say_where_people_come_back_to(app, provider):
    """Whoever has a proxy pass on another name gets nobody's code."""
    begun = Browser(app).get("/sign-in?next=/", headers={"Host": "evil.example.org", "X-Forwarded-Host": "evil"})

    assert "redirect_uri=http%3A%2F%2Flocalhost%2Fsign-in%2Fcallback" in begun.headers["location"]


@pytest.mark.parametrize(
    ("claims", "role", "problems"),
    [
        ({"groups": ["admins", "analysts"]}, "admin", []),
        ({"groups": ["analysts", "operators"]}, "operator", []),
        ({"groups": "analysts"}, "viewer", []),
        ({"groups": ["analysts", "loopcast:problem:prices"]}, "viewer", ["prices"]),
    ],
)
def test_the_claim_gives_role_and_problems(browser, provider, claims, role, problems):
    """The highest role of those that its values name; the problems too, where any is named."""
    provider.claims |= claims

    browser.sign_in()

    me = browser.get(ME).json()
    assert (me["role"], me["problems"]) == (role, problems)


def test_a_claim_may_lie_deeper(make_app, provider):
    """As Keycloak's roles do."""
    provider.claims = {"sub": "ada", "realm_access": {"roles": ["operators"]}}
    browser = Browser(make_app(oidc_role_claim="realm_access.roles"))

    browser.sign_in()

    assert browser.get(ME).json()["role"] == "operator"


@pytest.mark.parametrize(
    "claims", [{"groups": ["others"]}, {"groups": []}, {"groups": None}, {"groups": {"admins": 1}}, {"groups": 7}]
)
def test_who_has_no_role_stays_outside(browser, app, provider, claims):
    """The provider knows them; a sentence says so, and the audit that they came."""
    provider.claims |= claims

    answer = browser.return_to(browser.visit_provider())

    assert answer.status_code == 403
    assert "Ada has no role here; ask those who run this service for one" in answer.text
    assert browser.get(ME).status_code == 401
    assert acts_of(app) == [Act.SIGN_IN_REFUSED]


def test_everybody_else_may_have_a_role(make_app, provider):
    """Where the settings say so."""
    provider.claims["groups"] = ["others"]
    browser = Browser(make_app(oidc_default_role="viewer"))

    browser.sign_in()

    assert browser.get(ME).json()["role"] == "viewer"


def encode(content):
    """A part of a token."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def sign_with_nothing(provider, claims):
    """A token that says itself that nobody signed it."""
    return f"{encode(json.dumps({'alg': 'none'}).encode())}.{encode(json.dumps(claims).encode())}."


def sign_with_secret(secret, head, claims):
    """A token that is signed by a secret that several share."""
    signed = f"{encode(json.dumps(head | {'alg': 'HS256'}).encode())}.{encode(json.dumps(claims).encode())}"
    return f"{signed}.{encode(hmac.digest(secret, signed.encode(), 'sha256'))}"


def sign_with_published_key(provider, claims):
    """A token that takes the public key for a shared secret."""
    key = provider.keys[-1]
    return sign_with_secret(key.as_pem(private=False), {"kid": key.kid}, claims)


def sign_with_client_secret(provider, claims):
    """A token that whoever knows the client's secret could make."""
    return sign_with_secret(CLIENT_SECRET.encode(), {}, claims)


def sign_with_foreign_key(provider, claims):
    """A token by a key of somebody's own, under the name of the provider's."""
    key = RSAKey.generate_key(2048)
    return jwt.encode({"alg": "RS256", "kid": provider.keys[-1].kid}, claims, key)


def sign_with_own_key_inside(provider, claims):
    """A token that brings the key to check it by."""
    key = make_key()
    return jwt.encode({"alg": "RS256", "kid": key.kid, "jwk": key.as_dict(private=False)}, claims, key)


def sign_and_change(provider, claims):
    """A token whose claims were changed after it was signed."""
    head, _, signature = provider.sign_well(claims).split(".")
    return f"{head}.{encode(json.dumps(claims | {'sub': 'eve'}).encode())}.{signature}"


@pytest.mark.parametrize(
    "sign",
    [
        sign_with_nothing, sign_with_published_key, sign_with_client_secret, sign_with_foreign_key,
        sign_with_own_key_inside, sign_and_change, lambda *_: "no.token", lambda *_: "",
    ],
)  # fmt: skip
def test_an_id_token_that_the_provider_did_not_sign_lets_nobody_in(browser, app, provider, sign):
    """However it is made to look as if."""
    provider.sign = sign

    assert_refused(browser, app, browser.return_to(browser.visit_provider()))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example.org"}, {"iss": None},
        {"aud": "another-service"}, {"aud": []}, {"aud": None}, {"aud": ["loopcast", "another-service"]},
        {"azp": "another-service"},
        {"exp": 1_000_000_000}, {"exp": None}, {"exp": "soon"},
        {"iat": 4_000_000_000}, {"iat": None}, {"nbf": 4_000_000_000},
        {"nonce": "of-another-sign-in"}, {"nonce": None}, {"nonce": ""},
        {"sub": None}, {"sub": ""}, {"sub": 7},
    ],
    ids=str,
)  # fmt: skip
def test_an_id_token_for_somebody_or_something_else_lets_nobody_in(browser, app, provider, change):
    """Of another issuer, for another service or another sign-in, too old or too new, and of nobody."""
    provider.twist = lambda claims: {name: value for name, value in (claims | change).items() if value is not None}

    assert_refused(browser, app, browser.return_to(browser.visit_provider()))


def assert_refused(browser, app, answer):
    """Nobody is signed in, and the person is told what to do, with nothing of the inside."""
    assert answer.status_code == 400
    assert "is not good for this sign-in; begin again at /sign-in" in answer.text
    assert "session" not in str(answer.headers.get("set-cookie"))
    assert browser.get(ME).status_code == 401
    assert not acts_of(app)


def test_a_token_for_several_services_must_name_this_one(browser, provider):
    """As the party that it was given to."""
    provider.twist = lambda claims: claims | {"aud": ["loopcast", "another"], "azp": "loopcast"}

    assert browser.sign_in().status_code == 303


@pytest.mark.parametrize(
    "other",
    [
        {"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA", "kid": "new"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": 7},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "new"},
        {"kty": "RSA"},
        "nonsense",
    ],
    ids=["curve", "kid", "type", "empty", "text"],
)
def test_a_key_that_cannot_be_read_keeps_nobody_out(browser, provider, other):
    """The provider lists one of a kind that is new, beside the one that it signs with."""
    provider.more_keys = [other]

    assert browser.sign_in().status_code == 303


def test_a_token_that_names_no_key_is_signed_by_the_only_one(browser, provider):
    """A key for encryption beside it is no other."""
    provider.more_keys = [make_key().as_dict(private=False) | {"use": "enc"}]
    provider.sign = lambda self, claims: jwt.encode({"alg": "RS256"}, claims, self.keys[-1])

    assert browser.sign_in().status_code == 303


def test_a_provider_without_a_key_is_none(browser, provider, caplog):
    """People are told that it does not answer as it should, and the log why."""
    provider.metadata = {"jwks_uri": f"{provider.issuer}/.well-known/openid-configuration"}

    assert browser.get("/sign-in?next=/").status_code == 503
    assert "lists no key with which ID tokens could be signed" in caplog.text


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_code_that_the_provider_does_not_take_is_the_persons_to_send_again(browser, provider, status):
    """Whichever status the provider gives that: RFC 6749 says 400, Auth0 403."""
    address = browser.visit_provider()
    provider.codes.clear()
    provider.refusal_status = status

    answer = browser.return_to(address)

    assert answer.status_code == 400
    assert "is not good for this sign-in; begin again at /sign-in" in answer.text


def test_a_new_key_of_the_provider_is_found(browser, provider):
    """It is looked for once when a token names it, and not before."""
    browser.sign_in()
    provider.keys.append(make_key())

    other = Browser(browser.app)
    other.sign_in()

    assert other.get(ME).status_code == 200
    assert len(provider.asked["/jwks"]) == 2


def test_a_code_is_good_for_the_browser_that_began(browser, app):
    """Whoever sends somebody their own way back signs nobody in to the wrong account."""
    address = browser.visit_provider()

    answer = Browser(app).return_to(address)

    assert answer.status_code == 400
    assert "his sign-in was not begun in this browser, or over 10 minutes ago" in answer.text


def test_a_state_of_another_sign_in_is_refused(browser, app):
    """Also in a browser that has begun one."""
    another = Browser(app).visit_provider()
    browser.visit_provider()

    assert browser.return_to(another).status_code == 400


def test_two_windows_sign_in_at_once(browser):
    """As a browser does that opens those of yesterday; each comes back to where it was."""
    first, second = browser.visit_provider("/health"), browser.visit_provider("/models")

    back = [browser.return_to(address).headers["location"] for address in (first, second)]

    assert back == ["/health", "/models"]
    assert not attempts_of(browser)


def test_cookies_that_only_look_like_sign_ins_are_left_alone(browser):
    """However many of them there are, and whatever they are called."""
    for k in range(MAX_ATTEMPTS):
        browser.keep(f"loopcast-sign-in-(planted {k})", "x")

    assert browser.sign_in("/models").headers["location"] == "/models"


def test_a_browser_keeps_no_more_sign_ins_than_a_proxy_lets_through(browser):
    """Each is a cookie that goes with every request; those that nobody comes back from make room."""
    for _ in range(MAX_ATTEMPTS):
        browser.visit_provider()
    assert len(attempts_of(browser)) == MAX_ATTEMPTS

    back = browser.sign_in("/models")

    assert back.headers["location"] == "/models"
    assert not attempts_of(browser)


def test_the_way_back_leads_in_once(browser, app, provider):
    """A copy of address and cookies, replayed, opens nothing, even at a provider that takes a code twice."""
    address = browser.visit_provider()
    thief = Browser(app, cookies=httpx.Cookies(browser.cookies))
    codes = dict(provider.codes)
    assert browser.return_to(address).status_code == 303

    refused_by_provider = thief.return_to(address)
    provider.codes |= codes
    refused_here = thief.return_to(address)

    assert refused_by_provider.status_code == refused_here.status_code == 400
    assert "his sign-in was used before" in refused_here.text
    assert thief.get(ME).status_code == 401


def test_a_second_window_that_is_late_goes_on_with_the_session(browser):
    """Two windows were sent to sign in; one of them is not told off for it."""
    late = browser.visit_provider()
    browser.sign_in("/health")

    answer = browser.return_to(late)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.get("/sign-in?next=/models").headers["location"] == "/models"


def test_a_sign_in_that_took_too_long_is_refused(browser, monkeypatch):
    """Ten minutes are for a password and a second factor."""
    address = browser.visit_provider()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 601)
    [name] = attempts_of(browser)
    browser.keep(name, browser.cookies[name])

    assert browser.return_to(address).status_code == 400


@pytest.mark.parametrize("change", ["", "x", "eyJhbGciOiJub25lIn0.eyJzZWVkIjoiYSIsInBhdGgiOiIvIn0.", CRITICAL])
def test_a_sign_in_that_nobody_here_signed_is_none(browser, change):
    """A cookie that somebody made up, or changed."""
    address = browser.visit_provider()
    [name] = attempts_of(browser)
    sealed = browser.cookies[name]
    browser.keep(name, change if "." in change else f"{change}{sealed[:-1]}")

    assert browser.return_to(address).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example.org", "/\\evil.example.org", "\\\\evil.example.org", "https://evil.example.org", "https:evil",
        "javascript:alert(1)", "evil.example.org", "/\t/evil.example.org", "/\n/evil", "", "/a\\b", "/sign-in?next=/",
        "/sign-in/callback?code=1", "/" + "a" * 3000, "/ä",
    ],
)  # fmt: skip
def test_nobody_is_led_elsewhere_afterwards(browser, path):
    """Only to a path of this service; from anything else people come to the first page."""
    answer = browser.sign_in(path)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_each_sign_in_has_a_new_session(browser, app, provider):
    """Nobody plants a session of their own in somebody's browser and has them go on with it."""
    eve = Browser(app)
    eve.sign_in()
    planted = eve.cookies["loopcast"]
    provider.claims["sub"] = "bob"
    address = browser.visit_provider()
    browser.keep("loopcast", planted)

    browser.return_to(address)

    assert browser.get(ME).json()["id"].endswith("#bob")
    assert browser.cookies["loopcast"] != planted
    assert eve.get(ME).status_code == 401


def test_a_session_that_nobody_began_opens_nothing(browser):
    """Neither one that looks as if, nor what else a cookie may hold."""
    for made_up in ("p" * 43, "", "x", "a b", "%00", "p" * 5000):
        browser.keep("loopcast", made_up)
        assert browser.get(ME).status_code == 401


def test_cookies_are_out_of_reach_of_scripts_and_other_pages(browser):
    """On this machine without TLS; the sign-in's is gone once it was used."""
    begun = browser.get("/sign-in?next=/")
    done = browser.sign_in()

    attempt = begun.headers["set-cookie"]
    assert re.match("loopcast-sign-in-[0-9a-f]{8}=ey", attempt)
    assert attempt.endswith("; HttpOnly; Max-Age=600; Path=/; SameSite=lax")
    session, gone = done.headers.get_list("set-cookie")
    assert session.startswith("loopcast=")
    assert session.endswith("; HttpOnly; Max-Age=43200; Path=/; SameSite=lax")
    assert re.match('loopcast-sign-in-[0-9a-f]{8}="";', gone)
    assert "Max-Age=0" in gone


def test_by_tls_cookies_are_bound_to_the_host(make_app):
    """No neighbour below the same domain can set or read them, and they go by TLS alone."""
    browser = Browser(make_app(public_url="https://forecasts.example.org"), "https://forecasts.example.org")

    done = browser.sign_in()

    session, _ = done.headers.get_list("set-cookie")
    assert session.startswith("__Host-loopcast=")
    assert session.endswith("; HttpOnly; Max-Age=43200; Path=/; SameSite=lax; Secure")
    assert browser.get(ME).status_code == 200
    assert done.headers["strict-transport-security"] == "max-age=31536000"


def test_who_signs_out_is_out(browser, app):
    """The cookie opens nothing any more, wherever a copy of it is; the audit has it."""
    browser.sign_in()
    copied = Browser(app, cookies=httpx.Cookies(browser.cookies))

    answer = browser.ask("POST", "/sign-out", json={})

    assert (answer.status_code, answer.json()) == (200, {"location": "/sign-in"})
    assert copied.get(ME).status_code == 401
    assert "loopcast" not in browser.cookies
    assert acts_of(app) == [Act.SIGNED_IN, Act.SIGNED_OUT]
    assert browser.ask("POST", "/sign-out", json={}).status_code == 200


def test_who_signs_out_may_be_led_on_to_the_provider(make_app, provider):
    """With the way back, where the settings ask for it."""
    browser = Browser(make_app(oidc_sign_out=True))
    browser.sign_in()

    location = browser.ask("POST", "/sign-out", json={}).json()["location"]

    assert location == (
        f"{provider.issuer}/logout?client_id=loopcast&post_logout_redirect_uri=http%3A%2F%2Flocalhost%2Fsign-in"
    )


def test_a_session_ends_at_its_hour(browser, app):
    """Whatever was done until then, whatever the browser keeps, and also where it is in memory."""
    browser.sign_in()
    people = app.state.parts.people
    [session] = people.store.active()
    assert session.expires_at_utc - session.created_at_utc == timedelta(hours=12)
    over = session.model_copy(update={"expires_at_utc": session.created_at_utc})
    people.store.kept[over.secret_sha256] = over
    people.active.add(over)

    assert browser.get(ME).status_code == 401


def test_the_page_to_sign_in_is_open(browser):
    """Without a place to come back to nobody is sent anywhere: who signed out stays so."""
    page = browser.get("/sign-in")

    assert page.status_code == 200
    assert 'href="/sign-in?next=/"' in page.text


def test_a_program_is_told_of_tokens_and_a_page_of_the_way_in(browser):
    """401 for the API and for what changes something, whoever asks; a part of a page sends the whole page there."""
    assert code_of(browser.get(ME)) == (401, "not_signed_in")
    assert code_of(browser.ask("GET", "/forecast")) == (401, "not_signed_in")
    assert code_of(browser.ask("DELETE", f"{API}/tokens/7", headers=PAGE)) == (401, "not_signed_in")

    part = browser.ask("GET", "/forecast", headers={"HX-Current-URL": "http://localhost/forecast?problem=google"})
    assert part.headers["hx-redirect"] == "/sign-in?next=%2Fforecast%3Fproblem%3Dgoogle"
    broken = browser.ask("GET", "/forecast", headers={"HX-Current-URL": "http://[/forecast"})
    assert (broken.status_code, broken.headers["hx-redirect"]) == (401, "/sign-in?next=/")


def test_tokens_open_the_same_service(app, store, tokens):
    """Programs need no provider; a wrong token is not made good by a session beside it."""
    _, secret = store.create("dashboards", "ada", "operator", ())
    tokens.refresh()
    browser = Browser(app)
    browser.sign_in()

    assert signed(app, secret).get(ME).json()["role"] == "operator"
    assert browser.ask("GET", ME, headers={"Authorization": "Bearer lc_wrong"}).status_code == 401


def test_the_providers_own_token_is_none_of_ours(app, provider):
    """An ID token is for signing in, and no key to the API."""
    token = provider.sign_well({"iss": provider.issuer, "aud": CLIENT_ID, "sub": "ada", "exp": time.time() + 300})

    assert signed(app, token).get(ME).status_code == 401


@pytest.mark.parametrize("error", ["access_denied", "<script>alert(1)</script>", "server_error"])
def test_a_refusal_of_the_provider_is_told(browser, provider, error):
    """In our words, and not in those that came with the address."""
    provider.error = error

    answer = browser.return_to(browser.visit_provider())

    assert answer.status_code == 403
    assert "did not let you in; begin again at /sign-in" in answer.text
    assert error not in answer.text


def test_a_provider_that_is_away_is_no_error_of_ours(make_app, caplog):
    """Whoever wants to sign in is told so, programs go on, and the log says why."""
    browser = Browser(make_app(oidc_issuer="http://127.0.0.1:9"))

    answer = browser.get("/sign-in?next=/")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "60"
    assert "the sign-in service does not answer as it should" in answer.text.lower()
    assert "does not answer as a provider does" in caplog.text


def test_a_provider_by_another_name_is_refused(make_app, provider, caplog):
    """The log says which name it gives itself."""
    provider.metadata = {"issuer": "https://id.example.org"}

    answer = Browser(make_app()).get("/sign-in?next=/")

    assert answer.status_code == 503
    assert "there a provider that names itself https://id.example.org" in caplog.text


def test_an_answer_in_another_providers_name_is_refused(browser):
    """RFC 9207: whoever has two providers is not given the code of one for the other's."""
    address = f"{browser.visit_provider()}&iss=https%3A%2F%2Fevil.example.org"

    assert browser.return_to(address).status_code == 400


def test_who_asks_too_often_waits_whoever_they_are(make_app):
    """A session has as many requests as a token."""
    browser = Browser(make_app(token_requests_per_s=0.5))
    browser.sign_in()

    assert [browser.get(ME).status_code for _ in range(2)] == [200, 429]


def test_made_up_ways_back_are_answered_so_often(app, provider):
    """A worker looks at some of them in a second, and the provider hears of none."""
    parts = app.state.parts
    slow = replace(parts, people=replace(parts.people, limit=RateLimit(requests_per_s=0.01)))
    browser = Browser(create_app(replace(slow, metrics=Metrics())))

    answers = [browser.get("/sign-in/callback?code=x&state=y").status_code for _ in range(2)]

    assert answers == [400, 429]
    assert "/token" not in provider.asked
