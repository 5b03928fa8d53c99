"""The whole training half as a new user runs it: their own CSV by a YAML alone, twice, with everything that follows."""

import subprocess
import sys
import time
from dataclasses import dataclass
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

REPRODUCTION = (
    "pyflyte", "run", "workflows/reproduction.py", "reproduction", "--problem", "demand", "--version", "1",
)  # fmt: skip


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


def train(config: Path) -> list[str]:
    """The command that trains a problem."""
    return ["pyflyte", "run", "workflows/training.py", "training", "--config", str(config)]


@pytest.fixture(scope="module")
def first(run: Run, config: Path) -> "subprocess.CompletedProcess[str]":
    """The first training of the problem."""
    return run(*train(config))


@dataclass(frozen=True)
class Killed:
    """A training that was killed while its networks trained: what it said, and the versions before and after."""

    said: str
    before: str
    after: str


@pytest.fixture(scope="module")
def killed(run: Run, config: Path, first: "subprocess.CompletedProcess[str]", machine: dict[str, str]) -> Killed:
    """Killed by -9 behind its first checkpoint."""
    before = run("loopcast", "versions", "demand").stdout
    said = train_until(Path(machine["TMPDIR"]), "loopcast-checkpoints-*/*.pt", config, machine)
    return Killed(said, before, run("loopcast", "versions", "demand").stdout)


@pytest.fixture(scope="module")
def second(run: Run, config: Path, killed: Killed) -> "subprocess.CompletedProcess[str]":
    """The next training behind the killed one, on the same data as the first."""
    return run(*train(config))


@pytest.fixture(scope="module")
def rebuilt(run: Run, first: "subprocess.CompletedProcess[str]") -> "subprocess.CompletedProcess[str]":
    """The reproduction of the first version."""
    return run(*REPRODUCTION)


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


def test_a_training_killed_while_its_networks_train_leaves_a_registry_in_which_the_next_works(killed, second):
    """Kill -9 behind the first checkpoint: no half version, the champion stays, and the next training ends well."""
    assert "training networks: 2 of 2" not in killed.said
    assert killed.after == killed.before
    assert "version=2 " in second.stdout


def test_a_second_training_on_the_same_data_does_not_replace_an_equal_champion(run, second):
    """An equally good challenger is rejected, with the figures, and the champion stays."""
    listed, decided = run("loopcast", "versions", "demand").stdout, run("loopcast", "history", "demand").stdout

    assert [line.split()[0] for line in listed.splitlines()] == ["2", "1"]
    assert listed.splitlines()[1].endswith("champion")
    assert "rejection" in decided.splitlines()[0]
    assert "not better than the champion" in decided


def test_a_version_is_rebuilt_bit_for_bit(rebuilt):
    """The same snapshot, code, seed and environment give the same weights."""
    assert len(read_weights(rebuilt.stdout)) == 64


def test_another_processor_gives_the_same_bits_or_is_refused_by_name(run, rebuilt):
    """On one that is held back to other instructions the weights may differ, and then the refusal says why."""
    done = run(*REPRODUCTION, check=False, ATEN_CPU_CAPABILITY="default")

    if done.returncode == 0:
        assert read_weights(done.stdout) == read_weights(rebuilt.stdout)
    else:
        assert "cpu_capability was" in done.stdout + done.stderr


def test_a_rollback_is_one_command(run, second):
    """An operator names the version and the reason; the decision is kept."""
    run("pyflyte", "run", "tasks/promotion.py", "demote_champion", "--problem", "demand", "--to_version", "2",
        "--reason", "trial of the rollback")  # fmt: skip
    done = run("loopcast", "demote", "demand", "--to", "1", "--reason", "back again")

    decided = run("loopcast", "history", "demand").stdout
    assert "is now 1" in done.stdout
    assert "demotion" in decided
    assert "back again" in decided


def test_a_training_killed_while_it_registers_leaves_a_registry_in_which_the_next_works(run, first, config, machine):
    """Kill -9 when the model's files come: a whole version or none, the champion stays, the next training ends well."""
    before = run("loopcast", "versions", "demand").stdout

    train_until(Path(machine["LOOPCAST_HOME"]), "artifacts/mlflow/demand/*/artifacts/model/MLmodel", config, machine)

    after_kill = run("loopcast", "versions", "demand").stdout
    run(*train(config))
    after = run("loopcast", "versions", "demand").stdout
    assert find_champion(after_kill) == find_champion(before) == find_champion(after)
    assert len(after_kill.splitlines()) - len(before.splitlines()) in {0, 1}
    assert len(after.splitlines()) == len(after_kill.splitlines()) + 1


def read_weights(text: str) -> str:
    """The SHA-256 of the weights that a reproduction printed."""
    return text.partition("weights_sha256='")[2].partition("'")[0]


def find_champion(listed: str) -> str:
    """The line of the version in service."""
    (line,) = (line for line in listed.splitlines() if line.endswith("champion"))
    return line


def train_until(folder: Path, pattern: str, config: Path, machine: dict[str, str]) -> str:
    """What a training said that is killed as soon as another file of this pattern comes to be in the folder."""
    before = set(folder.glob(pattern))
    program, *arguments = train(config)
    command = [str(Path(sys.executable).parent / program), *arguments]
    with subprocess.Popen(
        command, env=machine, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as training:
        while training.poll() is None and set(folder.glob(pattern)) <= before:
            time.sleep(0.005)
        is_killed = training.poll() is None
        training.kill()
        _, said = training.communicate()
    assert is_killed, f"the training ended before a file {pattern} was seen:\n{said}"
    return said


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
