"""`make ui` starts both user interfaces over the local stores, for programs and for people, and ends both."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from benchmarks.chromium import open_browser
from loopcast.stores.evidently_project import EvidentlyStore, identify_project
from tests.account_of_monitoring import make_account
from tests.e2e.browser import take_screenshot

ROOT = Path(__file__).parents[2]
PATIENCE_MS = 60_000
"""Both are several megabytes of script, which a busy machine takes long to start."""


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def is_open(port: int) -> bool:
    """Whether something listens."""
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0


def ask(url: str):
    """What an API answers."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  our own http address
        return json.load(answer)


@contextmanager
def show(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The interfaces, until the block ends; then they are told by Ctrl-C."""
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as shown:
        try:
            yield shown
        finally:
            shown.send_signal(signal.SIGINT)


def count_colours(page: Page, name: str) -> int:
    """Colours of a screenshot that cover more than a few dots: an empty page has one or two."""
    with Image.open(take_screenshot(page, name)) as picture:
        _, counts = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0, return_counts=True)
    return int((counts > 20).sum())


@pytest.mark.slow
def test_both_interfaces_show_what_is_stored_until_they_are_ended(registry, database, shared_home, name):
    """A monitored day is there for Evidently's API and on its dashboard, an experiment for MLflow's and in its list."""
    account = make_account()
    run = EvidentlyStore(database).keep_run(
        replace(account, problem=account.problem.model_copy(update={"name": name, "title": name}))
    )
    registry.client.create_experiment(name)
    evidently, mlflow = free_port(), free_port()
    command = [sys.executable, "-m", "tools.ui", "--evidently-port", str(evidently), "--mlflow-port", str(mlflow)]
    environment = os.environ | {"LOOPCAST_HOME": str(shared_home)}

    with show(command, environment) as shown:
        said = [shown.stdout.readline() for _ in range(3)]
        base, project = f"http://127.0.0.1:{evidently}/api", identify_project(name)
        projects = ask(f"{base}/projects")
        runs = ask(f"{base}/projects/{project}/snapshots")
        dashboard = ask(f"{base}/v2/dashboards/{project}")
        query = urllib.parse.urlencode({"filter": f"name = '{name}'", "max_results": 5})
        experiments = ask(f"http://127.0.0.1:{mlflow}/api/2.0/mlflow/experiments/search?{query}")
        with open_browser() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 1600})
            page.goto(f"http://127.0.0.1:{evidently}/projects/{project}")
            for panel in dashboard["panels"]:
                expect(page.get_by_text(panel["title"], exact=True).first).to_be_visible(timeout=PATIENCE_MS)
            expect(page.get_by_text("skill, all horizons")).to_be_visible(timeout=PATIENCE_MS)
            n_colours = [count_colours(page, "evidently")]
            page.goto(f"http://127.0.0.1:{mlflow}/#/experiments")
            expect(page.get_by_text(name).first).to_be_visible(timeout=PATIENCE_MS)
            n_colours.append(count_colours(page, "mlflow"))

    assert said == [
        f"Evidently: http://127.0.0.1:{evidently}\n", f"MLflow: http://127.0.0.1:{mlflow}\n", "Ctrl-C ends both.\n"
    ]  # fmt: skip
    assert name in [each["name"] for each in projects]
    assert [each["id"] for each in runs] == [str(run)]
    assert len(dashboard["panels"]) == 9
    assert [each["name"] for each in experiments["experiments"]] == [name]
    assert min(n_colours) > 10
    assert shown.returncode == 0
    assert not is_open(evidently)
    assert not is_open(mlflow)


def test_a_port_that_is_taken_is_told(shared_home, database):
    """With where to look, and nothing is left running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other = free_port()
        command = [sys.executable, "-m", "tools.ui", "--evidently-port", str(taken.getsockname()[1]),
                   "--mlflow-port", str(other)]  # fmt: skip
        environment = os.environ | {"LOOPCAST_HOME": str(shared_home)}

        found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert found.returncode == 1
    assert "Evidently ended with" in found.stderr
    assert not is_open(other)
