"""`make ui` starts both user interfaces over the local stores, and ends both."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from loopcast.stores.evidently_project import EvidentlyStore, identify_project
from tests.account_of_monitoring import make_account

ROOT = Path(__file__).parents[2]


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


@pytest.mark.slow
def test_both_interfaces_show_what_is_stored_until_they_are_ended(registry, database, shared_home, name):
    """A monitored day is read through Evidently's API, an experiment through MLflow's; nothing is left running."""
    account = make_account()
    run = EvidentlyStore(database).keep_run(
        replace(account, problem=account.problem.model_copy(update={"name": name, "title": name}))
    )
    registry.client.create_experiment(name)
    evidently, mlflow = free_port(), free_port()
    command = [sys.executable, "-m", "tools.ui", "--evidently-port", str(evidently), "--mlflow-port", str(mlflow)]
    environment = os.environ | {"LOOPCAST_HOME": str(shared_home)}

    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as shown:
        said = [shown.stdout.readline() for _ in range(3)]
        base, project = f"http://127.0.0.1:{evidently}/api", identify_project(name)
        projects = ask(f"{base}/projects")
        runs = ask(f"{base}/projects/{project}/snapshots")
        dashboard = ask(f"{base}/v2/dashboards/{project}")
        query = urllib.parse.urlencode({"filter": f"name = '{name}'", "max_results": 5})
        experiments = ask(f"http://127.0.0.1:{mlflow}/api/2.0/mlflow/experiments/search?{query}")
        shown.send_signal(signal.SIGINT)

    assert said == [
        f"Evidently: http://127.0.0.1:{evidently}\n", f"MLflow: http://127.0.0.1:{mlflow}\n", "Ctrl-C ends both.\n"
    ]  # fmt: skip
    assert name in [each["name"] for each in projects]
    assert [each["id"] for each in runs] == [str(run)]
    assert len(dashboard["panels"]) == 10
    assert [each["name"] for each in experiments["experiments"]] == [name]
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
