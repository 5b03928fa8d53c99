"""A machine of its own for each test of the whole loop: home, temporary folder and work folder."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a new user, who has nothing yet."""
    folder = tmp_path_factory.mktemp("machine")
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOOPCAST_", "MLFLOW_", "PG"))}
    return {
        **kept,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LOOPCAST_HOME": str(folder / "loopcast"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "ignore",
    }


@pytest.fixture(scope="module")
def run(machine: dict[str, str]) -> Run:
    """Run a command there, from the root of the checkout."""

    def run_command(*command: str, check: bool = True, **environment: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            command, env=machine | environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    return run_command
