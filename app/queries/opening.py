"""What answers are computed from: the champion with the newest history, and uploaded files, brought to this machine."""

import hashlib
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from loopcast.config import Problem
from loopcast.errors import DataRefusedError, LoopcastError, ModelRefusedError
from loopcast.features import build_design
from loopcast.model.folder import read_forecaster
from loopcast.model.served import ServedModel
from loopcast.queries.champion import Champion
from loopcast.queries.kinds import Report
from loopcast.queries.requests import BulkForecastRequest
from loopcast.queries.waiting import wait_telling
from loopcast.stores.aliases import read_champions
from loopcast.stores.artifacts import newest_snapshots
from loopcast.stores.champion_cache import CachedVersion, ChampionCache, open_cache
from loopcast.stores.champions import UnknownProblemError, open_version
from loopcast.stores.fetching import fetch_elsewhere
from loopcast.stores.opened import Stores
from loopcast.stores.query import Query

OPENING: Final = 0.1
"""Share of a query's whole at which what it is computed from is open."""


def open_champion(stores: Stores, problem: str, report: Report) -> Champion:
    """The champion of this moment, with the newest history of its problem.

    Raises:
        UnknownProblemError: There is none.
        LoopcastError: It cannot be had, or cannot read that history.
    """
    cached, model = _open_version(stores, problem, report)
    record = cached.facts.record
    tell = partial(report, OPENING / 2, "Opening the history")
    sha256 = newest_snapshots(stores.database).get(problem) or record.snapshot_sha256
    history = wait_telling(partial(stores.artifacts.get_snapshot, sha256), tell)
    design = wait_telling(partial(build_design, history, model.problem), tell)
    return Champion(
        version=record.version,
        trained_until_utc=record.trained_until_utc,
        model=model,
        folder=cached.forecaster,
        history=history,
        design=design,
        background=design.inputs[design.is_ready].mean(axis=0),
    )


def read_problem(stores: Stores, problem: str, report: Report) -> Problem:
    """A problem as its champion was trained on it.

    Raises:
        LoopcastError: It has no champion, or that cannot be had.
    """
    try:
        cached, _ = _open_version(stores, problem, report)
    except UnknownProblemError as exc:
        raise LoopcastError(
            f"{problem} has no champion whose configuration could be trained again; train a first one by "
            f"`pyflyte run workflows/training.py training --config configs/{problem}.yaml`"
        ) from exc
    return read_forecaster(cached.forecaster).problem


def bring_upload(stores: Stores, query: Query, request: BulkForecastRequest) -> Path:
    """An upload of the query's owner as a file of this machine, which is deleted with the attempt.

    Raises:
        DataRefusedError: The owner has no such upload, or what is kept of it is something else by now.
    """
    upload = stores.uploads.find(request.upload_id, query.owner)
    if upload is None:
        raise DataRefusedError(f"found no upload {request.upload_id}; it may have been deleted: upload the file again")
    path = Path(tempfile.mkdtemp()) / "upload.csv"
    with stores.uploads.open(upload) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    with path.open("rb") as brought:
        if hashlib.file_digest(brought, "sha256").hexdigest() != upload.sha256:
            raise DataRefusedError(f"upload {upload.id}: found other bytes than were uploaded; upload the file again")
    return path


def _open_version(stores: Stores, problem: str, report: Report) -> tuple[CachedVersion, ServedModel]:
    """The version in service, from this machine's disk, or from the registry where it is not there or damaged."""
    report(0.0, "Opening the champion")
    number = read_champions(stores.settings, stores.database).get(problem)
    if number is None:
        raise UnknownProblemError(f"{problem} has no champion; train one and let it be promoted")
    cache = open_cache(stores.settings)
    cached = cache.find(problem, number) or _fetch(stores, cache, problem, number, report)
    try:
        return cached, open_version(cached.forecaster, cached.facts.record)
    except ModelRefusedError:
        cache.drop(problem, number)
        cached = _fetch(stores, cache, problem, number, report)
        return cached, open_version(cached.forecaster, cached.facts.record)


def _fetch(stores: Stores, cache: ChampionCache, problem: str, number: int, report: Report) -> CachedVersion:
    wait_telling(
        partial(fetch_elsewhere, stores.settings, cache, problem, number),
        partial(report, 0.0, f"Fetching version {number} from the registry"),
    )
    found = cache.find(problem, number)
    if found is None:
        raise ModelRefusedError(f"{problem}: version {number} was fetched, and is not on this disk; look at its space")
    return found
