"""From a registered version to one archive that can be served anywhere: baked, built, proven, and only then kept."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import fsspec

from bento.proving import prove_archive, read_end
from loopcast.errors import PackagingError
from loopcast.stores.artifacts import ArtifactStore
from loopcast.stores.baking import Package, bake
from loopcast.stores.opened import Stores

ROOT: Final = Path(__file__).parents[1]
SOURCES: Final = ("app", "bento", "loopcast", "docs/packaging.md", "pyproject.toml", "LICENSE")
"""Of the project; pyproject.toml says which of their files a Bento holds."""
NAME: Final = "loopcast"
"""Of the Bento, and of the model in it."""
FOLDER: Final = "bentos"
"""Below the artifacts' URL where there is one, so that a cluster keeps what a pod built; else below the work folder."""
BUILDING: Final = {
    "BENTOML_DO_NOT_TRACK": "True",
    "BENTOML_ENABLE_FEATURES": "no_image",  # else it installs uv into this environment, and does not use it
}
"""Variables of BentoML's build."""
BUILD_TIMEOUT_S: Final = 300.0
"""For BentoML's import, on a machine that does other things too."""


def package_version(stores: Stores, problem: str, number: int | None) -> Package:
    """A version and the newest history as one archive, after a service from it has answered as the model does here.

    The same version and history give the same tag, and a new archive in place of the one before.

    Args:
        number: Of the version; None for the champion.

    Raises:
        PackagingError: It cannot be built, or does not answer so; no archive is left.
        StoreError: There is no such version, or something of it cannot be had.
    """
    # Not in the work folder, whose usual name is hidden: BentoML reads no files in hidden folders.
    with TemporaryDirectory(prefix="loopcast-packaging-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        baked = work / "baked"
        baked.mkdir()
        served = bake(stores, problem, number, baked)
        version = f"{problem}-{served.version}-{served.history_sha256[:12]}"
        draft = work / f"{NAME}-{version}.tar.gz"
        tag = build_archive(baked, version, draft)
        panel = ArtifactStore(str(baked)).get_snapshot(served.history_sha256)
        compared = prove_archive(draft, tag, served, panel, work)
        return Package(
            tag=tag,
            problem=problem,
            version=served.version,
            history_sha256=served.history_sha256,
            n_bytes=draft.stat().st_size,
            sha256=hashlib.sha256(draft.read_bytes()).hexdigest(),
            compared=compared,
            archive=_keep(draft, stores.settings.artifacts_url or str(stores.settings.home_path)),
        )


def build_archive(baked: Path, version: str, archive: Path) -> str:
    """Tag of the Bento that BentoML built of a baked folder, in a process and a store of its own.

    Raises:
        PackagingError: It could not.
    """
    sources = archive.with_name("sources")
    _copy_sources(sources)
    environment = os.environ | BUILDING | {"BENTOML_HOME": str(archive.with_name("build"))}
    command = [sys.executable, "-m", "bento.building", str(baked), version, str(archive)]
    done = subprocess.run(  # noqa: S603  our own module
        command, env=environment, cwd=sources, capture_output=True, check=False, timeout=BUILD_TIMEOUT_S
    )
    if done.returncode:
        raise PackagingError(f"BentoML could not build {NAME}:{version}:\n{read_end(done.stderr)}")
    return f"{NAME}:{version}"


def _copy_sources(target: Path) -> None:
    """Copy what a Bento may hold, because BentoML looks at every file of the folder that it builds from."""
    missing = [name for name in SOURCES if not (ROOT / name).exists()]
    if missing:
        raise PackagingError(f"{ROOT}: found no {', '.join(missing)}; package from a checkout, or from its image")
    for name in SOURCES:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, place)


def _keep(draft: Path, root: str) -> str:
    """Where the archive is now, whole."""
    place = f"{root.rstrip('/')}/{FOLDER}/{draft.name}"
    files, path = fsspec.core.url_to_fs(place)
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    files.put_file(str(draft), f"{path}.draft")
    files.mv(f"{path}.draft", path)
    return place
