"""MLflow needs no server, and takes one; it leaves nothing where it was started, and is found whatever the path."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from loopcast.errors import StoreError
from loopcast.model.folder import load_forecaster
from loopcast.settings import Settings
from loopcast.stores.aliases import read_champions
from loopcast.stores.database import Database, open_database
from loopcast.stores.registry import open_registry
from loopcast.stores.tracking import open_client
from tests.integration.clients import wait_until
from tests.integration.models import LINEAGE, open_home, register_model, run_elsewhere
from tests.panels import make_panel_problem


def test_two_processes_that_open_an_empty_registry_at_once_both_succeed(home, tmp_path):
    """Neither meets the tables half made, says a word, or leaves a file where it was started."""
    with ThreadPoolExecutor() as pool:
        exits = list(pool.map(lambda k: run_elsewhere(_open_there, home, tmp_path / str(k)), range(2)))

    assert exits == [0, 0]
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["", ""]
    places = [each.artifact_location for each in open_home(home).client.search_experiments()]
    assert places == [f"{home.as_uri()}/artifacts/mlflow/0"]


def _open_there(home: Path, folder: Path) -> None:
    folder.mkdir()
    os.chdir(folder)
    output = os.open("output.txt", os.O_CREAT | os.O_WRONLY)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    open_home(home)


def test_a_work_folder_may_have_any_name(database, tmp_path):
    """Artifacts lie where the settings say, whatever characters the path has."""
    settings = Settings(home=tmp_path / "50%41 of ü#1?")
    registry = open_registry(settings, database)

    version = register_model(registry, "odd_path")

    stored = settings.home_path / "artifacts" / "mlflow" / "odd_path" / version.run_id / "artifacts" / "model"
    assert (stored / "MLmodel").is_file()
    load_forecaster(registry.fetch(version, tmp_path / "fetched"))


def test_a_work_folder_that_lies_too_deep_for_mlflow_is_refused_at_the_start(home, database, name):
    """MLflow's tables take an address of 200 characters, and otherwise say so in the middle of a training."""
    n_free = 200 - len(f"{home.as_uri()}//mlflow/{name}/0123456789abcdef0123456789abcdef/artifacts")
    fits, too_deep = (
        open_registry(Settings(artifacts_url=str(home / ("a" * n))), database) for n in (n_free, n_free + 1)
    )

    with pytest.raises(StoreError, match=rf"/mlflow/{name}: found 1 characters more than MLflow can keep"):
        too_deep.start_run(make_panel_problem(name=name), LINEAGE)

    fits.start_run(make_panel_problem(name=name), LINEAGE).finish()


def test_a_database_that_cannot_take_the_tables_is_told_in_a_sentence(home):
    """As where its disk is full, or its user may not make any."""
    plain = open_database(Settings(home=home))
    with plain.connect() as connection:
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA mlflow TO reader")
    poor = Database(plain.url.replace("postgres@", "reader@"))

    with pytest.raises(StoreError, match=r"MLflow's tables at .* cannot be made: permission denied for schema mlflow"):
        open_client(Settings(home=home), poor)


def test_plugins_can_use_the_registry_globally_for_a_while(registry, name, monkeypatch):
    """Inside the block MLflow's own functions log here; outside nothing is left of it, nor in the environment."""
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    with registry.used_globally(name) as framework:
        framework.autolog(disable=True)
        mlflow.set_experiment(name)
        with mlflow.start_run():
            mlflow.log_metric("loss", 1.0)
            location = mlflow.get_artifact_uri()

    (run,) = registry.client.search_runs([registry.client.get_experiment_by_name(name).experiment_id])
    assert run.data.metrics == {"loss": 1.0}
    assert location.startswith(registry.settings.home_path.as_uri())
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_server_that_does_not_answer_is_named(database, tmp_path, monkeypatch):
    """The sentence says where it was looked for and which setting to correct."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings = Settings(home=tmp_path, tracking_uri="http://127.0.0.1:9")

    with pytest.raises(StoreError, match=r"^MLflow at http://127.0.0.1:9 does not answer: .*correct MLFLOW_TRACKING_"):
        open_registry(settings, database)


@pytest.mark.slow
def test_a_server_of_mlflow_holds_the_same(database, name, tmp_path):
    """With a tracking URI all goes to that server, artifacts too, and what is missing is named in the same way."""
    with _serve_mlflow(tmp_path) as uri:
        registry = open_registry(Settings(home=tmp_path / "home", tracking_uri=uri), database)
        version = register_model(registry, name)
        registry.move_champion(version)

        assert registry.champion(name) == version
        assert read_champions(registry.settings, database) == {name: 1}
        assert registry.challenger(name) is None
        load_forecaster(registry.fetch(version, tmp_path / "fetched"))
        with pytest.raises(StoreError, match="has no version 9; needs one of "):
            registry.version(name, 9)
        with pytest.raises(StoreError, match=r"frames/losses.parquet cannot be had"):
            registry.read_frame(version, "losses")
        with pytest.raises(StoreError, match="no such run of MLflow"):
            registry.resume_run("0123")
    assert (tmp_path / "server" / "mlartifacts").is_dir()
    assert not (tmp_path / "home").exists()


@contextmanager
def _serve_mlflow(folder: Path) -> Iterator[str]:
    """URI of a server on SQLite, with one worker; it ends with the block."""
    (folder / "server").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [*command, "--backend-store-uri", "sqlite:///runs.db"],
            cwd=folder / "server",
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as server,
    ):
        uri = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: _answers(f"{uri}/api/2.0/mlflow/experiments/search?max_results=1"), timeout_s=90)
            yield uri
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2):  # noqa: S310
            return True
    except OSError:
        return False
