"""A version baked, built into a Bento, proven in an environment of its own, and kept; or refused, and nothing kept."""

import hashlib
import os
import pwd
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg
import pytest

from bento.packaging import package_version
from loopcast.errors import ModelRefusedError, PackagingError, StoreError
from loopcast.settings import Settings
from loopcast.stores.artifacts import record_snapshot
from loopcast.stores.baking import VersionRecorder, bake, open_baked
from loopcast.stores.opened import Stores
from loopcast.stores.promotion import promote
from tests.integration.clients import end_server
from tests.integration.models import LINEAGE, PANEL, TRAINED_UNTIL_UTC, prefer_higher, register_model
from tests.integration.versions import make_version
from tests.networks import save_network
from tests.panels import make_panel, make_panel_problem

LONGER = make_panel(n_steps=320)
RETRY_S = 0.05
TIMEOUT_S = 30.0


@pytest.fixture(scope="module")
def stores() -> Iterator[Stores]:
    """Stores with three problems: `network` and `formula` have a champion and a newer history, `rival` has none."""
    home = Path(tempfile.mkdtemp(prefix="lc-", dir="/tmp"))
    stores = Stores(Settings(home=home))
    register_network(stores, "network")
    for name in ("formula", "rival"):
        register_model(stores.registry, name)
    for name in ("network", "formula"):
        promote(stores.registry, name, 1, prefer_higher(1), actor="ada")
        sha256 = stores.artifacts.put_snapshot(LONGER)
        record_snapshot(stores.database, name, sha256, stores.artifacts.snapshot_url(sha256), LONGER)
    yield stores
    end_server(home)
    shutil.rmtree(home)


@pytest.fixture
def pip_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this person's pip has downloaded before, although the tests' home is another one."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    monkeypatch.setenv("PIP_CACHE_DIR", str(home / ".cache" / "pip"))


def register_network(stores: Stores, name: str) -> None:
    """A version with random weights."""
    problem = make_panel_problem(name=name)
    with tempfile.TemporaryDirectory() as folder:
        save_network(Path(folder), PANEL, problem)
        run = stores.registry.start_run(problem, LINEAGE)
        stores.registry.register(run, Path(folder), PANEL, TRAINED_UNTIL_UTC)
        run.finish()


def list_kept(stores: Stores) -> list[str]:
    """Names of the archives that there are."""
    return sorted(each.name for each in (stores.settings.home_path / "bentos").glob("*"))


@contextmanager
def tables_away(stores: Stores) -> Iterator[None]:
    """While the block runs the table of versions cannot be read."""
    with stores.database.connect() as connection:
        connection.execute("ALTER TABLE loopcast.model_versions RENAME COLUMN run_id TO elsewhere")
    try:
        yield
    finally:
        with stores.database.connect() as connection:
            connection.execute("ALTER TABLE loopcast.model_versions RENAME COLUMN elsewhere TO run_id")


@pytest.mark.slow
def test_a_bento_answers_from_an_environment_of_its_own_as_its_model_does_here(stores, pip_cache):
    """It is one archive with one model, and pins packages without PyTorch, MLflow and Flyte."""
    package = package_version(stores, "network", None)

    archive = Path(package.archive)
    with tarfile.open(archive) as packed:
        requirements = packed.extractfile("./env/python/requirements.txt").read().decode()
        models = [each.name for each in packed if each.name.endswith("facts.json")]
    names = {line.partition("==")[0] for line in requirements.splitlines()}
    history = stores.artifacts.put_snapshot(LONGER)
    assert package.tag == f"loopcast:network-1-{history[:12]}"
    assert package.compared == ("S0 by name", "S0 from a sent history")
    assert list_kept(stores) == [archive.name] == [f"loopcast-network-1-{history[:12]}.tar.gz"]
    assert (package.n_bytes, package.sha256) == (
        archive.stat().st_size,
        hashlib.sha256(archive.read_bytes()).hexdigest(),
    )
    assert models == [f"./models/loopcast/network-1-{history[:12]}/facts.json"]
    assert "onnxruntime" in names
    assert names & {"torch", "mlflow", "evidently", "flytekit", "shap", "matplotlib"} == set()
    assert f"bentoml serve {package.tag}" in package.explain()


@pytest.mark.slow
def test_a_bento_that_cannot_be_installed_is_not_kept(stores, monkeypatch):
    """The sentence says what failed, in pip's own words."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    kept = list_kept(stores)

    with pytest.raises(PackagingError, match=r"pip .*ended with 1:\n(.|\n)*No matching distribution found for"):
        package_version(stores, "formula", 1)

    assert list_kept(stores) == kept


@pytest.mark.parametrize("name", ["network", "formula"])
def test_a_baked_version_answers_as_the_registered_one_from_the_newest_history(stores, tmp_path, name):
    """From its folder alone, wherever that is moved."""
    served = bake(stores, name, None, tmp_path)

    shutil.copytree(tmp_path, tmp_path / "moved")
    moved = open_baked(tmp_path / "moved")
    rows = np.array(list(moved.latest.values()))
    assert moved.record == stores.model_versions.get(name, 1)
    assert moved.history_sha256 == stores.artifacts.put_snapshot(LONGER)
    assert np.array_equal(moved.model.quantiles(moved.design, rows), served.model.quantiles(served.design, rows))
    assert sorted(each.name for each in (tmp_path / "moved").iterdir()) == ["facts.json", "forecaster", "snapshots"]


def test_a_version_without_a_recorded_history_is_baked_with_what_it_was_trained_on(stores, tmp_path):
    """A challenger can be baked by its number; its snapshot is missing here, which is said."""
    with pytest.raises(StoreError, match=rf"snapshots/{LINEAGE.snapshot_sha256}.parquet cannot be read"):
        bake(stores, "rival", 1, tmp_path)


@pytest.mark.parametrize(
    ("number", "sentence"), [(None, "rival has no champion, needs one to package"), (7, "rival has no version 7")]
)
def test_what_is_not_there_cannot_be_baked(stores, tmp_path, number, sentence):
    """The sentence says what there is."""
    with pytest.raises(StoreError, match=sentence):
        bake(stores, "rival", number, tmp_path)


@pytest.mark.parametrize("name", ["facts.json", "forecaster/weights.safetensors", "snapshots"])
def test_a_baked_version_that_is_not_whole_is_refused(stores, tmp_path, name):
    """Whichever of its parts is gone."""
    bake(stores, "network", 1, tmp_path)
    lost = tmp_path / name

    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()

    with pytest.raises(ModelRefusedError, match="whole"):
        open_baked(tmp_path)


def test_a_changed_history_is_refused(stores, tmp_path):
    """Its bytes are compared with its name."""
    bake(stores, "network", 1, tmp_path)
    [history] = (tmp_path / "snapshots").iterdir()

    history.write_bytes(history.read_bytes()[:-1])

    with pytest.raises(StoreError, match="which is not its name"):
        open_baked(tmp_path)


def test_a_service_elsewhere_records_its_version_once_the_database_is_there(stores, caplog):
    """It starts without, says so once, and goes on trying."""
    record = make_version(problem="elsewhere")
    recorder = VersionRecorder(stores, record, RETRY_S)

    with tables_away(stores):
        recorder.start()
        time.sleep(5 * RETRY_S)
    deadline_s = time.monotonic() + TIMEOUT_S
    while stores.model_versions.get("elsewhere", record.version) is None:
        assert time.monotonic() < deadline_s
        time.sleep(RETRY_S)
    recorder.stop()

    assert stores.model_versions.get("elsewhere", record.version) == record
    assert [each.getMessage().partition(",")[0] for each in caplog.records] == ["the version is recorded later"]


def test_a_database_that_knows_another_version_of_the_number_is_refused(stores):
    """Else forecasts would lead back to a model that never made them."""
    stores.model_versions.record(make_version(problem="twice"))
    other = make_version(problem="twice", weights_sha256="0b" * 32)

    with pytest.raises(StoreError, match="knows twice version 3 with weights e1e1e1e1e1e1, and this Bento has 0b0b"):
        VersionRecorder(stores, other).start()


def test_a_service_without_a_database_that_answers_starts(name):
    """What it answers waits in the journal meanwhile."""
    away = Stores(Settings(database_url="postgresql://127.0.0.1:1/nothing"))
    recorder = VersionRecorder(away, make_version(problem=name), RETRY_S)

    recorder.start()
    recorder.stop()

    with pytest.raises((StoreError, psycopg.Error)):
        away.model_versions.get(name, 3)
