"""Where a model comes from: the data, the code, the environment and the execution that made it, and who was in charge.

What is read here becomes the tags of a training run and of its model version.
"""

import getpass
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import loopcast
from loopcast.settings import Settings
from loopcast.stores.environment import TAG_PREFIX, UNKNOWN, read_environment


@dataclass(frozen=True)
class Lineage:
    """All that leads back from a model to how it was made.

    Attributes:
        snapshot_sha256: Of the panel it was trained on.
        git_commit: Of the code, or `unknown`.
        is_git_dirty: Whether the code differed from that commit.
        actor: User or execution in charge.
        environment: As `read_environment` returns it.
        execution_id: Of the orchestrator, empty where there is none.
        execution_url: Where a person can look at the execution.
    """

    snapshot_sha256: str
    git_commit: str
    is_git_dirty: bool
    actor: str
    environment: Mapping[str, str]
    execution_id: str = ""
    execution_url: str = ""

    def tags(self) -> dict[str, str]:
        """The lineage under the names that runs and model versions carry; what is empty is left out."""
        fields = {
            "snapshot_sha256": self.snapshot_sha256,
            "git_commit": self.git_commit,
            "is_git_dirty": str(self.is_git_dirty).lower(),
            "actor": self.actor,
            "execution_id": self.execution_id,
            "execution_url": self.execution_url,
            **{f"{TAG_PREFIX}{name}": value for name, value in self.environment.items()},
        }
        return {name: value for name, value in fields.items() if value}


def read_lineage(settings: Settings, snapshot_sha256: str, execution_id: str = "", execution_url: str = "") -> Lineage:
    """The lineage of what this process trains on a snapshot."""
    commit, is_dirty = read_git(settings)
    return Lineage(
        snapshot_sha256=snapshot_sha256,
        git_commit=commit,
        is_git_dirty=is_dirty,
        actor=read_actor(settings, execution_id),
        environment=read_environment(),
        execution_id=execution_id,
        execution_url=execution_url,
    )


def read_actor(settings: Settings, execution_id: str = "") -> str:
    """Who is in charge: whom the settings name, else the execution, else the user of this machine."""
    if named := settings.actor or execution_id:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has a number and no name
        return f"uid {os.getuid()}"


def read_git(settings: Settings) -> tuple[str, bool]:
    """Commit of the running code, and whether a Python file or the lock differs from it.

    `LOOPCAST_GIT_COMMIT`, which an image brings, goes before the checkout; without either the commit is `unknown`.
    """
    if settings.git_commit:
        return settings.git_commit, False
    package = Path(loopcast.__file__).parent
    if _run_git(package, "ls-files", "--error-unmatch", "__init__.py") is None:  # perhaps in somebody else's checkout
        return UNKNOWN, False
    commit = _run_git(package, "rev-parse", "HEAD")
    changes = _run_git(package, "status", "--porcelain", "--", ":/*.py", ":/requirements.lock")
    return commit or UNKNOWN, bool(changes)


def _run_git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails or is not installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # set by hooks
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
