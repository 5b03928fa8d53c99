"""Asking `pyflyte` for help stays fast: a workflow's file imports nothing that only a running task needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYFLYTE = Path(sys.executable).with_name("pyflyte")
HEAVY = {"torch", "mlflow", "evidently", "bentoml"}
"""Packages that take seconds to import; tasks import them inside the function."""


@pytest.mark.parametrize("name", ["training", "forecasting", "monitoring"])
def test_help_of_a_workflow_imports_no_heavy_package(name):
    """`pyflyte run workflows/training.py --help` answers without torch, mlflow, evidently and bentoml."""
    answer = subprocess.run(
        [PYFLYTE, "run", f"workflows/{name}.py", "--help"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (line for line in answer.stderr.splitlines() if line.startswith("import time:"))
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in lines}

    assert answer.returncode == 0, answer.stdout
    assert name in answer.stdout
    assert "flytekit" in imported
    assert imported & HEAVY == set()
