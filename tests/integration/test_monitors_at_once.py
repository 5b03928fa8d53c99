"""Two whole monitoring runs of one problem and day at the same moment: processes of their own, one database."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from loopcast.settings import Settings
from loopcast.stores.action_log import ActionLog
from loopcast.stores.actions import ActionKind, ActionState
from loopcast.stores.evidently_project import identify_project
from loopcast.stores.opened import Stores
from tests.integration.receivers import Hook, run_hook
from tests.monitored import N_TRAINED, make_service

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LAST = N_TRAINED + 40
QUICK = {
    "gate": {"naive_alpha": 0.49, "coverage_tolerance": 0.5, "min_dates": 60},
    "training": {"n_seeds": 1, "max_epochs": 2, "validation_steps": 100},
    "network": {"hidden_size": 4, "moves_center": True},
}


def start_monitoring(config: Path, home: Path, hook: Hook) -> subprocess.Popen[str]:
    """A run as an operator or a timer starts it."""
    command = [Path(sys.executable).with_name("pyflyte"), "run", "workflows/monitoring.py", "monitoring"]
    told = {"LOOPCAST_ALERT_WEBHOOK_URL": hook.url, "LOOPCAST_ALERT_WEBHOOK_SECRET": "s3cret"}
    return subprocess.Popen(
        [*command, "--config", str(config)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | told | {"LOOPCAST_HOME": str(home)},
    )  # fmt: skip


def test_two_monitors_at_once_leave_one_report_one_alert_and_one_training(shared_home, name, tmp_path):
    """Skill is lost: both find it, one of them trains, and nobody is told twice."""
    service = make_service(Stores(Settings(home=shared_home)), name[:40], tmp_path, rhythm=5.0, **QUICK)
    problem, stores = service.problem.name, service.stores
    service.promote(bias=-3.0)
    service.forecast(N_TRAINED + 1, LAST)
    service.publish(LAST)
    config = tmp_path / "problem.yaml"
    config.write_text(yaml.safe_dump(service.problem.model_dump(mode="json")), encoding="utf-8")

    with run_hook(Hook()) as hook:
        runs = [start_monitoring(config, shared_home, hook) for _ in range(2)]
        said = [run.communicate(timeout=400)[0] for run in runs]

    assert [run.returncode for run in runs] == [0, 0], said
    assert sum("Done: Version 2 was trained, and was promoted" in each for each in said) == 1, said
    assert sum("Done: nothing" in each for each in said) == 1, said
    actions = {each.kind: each.state for each in ActionLog(stores.database).history(problem)}
    assert actions == {ActionKind.RETRAIN: ActionState.DONE, ActionKind.COOL_DOWN: ActionState.RUNNING}
    assert [each.version for each in stores.registry.versions(problem)] == [2, 1]
    assert [path.name for path in (shared_home / "reports" / problem / "monitoring").iterdir()] == [
        f"{service.day(LAST):%Y-%m-%d}.html"
    ]
    with stores.database.connect() as connection:
        runs_kept = "SELECT count(*) FROM evidently.snapshots WHERE project_id = %s"
        assert connection.execute(runs_kept, [str(identify_project(problem))]).fetchone() == (1,)
    told = [
        (each["news"], each["kind"], each["subject"]) for each in map(json.loads, (body for _, body in hook.requests))
    ]
    assert told.count(("raised", "skill_lost", "")) == 1
    assert len(set(told)) == len(told), "each condition is one message"
