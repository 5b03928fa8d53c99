"""The served process, over HTTP: what it answers is true and is kept, whatever is killed or swapped meanwhile."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.histories import design_sent
from app.requests import ForecastBody
from benchmarks.bench_serving import ask_by_history
from benchmarks.champion import CONFIG, put_into_service
from benchmarks.servers import find_port
from loopcast.config import load_problem
from loopcast.features import Design, build_design
from loopcast.forecasts import ForecastSource
from loopcast.model.served import ServedModel, latest_origins, make_forecasts, open_served_model
from loopcast.settings import Settings
from loopcast.stores.artifacts import newest_snapshots
from loopcast.stores.lineage import read_lineage
from loopcast.stores.model_version import ModelVersion
from loopcast.stores.opened import Stores
from loopcast.stores.tokens import Role
from loopcast.typing import Ints
from tests.e2e.conftest import ROOT
from tests.e2e.serving import BY_NAME, FORECASTS, Postgres, Service, load, run_postgres, serve, stop, wait_for

pytestmark = pytest.mark.slow

SWAPS = 5
"""The benchmark makes twenty."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """The database server, of which the service knows the URL alone."""
    with run_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def served_machine(machine: dict[str, str], postgres: Postgres) -> dict[str, str]:
    """A machine with two versions of a network for the default problem, the second one champion."""
    environment = {**machine, "LOOPCAST_DATABASE_URL": postgres.start(), "LOOPCAST_CHAMPION_POLL_S": "0.2"}
    command = [sys.executable, "-m", "benchmarks.champion", machine["LOOPCAST_HOME"], "2"]
    subprocess.run(command, env=environment, cwd=ROOT, check=True)
    return environment


@pytest.fixture(scope="module")
def stores(served_machine: dict[str, str]) -> Stores:
    """The stores of that machine, as an operator on another one has them open."""
    return Stores(
        Settings(
            home=Path(served_machine["LOOPCAST_HOME"]),
            database_url=served_machine["LOOPCAST_DATABASE_URL"],
        )
    )


@pytest.fixture
def port() -> int:
    """A port that is free."""
    return find_port()


@pytest.fixture
def service(served_machine: dict[str, str], port: int, tmp_path: Path) -> Iterator[Service]:
    """A service on that machine, ready."""
    with serve(served_machine, port, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def expected(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[list[float]]]:
    """What each version says of the newest history of GOOG, without a service: levels by horizon."""
    panel = stores.artifacts.get_snapshot(newest_snapshots(stores.database)["google"])
    found = {}
    for number in (1, 2):
        folder = stores.registry.fetch(stores.registry.version("google", number), tmp_path_factory.mktemp("fetched"))
        model = open_served_model(folder)
        design = build_design(panel, model.problem)
        found[number] = forecast(model, design, np.array([latest_origins(design, model.problem)["GOOG"]]))
    return found


def forecast(model: ServedModel, design: Design, rows: Ints) -> list[list[float]]:
    """Quantiles of the first row, a list for each level, as an answer has them."""
    made = make_forecasts(
        model, design, rows,
        version=1, source=ForecastSource.ONLINE, request_id="", issued_at_utc=datetime.now(UTC),
    )  # fmt: skip
    return made.quantiles[0].T.tolist()


def quantiles(answer: dict[str, Any]) -> list[list[float]]:
    """Of the first forecast in an answer, a list for each level."""
    return list(answer["forecasts"][0]["quantiles"].values())


def test_a_forecast_by_name_is_stored_and_leads_back_to_its_origins(service, stores, postgres, expected):
    """The answer is what the model says, to the last bit; its row and its lineage are found by its id."""
    status, answer = service.ask(FORECASTS, BY_NAME)
    [forecast_id] = [each["forecast_id"] for each in answer["forecasts"]]

    assert (status, answer["model_version"], quantiles(answer)) == (200, 2, expected[2])
    wait_for(lambda: postgres.count_stored({forecast_id}) == {forecast_id: 1})
    version = stores.registry.version("google", 2)
    [lineage] = postgres.rows(
        "SELECT run_id, weights_sha256, snapshot_sha256, git_commit, request_id FROM loopcast.forecast_lineage "
        "WHERE id = %s",
        forecast_id,
    )
    commit = version.tags["git_commit"]
    assert lineage == (
        version.run_id, version.weights_sha256, version.snapshot_sha256, commit, answer["request_id"]
    )  # fmt: skip
    assert service.ask(f"/api/v1/forecasts/{forecast_id}/lineage")[1]["run_id"] == version.run_id


def test_a_forecast_from_a_sent_history_is_what_the_model_says_of_it(service, stores, tmp_path):
    """No digit is lost on the way there and back."""
    body = ask_by_history(load_problem(CONFIG))

    status, answer = service.ask(FORECASTS, body)

    folder = stores.registry.fetch(stores.registry.version("google", answer["model_version"]), tmp_path)
    model = open_served_model(folder)
    design = design_sent(ForecastBody.model_validate(body).series, model.problem)
    rows = np.array(list(latest_origins(design, model.problem).values()))
    assert status == 200
    assert quantiles(answer) == forecast(model, design, rows)


def test_no_route_of_bentoml_stands_before_those_of_the_app(service):
    """Health is the app's, and what the app does not know is not found."""
    assert service.ask("/livez") == (200, {"is_alive": True})
    assert service.ask("/schema.json")[1]["error"]["code"] == "not_found"
    assert service.ask("/docs.json")[0] == service.ask("/healthz")[0] == 404


def test_a_killed_worker_loses_no_answered_forecast_and_comes_back(service, postgres):
    """Kill -9 under load: each forecast that was answered, before or after, is stored exactly once."""
    with load(service) as found:
        wait_for(lambda: len(found.answers) > 50)
        service.worker.kill()
        n_before = len(found.answers)
        wait_for(lambda: len(found.answers) > n_before + 50)

    wait_for(lambda: postgres.count_stored(found.ids).keys() == found.ids)
    assert set(postgres.count_stored(found.ids).values()) == {1}


def test_a_database_that_is_away_for_a_while_costs_no_answer_and_no_row(service, postgres):
    """Requests are answered all the time, and each forecast is in the table once, some seconds after it is back."""
    with load(service) as found:
        postgres.stop()
        n_before = len(found.answers)
        wait_for(lambda: len(found.answers) > n_before + 100)
        wait_for(lambda: service.read_metric("loopcast_journal_lag_seconds") > 1)
        postgres.start()
        n_before = len(found.answers)
        wait_for(lambda: len(found.answers) > n_before + 50)

    wait_for(lambda: postgres.count_stored(found.ids).keys() == found.ids)
    assert set(postgres.count_stored(found.ids).values()) == {1}
    assert found.failures == []


def test_a_service_that_starts_while_the_database_is_away_answers_and_keeps(served_machine, port, tmp_path, postgres):
    """It serves what this machine remembers, and stores what it answered when the database is back."""
    with serve(served_machine, port, tmp_path):
        pass
    postgres.stop()
    with serve(served_machine, port, tmp_path) as service:
        _, answer = service.ask(FORECASTS, BY_NAME)
        ids = {answer["forecasts"][0]["forecast_id"]}
        postgres.start()

        wait_for(lambda: postgres.count_stored(ids) == dict.fromkeys(ids, 1))


def test_swaps_under_load_fail_no_request_and_answer_with_the_version_that_they_name(service, stores, expected):
    """Each answer's quantiles are those of the version in it, to the last bit."""
    numbers = [1 + k % 2 for k in range(SWAPS)]
    with load(service) as found:
        for number in numbers:
            put_into_service(stores, "google", number)
            wait_for(lambda number=number: found.answers[-1]["model_version"] == number)
    put_into_service(stores, "google", 2)

    assert found.failures == []
    assert {each["model_version"] for each in found.answers} == {1, 2}
    assert all(quantiles(each) == expected[each["model_version"]] for each in found.answers)


def test_a_broken_challenger_is_refused_and_the_champion_stays(service, stores):
    """A version whose artifacts were damaged changes nothing but a count, even when it is promoted."""
    wait_for(lambda: service.ask(FORECASTS, BY_NAME)[1]["model_version"] == 2)
    version = copy_version(stores, 2)
    n_before = service.read_metric("loopcast_champions_refused_total")

    put_into_service(stores, "google", version.version)
    wait_for(lambda: service.read_metric("loopcast_champions_refused_total") > n_before)
    status, answer = service.ask(FORECASTS, BY_NAME)
    put_into_service(stores, "google", 2)

    assert (status, answer["model_version"]) == (200, 2)


def test_a_service_that_is_told_to_stop_stores_all_that_it_answered_before_it_ends(
    served_machine, port, tmp_path, postgres
):
    """SIGTERM under load: nothing waits in the journal, every row is in the table, and the command ends well."""
    with serve(served_machine, port, tmp_path) as service:
        with load(service) as found:
            wait_for(lambda: len(found.answers) > 50)
            code = stop(service)
        journal = Path(served_machine["LOOPCAST_HOME"]) / "journal"

        assert code == 0
        assert [file for file in journal.rglob("*") if file.is_file() and file.stat().st_size] == []
        assert postgres.count_stored(found.ids) == dict.fromkeys(found.ids, 1)


def test_an_address_that_others_reach_needs_a_token_before_anything_is_bound(served_machine, port):
    """The command ends at once with one sentence."""
    command = [Path(sys.executable).parent / "bentoml", "serve", "bento.service:Loopcast", "-p", str(port)]

    done = subprocess.run(
        [*command, "--host", "0.0.0.0"],  # noqa: S104  it is refused
        env=served_machine, cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "loopcast: found no active token, and the service listens on 0.0.0.0; make one by "
        "`loopcast tokens create NAME --all-problems`, or serve on 127.0.0.1"
    )


def test_where_tokens_are_required_only_a_signed_request_is_answered(served_machine, stores, port, tmp_path):
    """Also on loopback, as behind a proxy."""
    token, secret = stores.tokens.create("test", "ada", Role.VIEWER, [])
    with serve({**served_machine, "LOOPCAST_REQUIRE_TOKENS": "true"}, port, tmp_path) as service:
        refused, _ = service.ask(FORECASTS, BY_NAME)
        answered, _ = service.ask(FORECASTS, BY_NAME, {"Authorization": f"Bearer {secret}"})
    stores.tokens.revoke(token.id)

    assert (refused, answered) == (401, 200)


def copy_version(stores: Stores, number: int) -> ModelVersion:
    """A new version with the files of another one, of which a byte was changed in the registry since."""
    registry, original = stores.registry, stores.registry.version("google", number)
    problem = load_problem(CONFIG)
    panel = stores.artifacts.get_snapshot(original.snapshot_sha256)
    with tempfile.TemporaryDirectory() as folder:
        files = registry.fetch(original, Path(folder))
        run = registry.start_run(problem, read_lineage(stores.settings, original.snapshot_sha256))
        version = registry.register(run, files, panel, original.trained_until_utc)
        run.finish()
    pattern = f"mlflow/*/{version.run_id}/artifacts/model/data/forecaster/network.onnx"
    [graph] = Path(stores.settings.artifacts).glob(pattern)
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 0xFF
    graph.write_bytes(bytes(content))
    return version
