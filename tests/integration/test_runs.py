"""A training is a run: opened here, continued there, ended once, and told of even when its process was killed."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loopcast.errors import StoreError
from loopcast.stores.registry import Registry
from loopcast.stores.runs import TrainingRun
from tests.account_factory import make_account
from tests.integration.clients import wait_until
from tests.integration.models import (
    LINEAGE,
    PANEL,
    TRAINED_UNTIL_UTC,
    open_home,
    run_elsewhere,
    save_model,
)
from tests.panels import make_panel_problem

CURVES = pd.DataFrame({
    "seed": np.repeat([0, 1], 400), "epoch": np.tile(np.arange(400), 2),
    "train_loss": np.r_[np.nan, np.full(799, 0.3)], "validation_loss": 0.2,
})  # fmt: skip


@pytest.fixture
def problem(name):
    """Of that name."""
    return make_panel_problem(name=name)


@pytest.fixture
def run(registry, problem):
    """An open run of a training of the problem."""
    return registry.start_run(problem, LINEAGE)


def test_a_run_holds_what_a_training_was_and_did(registry, run):
    """Parameters, curves by seed, the scores of every candidate, and the lineage under one id."""
    scores = {each.name: each.score for each in make_account().candidates}

    run.log_curves(CURVES)
    run.log_scores(scores)
    run.log_figures({"p_vs_champion": 0.01, "t_vs_champion": float("nan")})
    run.finish()

    found = registry.client.get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.params["network.hidden_size"] == "4"
    assert found.data.params["quantiles"].startswith("[0.025, 0.05")
    assert found.data.metrics["lstm/pinball"] == scores["lstm"].pinball
    assert found.data.metrics["p_vs_champion"] == 0.01
    assert "t_vs_champion" not in found.data.metrics
    assert LINEAGE.tags().items() <= found.data.tags.items()
    curve = registry.client.get_metric_history(run.run_id, "seed_0/train_loss")
    assert [(point.step, point.value) for point in curve] == [(step, 0.3) for step in range(1, 400)]


def test_files_and_tables_come_back_from_a_run(registry, run, problem, tmp_path):
    """A report is kept as it is; a table comes back with its types."""
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("<p>An account</p>")
    losses = pd.DataFrame({"origin_utc": PANEL["timestamp_utc"], "pinball": PANEL["target"]})
    save_model(problem, tmp_path / "model")

    run.log_files(tmp_path / "report")
    run.log_frame("losses", losses)
    version = registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)

    fetched = registry.client.download_artifacts(run.run_id, "report/report.html", str(tmp_path))
    assert Path(fetched).read_text() == "<p>An account</p>"
    pd.testing.assert_frame_equal(registry.read_frame(version, "losses"), losses)
    with pytest.raises(StoreError, match=f"^{problem.name} version 1: frames/gains.parquet cannot be had: "):
        registry.read_frame(version, "gains")


def spoil_values(kept: bytes) -> bytes:
    """One bit of a table's values, in the middle of the first page."""
    return kept[:500] + bytes([kept[500] ^ 1]) + kept[501:]


@pytest.mark.parametrize("damage", [lambda kept: kept[: len(kept) // 2], spoil_values], ids=["cut", "flipped"])
def test_a_table_whose_bytes_were_changed_is_refused(registry, run, problem, tmp_path, damage):
    """A gate never reads losses that nobody measured."""
    save_model(problem, tmp_path / "model")
    run.log_frame("losses", pd.DataFrame({"pinball": PANEL["target"]}))
    version = registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)
    kept = Path(registry.client.download_artifacts(run.run_id, "frames/losses.parquet", str(tmp_path)))
    kept.write_bytes(damage(kept.read_bytes()))
    registry.client.log_artifact(run.run_id, str(kept), "frames")

    with pytest.raises(StoreError, match=f"^{problem.name} version 1: frames/losses.parquet cannot be read: .*; resto"):
        registry.read_frame(version, "losses")


def test_the_system_is_measured_while_a_block_runs(registry, run):
    """Processor and memory of this machine are on the run, sample after sample."""

    def count_samples() -> int:
        return len(registry.client.get_metric_history(run.run_id, "system/cpu_utilization_percentage"))

    with run.measure_system(every_s=0.05):
        wait_until(lambda: count_samples() > 2)

    assert "system/system_memory_usage_percentage" in registry.client.get_run(run.run_id).data.metrics


def test_a_run_goes_on_in_another_process_and_ends_there(registry, shared_home, run):
    """A later task continues by the id alone; a block that fails ends the run with the error."""
    assert run_elsewhere(_fail_in_a_later_task, shared_home, run.run_id) == 1

    found = registry.client.get_run(run.run_id)
    assert found.info.status == "FAILED"
    assert found.data.tags["error"] == "the backtest broke"
    assert registry.client.get_metric_history(run.run_id, "late")[0].value == 1
    with registry.resume_run(run.run_id):
        assert registry.client.get_run(run.run_id).info.status == "RUNNING"


def _fail_in_a_later_task(home: Path, run_id: str) -> None:
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115  # the traceback belongs to the test
    with open_home(home).resume_run(run_id) as run:
        run.log_figures({"late": 1.0})
        raise RuntimeError("the backtest broke")


def test_a_run_that_does_not_exist_is_named(registry):
    """The sentence says what to do."""
    with pytest.raises(StoreError, match=r"^0123: no such run of MLflow: .*; start a training anew$"):
        registry.resume_run("0123")


def test_what_a_killed_training_left_open_is_closed_by_the_next(registry, shared_home, problem):
    """At once where the process is known to be gone; what lives, here or elsewhere, stays open."""
    alive = registry.start_run(problem, LINEAGE)
    assert run_elsewhere(_start_and_die, shared_home, problem.name) == -signal.SIGKILL
    elsewhere = registry.start_run(problem, LINEAGE)
    registry.client.set_tag(elsewhere.run_id, "process", "another-host 1 1700000000")
    old = registry.client.create_run(_experiment_of(registry, elsewhere), start_time=1_700_000_000_000)
    registry.client.set_tag(old.info.run_id, "process", "another-host 1 1700000000")

    registry.start_run(problem, LINEAGE)

    runs = registry.client.search_runs([_experiment_of(registry, elsewhere)], order_by=["start_time ASC"])
    assert [each.info.status for each in runs] == ["KILLED", "RUNNING", "KILLED", "RUNNING", "RUNNING"]
    assert registry.client.get_run(alive.run_id).info.status == "RUNNING"


def _experiment_of(registry: Registry, run: TrainingRun) -> str:
    return registry.client.get_run(run.run_id).info.experiment_id


def _start_and_die(home: Path, name: str) -> None:
    open_home(home).start_run(make_panel_problem(name=name), LINEAGE)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("execution_id", [LINEAGE.execution_id, ""])
def test_a_failed_execution_closes_its_own_runs(registry, problem, execution_id):
    """By the execution where there is one, else by the process; another execution's run stays open."""
    mine = registry.start_run(problem, LINEAGE)
    other = registry.start_run(problem, LINEAGE)
    registry.client.set_tag(other.run_id, "execution_id", "other")
    registry.client.set_tag(other.run_id, "process", "another-host 1 1700000000")

    registry.fail_open_runs(problem.name, "no such column", execution_id)

    found = [registry.client.get_run(each.run_id) for each in (mine, other)]
    assert [each.info.status for each in found] == ["FAILED", "RUNNING"]
    assert found[0].data.tags["error"] == "no such column"


def test_an_experiment_that_somebody_deleted_is_named(registry, run, problem):
    """A training does not bring back in silence what a person threw away."""
    experiment_id = _experiment_of(registry, run)
    registry.client.delete_experiment(experiment_id)

    with pytest.raises(StoreError, match=f"deleted in MLflow; .*restore --experiment-id {experiment_id}`"):
        registry.start_run(problem, LINEAGE)
