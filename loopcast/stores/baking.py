"""One model version in a folder that needs nothing else to be served: what goes into a Bento, and comes out of it.

In the folder lie the forecaster's files, what is known of the version, and the newest history of its problem.
"""

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import fsspec
import psycopg
from pydantic import BaseModel, ValidationError

from loopcast.errors import ModelRefusedError, StoreError
from loopcast.evidence.record import RECORD
from loopcast.stores.artifacts import ArtifactStore, newest_snapshots
from loopcast.stores.champion_cache import FACTS_FILE, FORECASTER, Facts
from loopcast.stores.champions import ServedProblem, open_version, serve_version
from loopcast.stores.fetching import write_version
from loopcast.stores.model_versions import VersionRecord

if TYPE_CHECKING:
    from loopcast.stores.opened import Stores

RETRY_S: Final = 5.0
"""Seconds between attempts to reach a database that is away."""
STOP_TIMEOUT_S: Final = 5.0
"""Longest wait for an attempt that is under way; it changes nothing that must be finished."""

EXPLANATION: Final = """\
{tag}: version {version} of {problem}, {megabytes:.1f} MB
  {archive}
  SHA-256 {sha256}
It was installed and served in a clean environment. Equal to the model here, to the last bit: {equal}.
To serve it anywhere, from a virtual environment with the packages that it names:
  tar -xzOf {archive} ./env/python/requirements.txt > requirements.txt
  pip install -r requirements.txt
  bentoml import {archive}
  bentoml serve {tag}"""

logger = logging.getLogger(__name__)


class Package(BaseModel):
    """A Bento that was built, served from a clean environment, and found to answer as its model does."""

    model_config = RECORD

    tag: str
    problem: str
    version: int
    history_sha256: str
    archive: str
    """Path or URL."""
    n_bytes: int
    sha256: str
    """Of the archive."""
    compared: tuple[str, ...]
    """The forecasts that were equal to the last bit."""

    def explain(self) -> str:
        """What was made and proven, and how it is served."""
        shown = {"megabytes": self.n_bytes / 1e6, "equal": " and ".join(self.compared)}
        return EXPLANATION.format(**dict(self), **shown)


def bake(stores: "Stores", problem: str, number: int | None, folder: Path) -> ServedProblem:
    """Write a version and the newest history into an empty folder, and open it again from there.

    Args:
        number: Of the version; None for the champion.

    Raises:
        StoreError: There is no such version, or something of it cannot be had.
        ModelRefusedError, DataRefusedError: As `open_baked`.
    """
    registry = stores.registry
    version = registry.champion(problem) if number is None else registry.version(problem, number)
    if version is None:
        raise StoreError(
            f"{problem} has no champion, needs one to package; train one with `pyflyte run workflows/training.py "
            "training`, or name one of its versions, which `loopcast versions` lists"
        )
    facts = write_version(stores, version, folder)
    sha256 = newest_snapshots(stores.database).get(problem, facts.record.snapshot_sha256)
    _copy_snapshot(stores.artifacts, sha256, ArtifactStore(str(folder)))
    (folder / FACTS_FILE).write_text(facts.model_dump_json(indent=1), encoding="utf-8")
    return open_baked(folder)


def open_baked(folder: Path) -> ServedProblem:
    """What a folder of `bake` answers with, every file checked.

    Raises:
        ModelRefusedError: Files are missing or changed, or the model answers otherwise than in training.
        StoreError: The history was changed.
        DataRefusedError: No series can be forecast from it.
    """
    try:
        facts = Facts.model_validate_json((folder / FACTS_FILE).read_bytes())
        (history,) = (folder / "snapshots").glob("*.parquet")
    except (OSError, ValueError, ValidationError) as exc:
        raise ModelRefusedError(f"{folder}: no whole baked version: {exc}; import the Bento again") from exc
    model = open_version(folder / FORECASTER, facts.record)
    panel = ArtifactStore(str(folder)).get_snapshot(history.stem)
    return serve_version(model, facts.record, facts.metrics, panel, history.stem)


class VersionRecorder:
    """Makes the tables where they are missing, and keeps in them what the baked version came from.

    A database that is away is asked again by a thread, while forecasts are answered and wait for it in the journal.
    """

    def __init__(self, stores: "Stores", record: VersionRecord, retry_s: float = RETRY_S) -> None:
        self._stores = stores
        self._record = record
        self._retry_s = retry_s
        self._said = ""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._keep_trying, name="version-recorder", daemon=True)

    def start(self) -> None:
        """Record the version, now or as soon as there is a database.

        Raises:
            StoreError: The database knows another version of this number.
        """
        if not self._try():
            self._thread.start()

    def stop(self) -> None:
        """Try no longer."""
        self._is_over.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_TIMEOUT_S)

    def _keep_trying(self) -> None:
        while not self._is_over.wait(self._retry_s):
            try:
                if self._try():
                    return
            except StoreError:
                logger.exception("forecasts are stored under a version that the database knows otherwise")
                return

    def _try(self) -> bool:
        """Whether the version is recorded now."""
        try:
            versions = self._stores.model_versions
            versions.record(self._record)
            found = versions.get(self._record.problem, self._record.version)
        except (StoreError, psycopg.Error, OSError) as exc:
            self._say(" ".join(str(exc).split()))
            return False
        if found is not None and found.weights_sha256 != self._record.weights_sha256:
            raise StoreError(
                f"the database knows {found.problem} version {found.version} with weights "
                f"{found.weights_sha256[:12]}, and this Bento has {self._record.weights_sha256[:12]}; set "
                "LOOPCAST_DATABASE_URL to the database that the version was registered in, or to one of its own"
            )
        return True

    def _say(self, reason: str) -> None:
        """Log why it cannot be recorded, once for as long as the reason stays."""
        if reason != self._said:
            self._said = reason
            logger.warning("the version is recorded later, tried again every %g s: %s", self._retry_s, reason)


def _copy_snapshot(source: ArtifactStore, sha256: str, target: ArtifactStore) -> None:
    """Copy the bytes as they are; whoever reads them checks them against their name."""
    place = Path(target.snapshot_url(sha256))
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with fsspec.open(source.snapshot_url(sha256), "rb") as file:
            place.write_bytes(file.read())
    except OSError as exc:
        raise StoreError(f"{source.snapshot_url(sha256)} cannot be read: {exc}; restore it from a backup") from exc
