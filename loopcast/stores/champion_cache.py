"""What a machine remembers of champions, so that a service answers before it has asked anybody.

In the folder of a problem lie `champion.json`, which names what was served last, and a folder for each of the last
versions: the forecaster's files, and what is known of it. Everything appears whole or not at all, so that the workers
of a service, and the processes that fetch for them, may share it.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar
from uuid import uuid4

from pydantic import BaseModel, ValidationError

from loopcast.evidence.record import RECORD
from loopcast.settings import Settings
from loopcast.stores.files import remove_left
from loopcast.stores.model_versions import VersionRecord

KEPT_VERSIONS: Final = 3
"""Versions of a problem whose files stay: a rollback finds its own, and a disk does not fill. Some 200 kB each."""
LEFT_AFTER_S: Final = 3600.0
"""Age at which a draft was left by a process that was killed: a fetch takes minutes at most."""
CHAMPION_FILE: Final = "champion.json"
FACTS_FILE: Final = "facts.json"
FORECASTER: Final = "forecaster"


class Facts(BaseModel):
    """What an answer tells of the version that made it."""

    model_config = RECORD

    record: VersionRecord
    metrics: Mapping[str, float]
    """Its figures in its backtest, by name and unit."""


class RememberedChampion(BaseModel):
    """What a problem was served with last."""

    model_config = RECORD

    problem: str
    version: int
    history_sha256: str


Kept = TypeVar("Kept", bound=BaseModel)


@dataclass(frozen=True)
class CachedVersion:
    """A version on the local disk.

    Attributes:
        facts: What is known of it.
        forecaster: Folder for `open_served_model`.
    """

    facts: Facts
    forecaster: Path


@dataclass(frozen=True)
class ChampionCache:
    """Versions and champions in a folder of the local disk."""

    folder: Path

    def champions(self) -> list[RememberedChampion]:
        """What was served last, by problem; what cannot be read is passed over."""
        found = (_read(file, RememberedChampion) for file in sorted(self.folder.glob(f"*/{CHAMPION_FILE}")))
        return [champion for champion in found if champion is not None]

    def remember(self, champion: RememberedChampion) -> None:
        """Let this be served at the next start, and remove versions long gone, and what killed processes left."""
        folder = self.folder / champion.problem
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{CHAMPION_FILE}.{uuid4().hex}"
        draft.write_text(champion.model_dump_json(indent=1), encoding="utf-8")
        draft.replace(folder / CHAMPION_FILE)
        used = sorted(folder.glob(f"*/{FACTS_FILE}"), key=lambda each: each.stat().st_mtime, reverse=True)
        for old in used[KEPT_VERSIONS:]:
            shutil.rmtree(old.parent, ignore_errors=True)
        remove_left(folder, ".*", LEFT_AFTER_S)

    def forget(self, problem: str) -> None:
        """Serve nothing for the problem after the next start, until the registry was asked."""
        (self.folder / problem / CHAMPION_FILE).unlink(missing_ok=True)

    def find(self, problem: str, version: int) -> CachedVersion | None:
        """A version if it is here."""
        folder = self.folder / problem / str(version)
        facts = _read(folder / FACTS_FILE, Facts)
        if facts is None:
            return None
        os.utime(folder / FACTS_FILE)  # it is in use
        return CachedVersion(facts, folder / FORECASTER)

    def put(self, problem: str, version: int, write: Callable[[Path], Facts]) -> None:
        """Keep a version, unless another process was first.

        Args:
            problem: Name of the problem.
            version: Its number.
            write: Writes the folder `forecaster` into the folder that it is given.
        """
        place = self.folder / problem / str(version)
        place.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=place.parent, prefix=".draft-") as draft:
            whole = Path(draft) / "whole"
            whole.mkdir()
            facts = write(whole)
            (whole / FACTS_FILE).write_text(facts.model_dump_json(indent=1), encoding="utf-8")
            try:
                whole.rename(place)
            except OSError:
                if not place.exists():
                    raise

    def drop(self, problem: str, version: int) -> None:
        """Remove a version, so that it is fetched anew."""
        shutil.rmtree(self.folder / problem / str(version), ignore_errors=True)


def open_cache(settings: Settings) -> ChampionCache:
    """What this machine remembers."""
    return ChampionCache(settings.home_path / "champions")


def _read(file: Path, kind: type[Kept]) -> Kept | None:
    """What a file says; None where it is missing, or of another Loopcast."""
    try:
        return kind.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
