"""The trained model as a whole: the same bits, the same bits after a kill, and no look ahead."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from loopcast.features import build_design
from loopcast.model.ensemble import train_ensemble
from loopcast.model.explanation import explain_globally, lag_buckets
from loopcast.model.export import export_onnx
from loopcast.model.folder import FORECASTERS, load_forecaster, save_forecaster
from loopcast.model.forecaster import Candidate, forecast_panel
from loopcast.model.processes import open_workers
from loopcast.model.residual import Linear, Lstm
from loopcast.model.split import split_for_service, split_walk_forward
from loopcast.model.training import train_network
from tests.panels import make_panel, make_panel_problem

PROBLEM = make_panel_problem()
PANEL = make_panel(n_series=2, n_steps=600)
DESIGN = build_design(PANEL, PROBLEM)
SPLIT = split_for_service(DESIGN, PROBLEM)

TRAIN_AND_PRINT = """
import sys
import time
from pathlib import Path
from tests.model.test_training import DESIGN, PROBLEM, SPLIT
from loopcast.model.residual import Lstm
from loopcast.model.folder import save_forecaster
print(save_forecaster(Lstm.fit(DESIGN, SPLIT, PROBLEM), PROBLEM, Path(sys.argv[1])))
"""


def test_two_processes_give_identical_weights(tmp_path):
    """A stated seed gives the same bits in this process and in another one."""
    command = [sys.executable, "-c", TRAIN_AND_PRINT, str(tmp_path / "other")]

    there = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert save_forecaster(Lstm.fit(DESIGN, SPLIT, PROBLEM), PROBLEM, tmp_path / "here") == there


def test_seeds_trained_side_by_side_equal_those_trained_in_turn():
    """Worker processes change nothing but the time."""
    with open_workers(DESIGN, PROBLEM, n_processes=2) as workers:
        together = train_ensemble(workers, SPLIT)

    for seed, network in enumerate(together):
        alone = train_network(DESIGN, SPLIT, PROBLEM, seed)
        assert all((alone.weights[name] == value).all() for name, value in network.weights.items())


def test_a_training_killed_in_the_middle_resumes_to_the_same_weights(tmp_path):
    """SIGKILL after an epoch, then a second start: the weights are those of an undisturbed run, to the last bit."""
    script = f"""
import os, signal
from pathlib import Path
from tests.model.test_training import DESIGN, PROBLEM, SPLIT
from loopcast.model.training import train_network
train_network(DESIGN, SPLIT, PROBLEM, 0, checkpoint=Path({str(tmp_path / "seed.pt")!r}),
    report=lambda epoch, loss: os.kill(os.getpid(), signal.SIGKILL) if epoch == 2 else False)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)

    resumed = train_network(DESIGN, SPLIT, PROBLEM, 0, checkpoint=tmp_path / "seed.pt")

    undisturbed = train_network(DESIGN, SPLIT, PROBLEM, 0)
    assert killed.returncode == -signal.SIGKILL
    assert np.array_equal(resumed.curve, undisturbed.curve, equal_nan=True)
    assert all((resumed.weights[name] == value).all() for name, value in undisturbed.weights.items())


@pytest.mark.parametrize("candidate", list(Candidate))
def test_the_tested_future_changes_no_fitted_candidate(candidate, tmp_path):
    """Scales, splits, baselines, weights and calibration see nothing behind the start of the tested block."""
    fold = split_walk_forward(DESIGN, PROBLEM)[0]
    other = PANEL.copy()
    is_future = other["timestamp_utc"] > np.datetime_as_string(DESIGN.timestamp_utc[fold.test].min()) + "Z"
    other.loc[is_future, "target"] *= np.random.default_rng(5).uniform(0.5, 2, int(is_future.sum()))
    changed = build_design(other, PROBLEM)

    digests, first_answers = [], []
    for name, design in (("before", DESIGN), ("changed", changed)):
        split = split_walk_forward(design, PROBLEM)[0]
        fitted = FORECASTERS[candidate].fit(design, split, PROBLEM)
        digests.append(save_forecaster(fitted, PROBLEM, tmp_path / name))
        first_answers.append(fitted.quantiles(design, fold.test[:1]))

    assert digests[0] == digests[1]
    assert np.array_equal(*first_answers)


@pytest.mark.parametrize("candidate", list(Candidate))
def test_a_saved_candidate_answers_as_before(candidate, tmp_path):
    """What comes back from the folder gives the same quantiles, and nothing in the folder is a pickle."""
    fitted = FORECASTERS[candidate].fit(DESIGN, SPLIT, PROBLEM)
    save_forecaster(fitted, PROBLEM, tmp_path)

    loaded, problem = load_forecaster(tmp_path)

    rows = SPLIT.validation[::7]
    assert problem == PROBLEM
    assert np.array_equal(loaded.quantiles(DESIGN, rows), fitted.quantiles(DESIGN, rows))
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".safetensors"}


@pytest.mark.parametrize("cls", [Lstm, Linear])
@pytest.mark.parametrize("moves_center", [False, True])
def test_the_onnx_graph_answers_as_pytorch_does(cls, moves_center, tmp_path):
    """The exported graph differs by rounding alone, for one window and for many."""
    problem = make_panel_problem(network={"hidden_size": 4, "moves_center": moves_center})
    fitted = cls.fit(DESIGN, SPLIT, problem)

    error = export_onnx(fitted, DESIGN, SPLIT.validation, tmp_path)

    assert error < 1e-5
    assert (tmp_path / "network.onnx").is_file()


def test_an_explanation_covers_every_feature_and_lag():
    """Each feature has an importance in each lag bucket, and a trained network owes something to its inputs."""
    fitted = Lstm.fit(
        DESIGN, SPLIT, make_panel_problem(training={"n_seeds": 1, "max_epochs": 8, "validation_steps": 120})
    )

    found = explain_globally(fitted, DESIGN, SPLIT.validation[:5], PROBLEM)

    assert len(found) == len(DESIGN.feature_names) * len(lag_buckets(PROBLEM))
    assert (found["importance"] >= 0).all()
    assert found["importance"].sum() > 0


def test_workers_end_with_a_parent_that_was_killed():
    """No process is left behind by kill -9."""
    script = """
import os, signal, sys
from loopcast.model.processes import open_workers
from tests.model.jobs import report_pid
from tests.model.test_training import DESIGN, PROBLEM
with open_workers(DESIGN, PROBLEM, n_processes=2) as workers:
    print(sorted({pid for _, pid in workers.run(report_pid, [(0.2,)] * 6)}), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)

    pids = [int(pid) for pid in killed.stdout.strip("[]\n").split(",")]
    assert killed.returncode == -signal.SIGKILL
    assert wait_until_gone(pids)


def test_a_worker_does_not_load_the_command_it_works_for(tmp_path):
    """A script without a guard around its work would otherwise be run anew in each worker."""
    script = tmp_path / "command.py"
    script.write_text("""
print("loaded", flush=True)
from loopcast.model.processes import open_workers
from tests.model.jobs import report_pid
from tests.model.test_training import DESIGN, PROBLEM
with open_workers(DESIGN, PROBLEM, n_processes=2) as workers:
    print(len({pid for _, pid in workers.run(report_pid, [(0.2,)] * 4)}))
""")
    run = subprocess.run(
        [sys.executable, script], env=os.environ | {"PYTHONPATH": "."}, check=True, capture_output=True, text=True
    )

    assert run.stdout.split() == ["loaded", "2"]


def wait_until_gone(pids: list[int]) -> bool:
    """Whether all processes end within ten seconds."""
    for _ in range(100):
        if not any(psutil.pid_exists(pid) for pid in pids):
            return True
        time.sleep(0.1)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return False


def test_a_forecast_names_its_origin_and_its_targets():
    """One row a series and step, from the last observed step, quantiles ascending around the last value."""
    fitted = FORECASTERS[Candidate.EWMA].fit(DESIGN, SPLIT, PROBLEM)

    found = forecast_panel(fitted, PANEL, PROBLEM)

    assert found["series_id"].tolist() == ["S0"] * 3 + ["S1"] * 3
    assert (found["origin_utc"] == PANEL["timestamp_utc"].max()).all()
    assert found["horizon"].tolist() == [1, 2, 3] * 2
    quantiles = found.filter(like="q_").to_numpy()
    assert (np.diff(quantiles, axis=1) > 0).all()
    assert np.allclose(found["q_0.5"], PANEL.groupby("series_id")["target"].last().repeat(3).to_numpy())
