"""A model is a version: complete with all that leads back to it, or not there at all."""

import signal
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from loopcast.errors import StoreError
from loopcast.model.folder import load_forecaster
from loopcast.model.forecaster import Candidate, forecast_panel
from loopcast.stores.model_version import ModelVersion
from loopcast.stores.model_versions import ModelVersionStore, VersionRecord
from loopcast.stores.registry import Registry
from tests.integration.models import (
    LINEAGE,
    PANEL,
    TRAINED_UNTIL_UTC,
    register_and_die,
    register_model,
    run_elsewhere,
    save_model,
)
from tests.panels import make_panel, make_panel_problem


@pytest.fixture
def problem(name):
    """Of that name."""
    return make_panel_problem(name=name)


@pytest.fixture
def run(registry, problem):
    """An open run of a training of the problem."""
    return registry.start_run(problem, LINEAGE)


def test_a_version_leads_back_to_all_it_came_from(registry, run, problem, tmp_path):
    """Snapshot, commit, execution, environment, weights and candidate are on the version."""
    weights_sha256 = save_model(problem, tmp_path / "model")
    before = datetime.now(UTC)

    version = registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)

    assert version == ModelVersion(
        problem=problem.name,
        version=1,
        run_id=run.run_id,
        weights_sha256=weights_sha256,
        snapshot_sha256=LINEAGE.snapshot_sha256,
        candidate=Candidate.HAR,
        trained_until_utc=TRAINED_UNTIL_UTC,
        created_at_utc=version.created_at_utc,
        tags={
            **LINEAGE.tags(),
            "candidate": "har",
            "weights_sha256": weights_sha256,
            "trained_until_utc": "2016-02-26T00:00:00+00:00",
        },
    )
    assert version.environment == LINEAGE.environment
    assert before.timestamp() - 1 < version.created_at_utc.timestamp() < datetime.now(UTC).timestamp()
    assert registry.challenger(problem.name) == registry.version(problem.name, 1) == version
    assert registry.champion(problem.name) is None


def test_a_version_is_also_in_the_table_that_forecasts_are_joined_with(registry, run, problem, tmp_path):
    """All that leads back from it, and how its forecasts are to be read; registering again adds what is missing."""
    weights_sha256 = save_model(problem, tmp_path / "model")
    table = ModelVersionStore(registry.database)

    version = registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)

    record = VersionRecord(
        problem=problem.name,
        version=1,
        candidate="har",
        run_id=run.run_id,
        weights_sha256=weights_sha256,
        snapshot_sha256=LINEAGE.snapshot_sha256,
        git_commit="c0ffee",
        is_git_dirty=True,
        execution_id="a1b2c3",
        execution_url="https://flyte.example.org/a1b2c3",
        transform="log",
        quantile_levels=problem.quantiles,
        trained_until_utc=TRAINED_UNTIL_UTC,
        registered_at_utc=version.created_at_utc,
    )
    assert table.get(problem.name, 1) == record
    with registry.database.connect() as connection:
        connection.execute("DELETE FROM loopcast.model_versions WHERE problem = %s", [problem.name])
    registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)
    assert table.get(problem.name, 1) == record


def test_the_figures_of_a_version_are_those_of_its_candidate_with_its_skill(registry, run, problem, tmp_path):
    """Of the other candidates only the EWMA baseline counts, beside which skill is told."""
    save_model(problem, tmp_path / "model")
    run.log_figures({"har/pinball": 0.9, "har/mae_ratio": 1.01, "ewma/pinball": 1.0, "lstm/pinball": 0.8})
    version = registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)

    assert registry.read_figures(version) == {
        "pinball": 0.9,
        "mae_ratio": 1.01,
        "skill_ratio": pytest.approx(0.1),
    }


def test_versions_are_listed_the_latest_first(registry, name):
    """The challenger is the last one; what others registered under the name is left out."""
    register_model(registry, name)
    register_model(registry, name)
    registry.client.create_model_version(name, "file:///somewhere", None)

    assert [each.version for each in registry.versions(name)] == [2, 1]
    assert registry.challenger(name).version == 2
    with pytest.raises(StoreError, match=f"^{name} version 3 was not registered by Loopcast: tag 'weights_sha256'"):
        registry.version(name, 3)
    assert registry.versions("nothing") == []
    assert registry.champion("nothing") is None


def test_registering_a_run_again_finds_its_version(registry, run, problem, tmp_path):
    """A task that is tried again after its version was made makes no second one, and takes no alias back."""
    save_model(problem, tmp_path / "model")
    first = registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)
    registry.move_champion(first)

    again = registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)

    assert again == first
    assert len(registry.versions(problem.name)) == 1
    assert registry.challenger(problem.name) is None


def test_a_fetched_model_answers_as_the_one_that_was_registered(registry, run, problem, tmp_path):
    """The files are the same to the last bit."""
    save_model(problem, tmp_path / "model")
    version = registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)

    folder = registry.fetch(version, tmp_path / "fetched")

    assert sorted(path.name for path in folder.iterdir()) == ["forecaster.json", "weights.safetensors"]
    answers = [forecast_panel(load_forecaster(each)[0], PANEL, problem) for each in (tmp_path / "model", folder)]
    pd.testing.assert_frame_equal(*answers)


def test_another_model_in_the_place_of_a_version_is_refused(registry, run, problem, tmp_path):
    """Also one that is sound in itself."""
    save_model(problem, tmp_path / "model")
    version = registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)
    save_model(problem, _stored_forecaster(registry, version), make_panel(n_steps=300, seed=1))

    with pytest.raises(StoreError, match=rf"^{problem.name} version 1: found weights \w+, needs \w+; restore its art"):
        registry.fetch(version, tmp_path / "fetched")


@pytest.mark.parametrize("file", ["weights.safetensors", "forecaster.json"])
def test_a_model_of_which_a_part_was_lost_is_refused(registry, run, problem, tmp_path, file):
    """Whether the file is cut short or gone."""
    save_model(problem, tmp_path / "model")
    version = registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)
    stored = _stored_forecaster(registry, version) / file

    stored.write_bytes(stored.read_bytes()[:100])
    with pytest.raises(StoreError, match=rf"^{problem.name} version 1: no whole model: .*; restore its artifacts"):
        registry.fetch(version, tmp_path / "cut")
    stored.unlink()
    with pytest.raises(StoreError, match=rf"^{problem.name} version 1: no whole model: .*; restore its artifacts"):
        registry.fetch(version, tmp_path / "gone")


def _stored_forecaster(registry: Registry, version: ModelVersion) -> Path:
    source = registry.client.get_model_version(version.problem, str(version.version)).source
    return Path(source.removeprefix("file://")) / "data" / "forecaster"


def test_a_model_that_was_half_written_is_not_registered(registry, run, problem, tmp_path):
    """The weights are checked before anything is stored."""
    save_model(problem, tmp_path / "model")
    save_model(problem, tmp_path / "other", make_panel(n_steps=300, seed=1))
    (tmp_path / "other" / "weights.safetensors").replace(tmp_path / "model" / "weights.safetensors")

    with pytest.raises(StoreError, match="weights hash to"):
        registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)

    assert registry.versions(problem.name) == []


@pytest.mark.parametrize(
    ("step", "when", "n_versions"),
    [("upload", "before", 0), ("upload", "after", 0), ("version", "after", 1), ("alias", "after", 1)],
)
def test_a_registration_that_is_killed_leaves_no_version_or_a_whole_one(
    registry, shared_home, name, tmp_path, step, when, n_versions
):
    """A version without an alias is complete and harmless, and the next training works."""
    assert run_elsewhere(register_and_die, shared_home, name, step, when) == -signal.SIGKILL

    left = registry.versions(name)
    assert len(left) == n_versions
    for version in left:
        load_forecaster(registry.fetch(version, tmp_path))
    assert (registry.challenger(name) is not None) is (step == "alias")
    following = register_model(registry, name)
    assert following.version == n_versions + 1
    assert registry.challenger(name) == following
