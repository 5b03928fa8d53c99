"""`GET /api/v1/problems/{problem}/models`, one of them, and `/decisions`: which versions there are, and what of them.

What is decided about them is asked for as a query: kinds `promotion`, `rollback` and `training`.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request

from app.answers import models as answers
from app.documentation import PREFIX
from app.errors import ErrorCode, Refusal
from app.parts import Asked, read_asked
from app.reading import as_known, as_link, read_recent
from loopcast.settings import Settings
from loopcast.stores.champions import ServedProblem
from loopcast.stores.database import Database
from loopcast.stores.decisions import Decision, DecisionStore
from loopcast.stores.model_versions import ModelVersionStore, VersionRecord
from loopcast.stores.promotion import find_predecessor
from loopcast.stores.snapshots import SnapshotStore

MAX_VERSIONS: Final = 100
MAX_DECISIONS: Final = 500

router = APIRouter(prefix=PREFIX)


@router.get("/problems/{problem}/models", operation_id="list_models")
async def list_models(problem: str, request: Request) -> answers.Models:
    """The last hundred model versions: what they are, which is champion, and what was decided about each."""
    return await find_models(read_asked(request), problem)


@router.get("/problems/{problem}/models/{version}", operation_id="get_model_version")
async def get_model_version(
    problem: str, version: Annotated[int, Path(ge=1, lt=2**31)], request: Request
) -> answers.ModelVersionDetail:
    """One model version, what was decided about it, and all that leads back to how it was made."""
    return await find_model(read_asked(request), problem, version)


@router.get("/problems/{problem}/decisions", operation_id="list_decisions")
async def list_decisions(
    problem: str, request: Request, limit: Annotated[int, Query(ge=1, le=MAX_DECISIONS)] = 100
) -> answers.Decisions:
    """What was decided about the problem's models, by which rule and on which figures."""

    def read(database: Database) -> answers.Decisions:
        found = DecisionStore(database).history(problem, limit)
        return answers.Decisions(problem=problem, decisions=[_show_decision(each) for each in found])

    return await read_recent(read_asked(request), problem, ("decisions", limit), read)


async def find_models(asked: Asked, problem: str) -> answers.Models:
    """The versions of a problem.

    Raises:
        Refusal, StoreError: As `read_recent`.
    """
    served, settings = _find_served(asked, problem), asked.parts.settings

    def read(database: Database) -> answers.Models:
        store = DecisionStore(database)
        history = store.history(problem, limit=None)
        champion = _find_champion(history)
        return answers.Models(
            problem=problem,
            champion_version=champion,
            predecessor_version=None if champion is None else find_predecessor(store, problem, champion),
            versions=[
                _show_version(each, history, served, settings)
                for each in ModelVersionStore(database).history(problem, MAX_VERSIONS)
            ],
        )

    return await read_recent(asked, problem, ("models", served and served.version), read)


async def find_model(asked: Asked, problem: str, version: int) -> answers.ModelVersionDetail:
    """One version of a problem.

    Raises:
        Refusal: As `read_recent`, or there is no such version.
        StoreError: The database does not answer.
    """
    served, settings = _find_served(asked, problem), asked.parts.settings

    def read(database: Database) -> answers.ModelVersionDetail:
        record = ModelVersionStore(database).get(problem, version)
        if record is None:
            what = (
                f"no version {version} of {problem}; GET /api/v1/problems/{problem}/models lists those that there are"
            )
            raise Refusal(404, ErrorCode.NOT_FOUND, what)
        history = DecisionStore(database).history(problem, limit=None)
        snapshot = SnapshotStore(database).find(problem, record.snapshot_sha256)
        is_serving = served is not None and served.version == version
        return answers.ModelVersionDetail(
            problem=problem,
            version=_show_version(record, history, served, settings),
            **record.model_dump(include={"weights_sha256", "run_id", "git_commit", "is_git_dirty", "execution_id"}),
            execution_url=as_link(record.execution_url),
            snapshot=answers.Snapshot(
                sha256=record.snapshot_sha256,
                url=snapshot and snapshot.url,
                n_rows=snapshot and snapshot.n_rows,
                n_series=snapshot and snapshot.n_series,
                first_utc=snapshot and snapshot.first_utc,
                last_utc=snapshot and snapshot.last_utc,
            ),
            metrics={n: as_known(v) for n, v in served.metrics.items()} if served and is_serving else None,
            decisions=[_show_decision(each) for each in history if _is_about(each, version)],
        )

    return await read_recent(asked, problem, ("model", version, served and served.version), read)


def link_run(settings: Settings, run_id: str) -> str | None:
    """A training in MLflow, where its server has an address.

    >>> link_run(Settings(tracking_uri="https://mlflow.example.org/"), "4f6c")
    'https://mlflow.example.org/#/runs/4f6c'
    """
    server = as_link(settings.tracking_uri)
    return f"{server.rstrip('/')}/#/runs/{run_id}" if server else None


def _find_served(asked: Asked, problem: str) -> ServedProblem | None:
    is_served = problem in asked.parts.champions.names() and asked.record.asker.may_use(problem)
    return asked.parts.champions.get(problem) if is_served else None


def _find_champion(history: list[Decision]) -> int | None:
    """The version in service by what was decided last, whatever it was about; None for none."""
    found = history[0].champion_after if history else None
    return None if found is None else int(found)


def _is_about(decision: Decision, version: int) -> bool:
    return str(version) in {decision.model_version, decision.champion_after}


def _show_version(
    record: VersionRecord, history: list[Decision], served: ServedProblem | None, settings: Settings
) -> answers.ModelVersion:
    about = next((each for each in history if each.model_version == str(record.version)), None)
    return answers.ModelVersion(
        model_version=record.version,
        candidate=record.candidate,
        trained_until_utc=record.trained_until_utc,
        registered_at_utc=record.registered_at_utc,
        is_champion=record.version == _find_champion(history),
        is_serving=served is not None and served.version == record.version,
        last_decision=about and _show_decision(about),
        snapshot_sha256=record.snapshot_sha256,
        run_url=link_run(settings, record.run_id),
    )


def _show_decision(decision: Decision) -> answers.Decision:
    figures = {name: as_known(value) for name, value in decision.figures.items()}
    return answers.Decision(**decision.model_dump(exclude={"problem", "figures"}), figures=figures)
