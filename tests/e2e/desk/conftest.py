"""A desk that people use: a work folder after a year in production, its service and a worker, and a browser."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser

from benchmarks.chromium import open_browser
from benchmarks.servers import find_port
from loopcast.client import Client
from tests.e2e.browser import Person, person
from tests.e2e.conftest import ROOT
from tests.e2e.desk.running import run_provider, run_worker
from tests.e2e.serving import Service, serve
from tests.integration.clients import end_server

NewPerson = Callable[..., Person]
PEOPLE: Final = {"ada": "viewers", "bob": "viewers", "eve": "", "olga": "operators", "root": "admins"}
"""Whom the provider knows, and their group."""


@pytest.fixture(scope="session")
def desk_machine() -> Iterator[dict[str, str]]:
    """The environment of a machine whose work folder holds a year; gone after the last test."""
    folder = Path(tempfile.mkdtemp(prefix="lc-", dir="/tmp"))
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOOPCAST_", "MLFLOW_", "PG"))}
    machine = {
        **kept,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LOOPCAST_HOME": str(folder / "loopcast"),
        "LOOPCAST_CHAMPION_POLL_S": "0.2",
        "PYTHONWARNINGS": "ignore",
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }
    subprocess.run([sys.executable, "-m", "tests.e2e.desk.home"], env=machine, cwd=ROOT, check=True)
    yield machine
    end_server(folder / "loopcast")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def desk(desk_machine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service of that machine, open to everybody on it."""
    with serve(desk_machine, find_port(), tmp_path_factory.mktemp("desk")) as service:
        yield service


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an OpenID provider that knows some people."""
    with run_provider(PEOPLE, tmp_path_factory.mktemp("provider")) as address:
        yield address


@pytest.fixture(scope="session")
def signed_desk(
    desk_machine: dict[str, str], provider: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service of the same machine at which people sign in."""
    port = find_port()
    settings = {
        "LOOPCAST_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "LOOPCAST_OIDC_ISSUER": provider,
        "LOOPCAST_OIDC_CLIENT_ID": "loopcast",
        "LOOPCAST_OIDC_CLIENT_SECRET": "secret",
        **{f"LOOPCAST_OIDC_{role.upper()}S": f"{role}s" for role in ("viewer", "operator", "admin")},
    }
    with serve({**desk_machine, **settings}, port, tmp_path_factory.mktemp("signed")) as service:
        yield service


@pytest.fixture(scope="session")
def worker(
    desk_machine: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator["subprocess.Popen[bytes]"]:
    """The worker of that machine, which answers long queries."""
    with run_worker(desk_machine, tmp_path_factory.mktemp("worker")) as process:
        yield process


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; of one module, because Playwright keeps an event loop running in the thread."""
    with open_browser() as browser:
        yield browser


@pytest.fixture
def meet(browser: Browser, desk: Service) -> Iterator[NewPerson]:
    """Makes people with a browser of their own, whose walks are without a fault."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(person(browser, desk.url, **options))


@pytest.fixture
def ada(meet: NewPerson) -> Person:
    """Somebody at the machine."""
    return meet()


@pytest.fixture
def client(desk: Service) -> Iterator[Client]:
    """Asks the same service without a browser."""
    with Client(desk.url) as client:
        yield client
