"""People sign in to the served process at a provider of somebody else's make, with a real browser too."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

from benchmarks.chromium import open_browser
from benchmarks.servers import find_port
from tests.e2e.browser import find_barriers, person
from tests.e2e.conftest import Run
from tests.e2e.serving import Postgres, Service, run_postgres, serve, wait_for

pytestmark = pytest.mark.slow

ME: Final = "/api/v1/me"
TOKENS: Final = "/api/v1/tokens"
GROUPS: Final = {"ada": ["analysts"], "olga": ["operators"], "root": ["admins"], "eve": ["others"]}


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of a provider that knows some people."""
    port = find_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "-p", str(port), "-n", "true"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    issuer = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: is_there(issuer))
        for name, groups in GROUPS.items():
            httpx.put(f"{issuer}/users/{name}", json={"name": name.title(), "groups": groups}).raise_for_status()
        yield issuer
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """The database server, of which the service knows the URL alone."""
    with run_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def port() -> int:
    """Where people reach the service, whenever it is restarted."""
    return find_port()


@pytest.fixture(scope="module")
def signing_machine(machine: dict[str, str], provider: str, postgres: Postgres, port: int) -> dict[str, str]:
    """A machine on which people sign in."""
    return machine | {
        "LOOPCAST_DATABASE_URL": postgres.start(),
        "LOOPCAST_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "LOOPCAST_OIDC_ISSUER": provider,
        "LOOPCAST_OIDC_CLIENT_ID": "loopcast",
        "LOOPCAST_OIDC_CLIENT_SECRET": "secret",
        "LOOPCAST_OIDC_VIEWERS": "analysts",
        "LOOPCAST_OIDC_OPERATORS": "operators",
        "LOOPCAST_OIDC_ADMINS": "admins",
    }


@pytest.fixture
def start(signing_machine: dict[str, str], port: int, tmp_path: Path) -> Iterator["ServiceStarter"]:
    """Starts the service, and stops it."""
    with ExitStack() as stack:
        yield ServiceStarter(signing_machine, port, tmp_path, stack)


class ServiceStarter:
    """Starts the service, in place of the one that ran before."""

    def __init__(self, machine: dict[str, str], port: int, folder: Path, stack: ExitStack) -> None:
        self._machine, self._port, self._folder = machine, port, folder
        self._stack = stack

    def __call__(self) -> Service:
        """The service; nothing was trained, so that it forecasts nothing."""
        self.stop()
        return self._stack.enter_context(serve(self._machine, self._port, self._folder, probe="/livez"))

    def stop(self) -> None:
        """End it as an operator does."""
        self._stack.close()


def is_there(address: str) -> bool:
    """Whether a server answers."""
    try:
        return httpx.get(address).is_success
    except httpx.TransportError:
        return False


def connect(service: Service, headers: dict[str, str] | None = None) -> httpx.Client:
    """A client that keeps cookies and no connections, since the service is restarted."""
    return httpx.Client(base_url=service.url, headers=headers, limits=httpx.Limits(max_keepalive_connections=0))


def sign_in(service: Service, name: str) -> httpx.Client:
    """Somebody's client, after they went to the provider and back."""
    client = connect(service)
    asked = client.get("/sign-in", params={"next": ME})
    back = httpx.post(asked.headers["location"], data={"sub": name}).headers["location"]
    client.get(back)
    return client


def test_a_person_works_from_signing_in_to_signing_out(start):
    """With a token for a program, of which a colleague sees nothing, and an admin what was done."""
    service = start()
    ada, olga, root = (sign_in(service, name) for name in ("ada", "olga", "root"))
    me = ada.get(ME).json()
    assert (me["name"], me["role"]) == ("Ada", "viewer")

    made = ada.post(TOKENS, json={"name": "dashboards"}).json()

    program = connect(service, {"Authorization": f"Bearer {made['secret']}"})
    assert program.get(ME).json()["id"] == me["id"]
    assert ada.post(TOKENS, json={"name": "detour", "role": "operator"}).status_code == 403
    assert olga.get(TOKENS).json() == {"tokens": []}
    assert olga.delete(f"{TOKENS}/{made['token']['id']}").status_code == 404
    assert root.delete(f"{TOKENS}/{made['token']['id']}").status_code == 204
    assert program.get(ME).status_code == 401
    assert ada.post("/sign-out", json={}).json() == {"location": "/sign-in"}
    assert ada.get(ME).status_code == 401
    acts = [(entry["actor_name"], entry["act"]) for entry in root.get("/api/v1/audit").json()["entries"]]
    assert acts == [
        ("Ada", "signed_out"), ("Root", "token_revoked"), ("Ada", "act_refused"), ("Ada", "token_created"),
        ("Root", "signed_in"), ("Olga", "signed_in"), ("Ada", "signed_in"),
    ]  # fmt: skip
    assert root.get("/audit", headers={"Accept": "text/html"}).status_code == 200
    assert olga.get("/api/v1/audit").status_code == 403


def test_sessions_and_tokens_outlive_the_process_and_the_database(start, postgres):
    """A restart signs nobody out; a database that is away does neither, and a start without it knows the tokens."""
    service = start()
    ada = sign_in(service, "ada")
    secret = ada.post(TOKENS, json={"name": "dashboards"}).json()["secret"]
    program = connect(service, {"Authorization": f"Bearer {secret}"})
    start()
    assert ada.get(ME).status_code == 200

    postgres.stop()
    try:
        assert [ada.get(ME).status_code, program.get(ME).status_code] == [200, 200]
        start()
        assert program.get(ME).status_code == 200
        unknown = ada.get(ME)
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (503, "unavailable")
    finally:
        postgres.start()

    wait_for(lambda: ada.get(ME).status_code == 200)


def test_who_has_no_role_is_told_so(start):
    """By a page, since they came with a browser."""
    service = start()
    client = connect(service, {"Accept": "text/html"})
    asked = client.get("/sign-in", params={"next": "/"})

    answer = client.get(httpx.post(asked.headers["location"], data={"sub": "eve"}).headers["location"])

    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert "Eve has no role here; ask those who run this service for one" in answer.text


def test_half_of_the_settings_start_nothing(run: Run, port):
    """One sentence says what is missing."""
    done = run(
        "bentoml", "serve", "bento.service:Loopcast", "-p", str(port), check=False,
        LOOPCAST_OIDC_ISSUER="https://id.example.org", BENTOML_DO_NOT_TRACK="True",
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "loopcast: LOOPCAST_OIDC_CLIENT_ID: found nothing, needs a value where LOOPCAST_OIDC_ISSUER has one; "
        "correct or unset it"
    )


EVIL_PAGE: Final = """<!doctype html><title>evil</title>
<form id="form" method="post" action="SERVICE/sign-out" enctype="text/plain"><input name='{"a":"' value='"}'></form>
<iframe src="SERVICE/sign-in"></iframe>
<script>
const ask = (path, options) => fetch("SERVICE" + path, { credentials: "include", ...options })
  .then(answer => answer.type + answer.status, () => "blocked");
window.asked = Promise.all([
  ask("/api/v1/me"),
  ask("/api/v1/me", { mode: "no-cors" }),
  ask("/sign-out", { method: "POST", mode: "no-cors", body: "{}" }),
  ask("/sign-out", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }),
]);
</script>"""


@pytest.fixture
def evil(port) -> Iterator[str]:
    """The address of a page of somebody else's, on the same machine and so of the same site."""
    page = EVIL_PAGE.replace("SERVICE", f"http://127.0.0.1:{port}").encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_browser_signs_in_and_no_other_page_acts_for_it(start, provider, evil):
    """Through the provider's own form and back; a page of the same site can neither ask, nor change, nor frame."""
    service = start()

    with open_browser() as browser, person(browser, service.url) as ada:
        # The provider's own page, the other page and its frame, and what is refused, or not trained here, on purpose.
        ada.allowed += [provider, "cdn.jsdelivr.net", evil, "/forecast: error", "/sign-out: error"]
        ada.context.route("https://**", lambda route: route.abort())
        page = ada.open("/sign-in")
        assert find_barriers(page) == []
        page.get_by_role("link", name="Sign in").click()
        page.get_by_placeholder("sub").fill("ada")
        page.get_by_role("button", name="Authorize").click()
        page.goto(f"{service.url}/tokens")
        assert page.get_by_text("Ada").first.is_visible()
        [cookie] = [each for each in ada.context.cookies() if each["name"] == "loopcast"]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        assert page.evaluate("document.cookie") == ""

        other = ada.context.new_page()
        other.goto(evil)
        outcomes = other.evaluate("window.asked")
        framed = other.frames[1].content()
        other.evaluate("document.getElementById('form').submit()")
        other.wait_for_url(f"{service.url}/sign-out")

        assert outcomes == ["blocked"] * 4
        assert "Forecasts, their track record" not in framed
        assert page.goto(f"{service.url}{ME}").json()["name"] == "Ada"
        assert page.goto(f"{service.url}/tokens").status == 200
