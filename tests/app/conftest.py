"""An app over real champions, a real journal, and stores in memory: a network of Google's price, and a formula."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr

from app.api import create_app
from app.parts import ServiceParts
from app.signin.people import People, open_people
from app.signin.sessions import ActiveSessions
from app.tokens import ActiveTokens
from loopcast.config import Problem, load_problem
from loopcast.features import build_design
from loopcast.model.baselines import Har
from loopcast.model.export import export_onnx
from loopcast.model.folder import save_forecaster
from loopcast.model.residual import Lstm
from loopcast.model.split import split_for_service
from loopcast.panel import build_panel
from loopcast.settings import Settings
from loopcast.stores.champions import FixedChampions, ServedProblem, open_version, serve_version
from loopcast.stores.database import Database
from loopcast.stores.forecasts import ForecastStore, MemoryForecastStore
from loopcast.stores.journal import Journal, open_journal
from loopcast.stores.model_versions import MemoryModelVersionStore, ModelVersionStore, VersionRecord
from loopcast.stores.sessions import Sessions
from loopcast.stores.shipper import JournalShipper
from loopcast.stores.sources import read_source
from loopcast.stores.tokens import MemoryTokenStore
from tests.app.client import Client
from tests.integration import conftest as integration
from tests.panels import make_panel, make_panel_problem

database, isolated_environment = integration.database, integration.isolated_environment
GOOGLE = Path(__file__).parents[2] / "configs" / "google.yaml"
METRICS = {"skill_ratio": 0.031, "coverage_80_ratio": 0.79, "mase": float("nan")}


@pytest.fixture(scope="session")
def google(tmp_path_factory: pytest.TempPathFactory) -> ServedProblem:
    """Version 7 of Google's price: a network, trained for one epoch."""
    keys = load_problem(GOOGLE).model_dump()
    problem = Problem.model_validate(
        keys | {"network": {"hidden_size": 4}, "training": {"n_seeds": 1, "max_epochs": 1}}
    )
    panel = build_panel(read_source(problem), problem).panel
    design = build_design(panel, problem)
    split = split_for_service(design, problem)
    network = Lstm.fit(design, split, problem)
    folder = tmp_path_factory.mktemp("network")
    digest = save_forecaster(network, problem, folder)
    export_onnx(network, design, split.validation[-64:], folder)
    return _serve(folder, make_record(problem, digest, "lstm", version=7), panel)


@pytest.fixture(scope="session")
def prices(tmp_path_factory: pytest.TempPathFactory) -> ServedProblem:
    """Version 2 of simulated prices of two series: a formula."""
    problem, panel = make_panel_problem(), make_panel()
    design = build_design(panel, problem)
    folder = tmp_path_factory.mktemp("formula")
    digest = save_forecaster(Har.fit(design, split_for_service(design, problem), problem), problem, folder)
    return _serve(folder, make_record(problem, digest, "har", version=2), panel)


def make_record(problem: Problem, digest: str, candidate: str, version: int) -> VersionRecord:
    """What is known of a version."""
    return VersionRecord(
        problem=problem.name,
        version=version,
        candidate=candidate,
        run_id="4f6c",
        weights_sha256=digest,
        snapshot_sha256="5a" * 32,
        git_commit="c0ffee",
        is_git_dirty=False,
        execution_id="a1b2c3",
        execution_url="https://flyte.example.org/a1b2c3",
        transform=problem.transform,
        quantile_levels=problem.quantiles,
        trained_until_utc=datetime(2013, 3, 1, 5, tzinfo=UTC),
        registered_at_utc=datetime(2013, 3, 1, 22, tzinfo=UTC),
    )


@pytest.fixture(scope="session")
def google_history() -> dict[str, Any]:
    """The last 150 rows of GOOG as a body has them."""
    problem = load_problem(GOOGLE)
    rows = read_source(problem)
    rows = rows[rows["ticker"] == "GOOG"].tail(150)
    prices = {name: rows[name].tolist() for name in ("open", "high", "low", "close")}
    return {
        "timestamp": [str(day)[:10] for day in rows["date"]],
        "target": rows["adj_close"].tolist(),
        **prices,
        "covariates": {"volume": rows["volume"].astype(float).tolist()},
    }


def _serve(folder: Path, record: VersionRecord, panel: pd.DataFrame) -> ServedProblem:
    return serve_version(open_version(folder, record), record, METRICS, panel, "5a" * 32)


@pytest.fixture
def make_parts(google: ServedProblem, prices: ServedProblem, tmp_path: Path) -> Iterator[Callable[..., ServiceParts]]:
    """Parts of a service on loopback; any of them can be given another."""
    journal = open_journal(tmp_path / "journal", max_mb=8)
    versions = MemoryModelVersionStore()
    versions.record(google.record)
    versions.record(prices.record)

    def make(**changes: Any) -> ServiceParts:
        parts: dict[str, Any] = {
            "champions": FixedChampions({"google": google, "prices": prices}),
            "journal": journal,
            "forecasts": MemoryForecastStore(),
            "versions": versions,
            "settings": Settings(home=tmp_path),
            "tokens": None,
        }
        return ServiceParts(**parts | changes)

    yield make
    journal.close()


@pytest.fixture
def parts(make_parts: Callable[..., ServiceParts]) -> ServiceParts:
    """The parts of a service on loopback, with both problems."""
    return make_parts()


@pytest.fixture
def kept(
    make_parts: Callable[..., ServiceParts], database: Database, google: ServedProblem, prices: ServedProblem
) -> Iterator[ServiceParts]:
    """The parts of a service that keeps its forecasts in PostgreSQL."""
    versions = ModelVersionStore(database)
    versions.record(google.record)
    versions.record(prices.record)
    parts = make_parts(forecasts=ForecastStore(database), versions=versions, database=database)
    shipper = JournalShipper(parts.journal, database)
    shipper.start()
    yield replace(parts, shipper=shipper)
    shipper.stop()


@pytest.fixture
def client(parts: ServiceParts) -> Client:
    """Asks a service on loopback."""
    return Client(create_app(parts))


@pytest.fixture
def full_journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal that has no room for another forecast."""
    journal = open_journal(tmp_path / "full", max_mb=0)
    yield journal
    journal.close()


@pytest.fixture
def store() -> MemoryTokenStore:
    """Where tokens are kept."""
    return MemoryTokenStore()


@pytest.fixture
def tokens(store: MemoryTokenStore) -> Iterator[ActiveTokens]:
    """The tokens of that store as a service has them, read every hundredth of a second."""
    active = ActiveTokens(store, refresh_s=0.01)
    active.start()
    yield active
    active.stop()


@pytest.fixture
def make_people(tmp_path: Path) -> Callable[[Sessions], People]:
    """Signing in of people whose sessions are in a store; the provider is away."""

    def make(sessions: Sessions) -> People:
        settings = Settings(
            home=tmp_path,
            public_url="http://localhost",
            oidc_issuer="http://127.0.0.1:9",
            oidc_client_id="loopcast",
            oidc_client_secret=SecretStr("secret"),
            oidc_default_role="viewer",
        )
        return open_people(settings, sessions, ActiveSessions(sessions))

    return make
