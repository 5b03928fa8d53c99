"""A training that somebody asks for: launched on the Flyte that the environment names."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from launchplans.training import training_on_demand
from tests.flyte.admin import serve_admin
from tests.panels import make_panel_problem

ROOT = Path(__file__).parents[2]


def ask(folder, address, **environment):
    """What `launchplans.on_demand` tells of a training of a small problem."""
    config = folder / "prices.yaml"
    config.write_text(yaml.safe_dump(make_panel_problem().model_dump(mode="json")), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "launchplans.on_demand", str(config), "q0123456789abcdef012"],
        cwd=ROOT,
        env=os.environ
        | {"FLYTE_PLATFORM_URL": address, "FLYTE_PLATFORM_INSECURE": "true", "LOOPCAST_HOME": str(folder)}
        | {"LOOPCAST_FLYTE_PROJECT": "team", "LOOPCAST_FLYTE_DOMAIN": "production", "PYTHONWARNINGS": "ignore"}
        | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, done.stderr
    return lines[-1]


def test_a_named_flyte_starts_the_launch_plan_once_for_a_query(tmp_path):
    """With the problem as its input; asked again for the same query it starts none, and answers the same."""
    with serve_admin(training_on_demand) as (admin, address):
        told = [ask(tmp_path, address, LOOPCAST_CONSOLE_URL="https://flyte.example.org/console") for _ in range(2)]

    [started] = admin.started.values()
    config = started.inputs.literals["config"].scalar
    assert (
        told
        == [
            {
                "execution_id": "q0123456789abcdef012",
                "execution_url": "https://flyte.example.org/console/projects/team/domains/production/executions/"
                "q0123456789abcdef012",
            }
        ]
        * 2
    )
    place = (started.project, started.domain, started.spec.launch_plan.name)
    assert place == ("team", "production", "training_on_demand")
    assert config.WhichOneof("value") in {"binary", "generic"}
    assert b"Simulated prices" in config.SerializeToString()


def test_a_flyte_that_does_not_know_the_launch_plan_is_told_in_a_sentence(tmp_path):
    """With what to register or correct."""
    with serve_admin(training_on_demand) as (_, address):
        told = ask(tmp_path, address, LOOPCAST_FLYTE_PROJECT="elsewhere")

    assert told["error"].startswith("Flyte did not start training_on_demand of elsewhere/production: ")
    assert told["error"].endswith("correct LOOPCAST_FLYTE_PROJECT and LOOPCAST_FLYTE_DOMAIN")
