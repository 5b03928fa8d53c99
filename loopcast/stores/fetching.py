"""Brings a version from the registry to this machine's disk, in a process of its own that ends when it has.

A service that follows the registry needs MLflow for nothing else, and new champions are rare: so MLflow's import, its
memory and its pauses stay out of the process that answers. `python -m loopcast.stores.fetching PROBLEM VERSION FOLDER`.
"""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loopcast.errors import LoopcastError, StoreError
from loopcast.lifeline import end_with_parent
from loopcast.settings import PREFIX, Settings, read_settings
from loopcast.stores.champion_cache import FORECASTER, ChampionCache, Facts, open_cache
from loopcast.stores.model_versions import describe_version

if TYPE_CHECKING:
    from loopcast.stores.model_version import ModelVersion
    from loopcast.stores.opened import Stores

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 300.0
"""For MLflow's import, its questions and the download of some 200 kB from a slow bucket."""
NICENESS: Final = 5
"""Those who answer go first; on a machine that has nothing to spare a fetch takes a quarter of a minute."""
PLACES: Final = ("home", "database_url", "artifacts_url", "tracking_uri")
"""Settings that say where a version lies."""


def fetch_version(stores: "Stores", cache: ChampionCache, problem: str, number: int) -> None:
    """Put a version into the cache; its files are not judged, which whoever opens them does.

    Raises:
        StoreError: The registry does not answer or does not know the version, or its files cannot be had.
    """
    version = stores.registry.version(problem, number)
    cache.put(problem, number, lambda folder: write_version(stores, version, folder))


def keep_version(stores: "Stores", problem: str, number: int) -> None:
    """Have a version at hand for the services of this machine, before they learn of it; one that keeps none goes on.

    Raises:
        StoreError: As `fetch_version`.
    """
    cache = open_cache(stores.settings)
    try:
        if cache.find(problem, number) is None:
            fetch_version(stores, cache, problem, number)
    except OSError as exc:
        logger.info("%s: version %d is not kept on this machine: %s", problem, number, exc)


def write_version(stores: "Stores", version: "ModelVersion", folder: Path) -> Facts:
    """Write a version's files into the folder `forecaster` below `folder`, and return what is known of it.

    Raises:
        StoreError: They cannot be had.
    """
    registry, versions = stores.registry, stores.model_versions
    download = folder / "download"
    registry.download(version, download).rename(folder / FORECASTER)
    shutil.rmtree(download)
    record = versions.get(version.problem, version.version)
    if record is None:  # it was registered before there was this table
        from loopcast.model.folder import read_forecaster

        record = describe_version(version, read_forecaster(folder / FORECASTER).problem)
        versions.record(record)
    return Facts(record=record, metrics=registry.read_figures(version))


def fetch_elsewhere(settings: Settings, cache: ChampionCache, problem: str, number: int) -> None:
    """The same, in a process of its own.

    Raises:
        StoreError: It failed there.
    """
    places = {f"{PREFIX}{name.upper()}": getattr(settings, name) for name in PLACES}
    environment = os.environ | {name: str(value) for name, value in places.items() if value is not None}
    command = [sys.executable, "-m", __name__, problem, str(number), str(cache.folder)]
    try:
        done = subprocess.run(  # noqa: S603
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as exc:
        raise StoreError(
            f"{problem} version {number} was not fetched within {TIMEOUT_S:.0f} s; look at MLflow"
        ) from exc
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"the process ended with {done.returncode}"])[-1]
        raise StoreError(f"{problem} version {number} was not fetched: {last}")


def main() -> None:
    """Fetch what the command line names; an error that a person can put right is one sentence."""
    from loopcast.stores.opened import Stores

    end_with_parent()  # what it has fetched by then is of use to nobody
    os.nice(NICENESS)
    problem, number, folder = sys.argv[1:]
    try:
        fetch_version(Stores(read_settings()), ChampionCache(Path(folder)), problem, int(number))
    except LoopcastError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
