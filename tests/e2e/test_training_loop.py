"""The whole training half as a new user runs it: their own CSV by a YAML alone, twice, with everything that follows."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.e2e.conftest import ROOT, Run

pytestmark = pytest.mark.slow

PROBLEM = {
    "name": "demand",
    "title": "Demand of three shops",
    "unit": "pieces",
    "columns": {"series_id": "shop", "timestamp": "when", "target": "sold"},
    "time_zone": "Europe/Zurich",
    "frequency": "h",
    "horizon": 4,
    "forecast_series": ["north", "south"],
    "features": {"calendar": ["hour"], "scales": [1, 6, 24]},
    "network": {"hidden_size": 4, "moves_center": True},
    "training": {"n_seeds": 2, "max_epochs": 4, "validation_steps": 120},
    "backtest": {"refit_steps": 400, "garch_simulations": 100},
    "gate": {"coverage_tolerance": 0.2},
}
"""Other column names, another frequency and zone than the default problem's, several series, a calendar."""


def write_demand(folder: Path, n_steps: int = 1500) -> Path:
    """A CSV with a daily rhythm, gaps, a few bad cells and a duplicate, and the YAML that names it."""
    rng = np.random.default_rng(0)
    times = pd.date_range("2024-01-01", periods=n_steps, freq="h", tz="Europe/Zurich")
    frames = []
    for k, shop in enumerate(("north", "south", "west")):
        rhythm = 20 * np.sin(2 * np.pi * times.hour.to_numpy() / 24)
        noise = np.zeros(n_steps)
        for t in range(1, n_steps):
            noise[t] = 0.8 * noise[t - 1] + rng.normal(0, 1 + (times.hour[t] > 12))
        frame = pd.DataFrame({"shop": shop, "when": times.map(lambda t: t.isoformat()), "sold": 100 + rhythm + noise})
        frame["sold"] = frame["sold"].round(2).astype(str)
        frames.append(frame.drop(index=[200 + k, 201 + k, *range(300, 330)]))
    rows = pd.concat(frames, ignore_index=True)
    rows.loc[50, "sold"] = "n/a?"
    rows.loc[60, "sold"] = "inf"
    rows = pd.concat([rows, rows.iloc[[100]]], ignore_index=True)
    rows.to_csv(folder / "demand.csv", index=False)
    config = folder / "demand.yaml"
    config.write_text(yaml.safe_dump(PROBLEM | {"source": {"uri": str(folder / "demand.csv")}}), encoding="utf-8")
    return config


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's YAML beside the user's CSV."""
    return write_demand(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def first(run: Run, config: Path) -> "subprocess.CompletedProcess[str]":
    """The first training of the problem."""
    return run("pyflyte", "run", "workflows/training.py", "training", "--config", str(config))


def test_another_csv_goes_through_by_a_yaml_alone(first, machine):
    """The account is printed, the report stands where it says, and nothing lies outside of the work folder."""
    assert "Demand of three shops" in first.stdout
    assert "The gate promoted it: the first model" in first.stdout
    page = Path(first.stdout.partition("Report:")[2].split()[0])
    assert page.is_relative_to(machine["LOOPCAST_HOME"])
    assert "<html" in page.read_text(encoding="utf-8")
    assert page.with_name("forecast.png").read_bytes().startswith(b"\x89PNG")
    assert not any((ROOT / name).exists() for name in ("mlruns", "mlflow.db"))


def test_refused_rows_are_kept_with_their_reason(run, first):
    """Each bad cell can be looked at afterwards."""
    listed = run("loopcast", "quarantine", "demand").stdout

    assert {"not_a_number", "not_finite", "duplicate"} <= set(listed.split())


def test_a_second_training_on_the_same_data_does_not_replace_an_equal_champion(run, first, config):
    """An equally good challenger is rejected, with the figures, and the champion stays."""
    run("pyflyte", "run", "workflows/training.py", "training", "--config", str(config))

    listed, decided = run("loopcast", "versions", "demand").stdout, run("loopcast", "history", "demand").stdout

    assert [line.split()[0] for line in listed.splitlines()] == ["2", "1"]
    assert listed.splitlines()[1].endswith("champion")
    assert "rejection" in decided.splitlines()[0]
    assert "not better than the champion" in decided


def test_a_version_is_rebuilt_bit_for_bit(run, first):
    """The same snapshot, code, seed and environment give the same weights."""
    done = run("pyflyte", "run", "workflows/reproduction.py", "reproduction", "--problem", "demand", "--version", "1")

    assert "weights_sha256='" in done.stdout


def test_another_environment_is_refused_by_name_or_gives_the_same_bits(run, first):
    """On a processor held back to other instructions the weights differ, and the refusal says so."""
    done = run(
        "pyflyte", "run", "workflows/reproduction.py", "reproduction", "--problem", "demand", "--version", "1",
        check=False, ATEN_CPU_CAPABILITY="default",
    )  # fmt: skip

    text = done.stdout + done.stderr
    assert "cpu_capability" in text


def test_a_rollback_is_one_command(run, first):
    """An operator names the version and the reason; the decision is kept."""
    run("pyflyte", "run", "tasks/promotion.py", "demote_champion", "--problem", "demand", "--to_version", "2",
        "--reason", "trial of the rollback")  # fmt: skip
    done = run("loopcast", "demote", "demand", "--to", "1", "--reason", "back again")

    decided = run("loopcast", "history", "demand").stdout
    assert "is now 1" in done.stdout
    assert "demotion" in decided
    assert "back again" in decided


def test_a_killed_training_leaves_a_registry_in_which_the_next_one_works(run, first, config, machine):
    """Kill -9 in the middle of training: no half version, the champion stays, and the next training ends well."""
    command = ["pyflyte", "run", "workflows/training.py", "training", "--config", str(config)]
    before = run("loopcast", "versions", "demand").stdout
    program = str(Path(sys.executable).parent / command[0])
    with subprocess.Popen(
        [program, *command[1:]], env=machine, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as training:
        for line in training.stderr:
            if "training networks" in line:
                break
        os.kill(training.pid, signal.SIGKILL)

    after_kill = run("loopcast", "versions", "demand").stdout
    run(*command)

    assert after_kill == before
    assert len(run("loopcast", "versions", "demand").stdout.splitlines()) == len(before.splitlines()) + 1


def test_bad_data_stop_the_run_with_one_clear_sentence(run, tmp_path):
    """Too many refused rows: how many of how many, why, an example, and what to do."""
    config = write_demand(tmp_path, n_steps=700)
    rows = pd.read_csv(tmp_path / "demand.csv")
    rows.loc[::5, "sold"] = "?"
    rows.to_csv(tmp_path / "demand.csv", index=False)

    done = run("loopcast", "check", str(config), check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("loopcast: demand: ")
    assert "not_a_number" in done.stderr
    assert "Traceback" not in done.stderr


def test_tuning_hands_its_best_configuration_to_training(run, tmp_path):
    """Trials run on a shared study, are logged, and the trained model has the settings of the best."""
    config = write_demand(tmp_path, n_steps=700)
    problem = yaml.safe_load(config.read_text()) | {"name": "tuned"}
    problem["training"] |= {"max_epochs": 2, "n_seeds": 1}
    config.write_text(yaml.safe_dump(problem), encoding="utf-8")

    done = run("pyflyte", "run", "workflows/training.py", "training", "--config", str(config), "--tuning_trials", "3")

    assert "problem='tuned' version=1" in done.stdout
