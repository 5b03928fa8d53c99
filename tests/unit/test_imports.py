"""Imports go one way, as the house is drawn: when -> in which order -> Flyte's side -> what is decided."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BASE = tuple(
    f"loopcast.{name}"
    for name in (
        "addresses",
        "config",
        "contracts",
        "errors",
        "forecasts",
        "lifeline",
        "mistakes",
        "progress",
        "sections",
        "settings",
        "typing",
    )
)
DATA = tuple(
    f"loopcast.{name}"
    for name in (
        "calendars",
        "cells",
        "families",
        "features",
        "grid",
        "history",
        "objections",
        "panel",
        "prices",
        "refusals",
        "running",
        "steps",
        "timestamps",
    )
)
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "launchplans": ("workflows", "tasks", "loopcast"),
    "workflows": ("tasks", "loopcast"),
    "tasks": ("bento", "loopcast"),
    "bento": ("app", "loopcast"),
    "app": ("loopcast",),
    "loopcast.__init__": (),
    "loopcast.cli": ("loopcast",),
    # For programs elsewhere, which have none of the rest.
    "loopcast.client": ("loopcast.errors",),
    "loopcast.stores": ("loopcast.queries", "loopcast.health", "loopcast.evidence", "loopcast.model", *DATA, *BASE),
    # Beside the stores, not above them: a walk through the past must not be able to touch what is in service.
    "loopcast.replay": ("loopcast.health", "loopcast.evidence", "loopcast.model", *DATA, *BASE),
    # Likewise: what somebody asks computes, and decides nothing.
    "loopcast.queries": ("loopcast.health", "loopcast.evidence", "loopcast.model", *DATA, *BASE),
    "loopcast.health": ("loopcast.evidence", "loopcast.model", *DATA, *BASE),
    "loopcast.evidence": ("loopcast.model", *DATA, *BASE),
    "loopcast.model": (*DATA, *BASE),
    **dict.fromkeys(DATA, (*DATA, *BASE)),
    **dict.fromkeys(BASE, BASE),
}
"""For each part of the project, the parts that it may import beside itself."""

FLYTE = ("launchplans", "workflows", "tasks")
WEB = ("bento", "app")
STORES = ("loopcast.stores",)
ONLY_IN: dict[str, tuple[str, ...]] = {
    "flytekit": FLYTE,
    "flytekitplugins": FLYTE,
    "bentoml": ("bento", "tasks"),
    "fastapi": WEB,
    "starlette": WEB,
    "litestar": WEB,
    "mlflow": STORES,
    "evidently": STORES,
    "procrastinate": STORES,
    "psycopg": STORES,
    "sqlalchemy": STORES,
    "alembic": STORES,
}
"""For each package from outside that has a place, the parts that may import it."""


def is_within(module: str, part: str) -> bool:
    """Whether a module is a part, or lies in it."""
    return f"{module}.".startswith(f"{part}.")


def find_part(module: str) -> str | None:
    """The row of MAY_IMPORT that a module belongs to; None for what is not ours, and for a missing row."""
    return next((part for part in MAY_IMPORT if is_within(module, part)), None)


def read_imports(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything that a module imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = f"{above}.{node.module or ''}".strip(".")
            # `from loopcast import stores` imports a part, not a name of the package
            yield from ((node.lineno, f"{module}.{a.name}" if module == "loopcast" else module) for a in node.names)


def find_violations(root: Path) -> list[str]:
    """One sentence for each import under `root` that runs against the tables."""
    tops = sorted({part.split(".")[0] for part in MAY_IMPORT})
    files = [file for top in tops for file in sorted((root / top).rglob("*.py"))]
    return [sentence for file in files for sentence in _judge(file, root)]


def _judge(file: Path, root: Path) -> Iterator[str]:
    path = file.relative_to(root)
    package = ".".join(path.parent.parts)
    module = f"{package}.{path.stem}"
    part = find_part(module)
    if part is None:
        yield f"{path}: {module} has no row in MAY_IMPORT; decide there what it may import"
        return
    for line, name in read_imports(file.read_text(encoding="utf-8"), package):
        target, outsider = find_part(name), name.split(".")[0]
        if target and not any(is_within(target, allowed) for allowed in (part, *MAY_IMPORT[part])):
            yield f"{path}:{line} imports {name}; {part} may import: {', '.join(MAY_IMPORT[part]) or 'nothing of ours'}"
        if outsider in ONLY_IN and part not in ONLY_IN[outsider]:
            yield f"{path}:{line} imports {name}; only these may: {', '.join(ONLY_IN[outsider])}"


def test_imports_run_along_the_arrows():
    """No module imports a part above it, and packages with a place are imported there only."""
    violations = find_violations(ROOT)

    assert not violations, "\n".join(violations)


@pytest.mark.parametrize(
    ("path", "source", "sentence"),
    [
        (
            "loopcast/evidence/gate.py",
            "import math\n\nfrom loopcast.stores.registry import promote\n",
            "loopcast/evidence/gate.py:3 imports loopcast.stores.registry; loopcast.evidence may import: "
            "loopcast.model, ",
        ),
        (
            "loopcast/model/network.py",
            "def load():\n    from .. import stores\n",
            "loopcast/model/network.py:2 imports loopcast.stores; loopcast.model may import: ",
        ),
        (
            "tasks/training.py",
            "import workflows.training\n",
            "tasks/training.py:1 imports workflows.training; tasks may import: bento, loopcast",
        ),
        (
            "loopcast/__init__.py",
            "from .config import Problem\n",
            "loopcast/__init__.py:1 imports loopcast.config; loopcast.__init__ may import: nothing of ours",
        ),
        (
            "loopcast/panel.py",
            "from flytekit import task\n",
            "loopcast/panel.py:1 imports flytekit; only these may: launchplans, workflows, tasks",
        ),
        (
            "app/routes.py",
            "import mlflow.pytorch as models\n",
            "app/routes.py:1 imports mlflow.pytorch; only these may: loopcast.stores",
        ),
        (
            "loopcast/utils.py",
            "",
            "loopcast/utils.py: loopcast.utils has no row in MAY_IMPORT; decide there what it may import",
        ),
    ],
)
def test_an_import_against_the_arrows_is_named(tmp_path, path, source, sentence):
    """The sentence gives file and line, what is imported, and what would be allowed."""
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")

    [found] = find_violations(tmp_path)
    assert found.startswith(sentence)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("loopcast/stores/registry.py", "import mlflow\nfrom loopcast.evidence import gate\nfrom . import database\n"),
        ("loopcast/cli.py", "from loopcast import __version__, stores\n"),
        ("loopcast/panel.py", "from loopcast import __version__\nfrom loopcast.features import Design\n"),
        ("launchplans/google.py", "from flytekit import LaunchPlan\nfrom loopcast.config import load_problem\n"),
        ("bento/service.py", "import bentoml\nfrom app.main import make_app\n"),
    ],
)
def test_an_import_along_the_arrows_passes(tmp_path, path, source):
    """What DESIGN draws is allowed, however the import is written."""
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")

    assert find_violations(tmp_path) == []
