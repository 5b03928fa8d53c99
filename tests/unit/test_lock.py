"""The lock's check: what pyproject.toml asks for, what the lock pins and what is installed are one and the same."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tools.lock import (
    Package,
    find_stale,
    pin_installed,
    read_installed,
    read_pins,
    read_requirements,
    render_lock,
)

ROOT = Path(__file__).resolve().parents[2]


def package(version: str, *requires: str) -> Package:
    """An installed distribution."""
    return Package(Version(version), tuple(map(Requirement, requires)))


def pins(**versions: str) -> dict[str, Version]:
    """Pins by name."""
    return {name: Version(version) for name, version in versions.items()}


INSTALLED = {
    "model": package("2.0", "array>=1", "plot; extra == 'report'", "clock; sys_platform == 'win32'"),
    "array": package("1.5"),
    "plot": package("3.1+local"),
}
PINS = pins(model="2.0", array="1.5", plot="3.1")
ROOTS = [Requirement("model[report]>=2")]


def test_a_lock_that_fits_is_fresh():
    """Extras are followed, markers of another machine are not, and a local build counts as its version."""
    assert find_stale(ROOTS, PINS, INSTALLED) == []


@pytest.mark.parametrize(
    ("roots", "changed_pins", "changed_installed", "sentence"),
    [
        (
            [*ROOTS, Requirement("queue>=4")],
            PINS,
            INSTALLED,
            "queue: no pin, but pyproject.toml needs queue>=4; run `make lock`",
        ),
        (
            ROOTS,
            pins(model="2.0", array="0.9", plot="3.1"),
            INSTALLED | {"array": package("0.9")},
            "array: pinned to 0.9, but model needs array>=1; run `make lock`",
        ),
        (
            ROOTS,
            PINS | pins(rest="1.0"),
            INSTALLED | {"rest": package("1.0")},
            "rest: pinned to 1.0, but nothing needs it; run `make lock`",
        ),
        (
            ROOTS,
            PINS,
            INSTALLED | {"array": package("1.6")},
            "array: pinned to 1.5, but 1.6 is installed; run `make setup`",
        ),
        (
            ROOTS,
            PINS,
            {name: found for name, found in INSTALLED.items() if name != "array"},
            "array: pinned to 1.5, but not installed; run `make setup`",
        ),
        (
            ROOTS,
            PINS,
            INSTALLED | {"stray": package("0.1")},
            "stray: 0.1 is installed, but not pinned; run `make clean setup`",
        ),
    ],
)
def test_a_stale_lock_is_told_with_the_next_step(roots, changed_pins, changed_installed, sentence):
    """Each disagreement is one sentence: the package, what was found, what is needed, what to run."""
    assert find_stale(roots, changed_pins, changed_installed) == [sentence]


def test_requirements_that_ask_for_each_other_end():
    """A circle among packages is walked once."""
    installed = {"egg": package("1", "hen"), "hen": package("1", "egg")}

    assert find_stale([Requirement("egg")], pins(egg="1", hen="1"), installed) == []


def test_packages_of_a_cuda_build_are_left_out():
    """The CUDA build of torch and the CPU build give the same lock, and both are fresh under it."""
    installed = {
        "torch": package("2.13.0", "nvidia-cublas-cu13==13.1", "triton==3.7"),
        "nvidia-cublas-cu13": package("13.1"),
        "triton": package("3.7"),
        "nvidia-ml-py": package("13.0"),
    }
    roots = [Requirement("torch==2.13.0"), Requirement("nvidia-ml-py")]

    lock = pin_installed(roots, installed)

    assert render_lock(lock).splitlines()[-2:] == ["nvidia-ml-py==13.0", "torch==2.13.0"]
    assert find_stale(roots, pins(**{"torch": "2.13.0", "nvidia-ml-py": "13.0"}), installed) == []


def test_a_lock_is_read_as_it_was_written(tmp_path):
    """Names are canonical and sorted, versions exact and without local parts."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(render_lock(pins(**{"zeta": "1.0", "torch": "2.13.0+cpu", "alpha-beta": "0.1"})), encoding="utf-8")

    assert list(read_pins(lock).items()) == [
        ("alpha-beta", Version("0.1")),
        ("torch", Version("2.13.0")),
        ("zeta", Version("1.0")),
    ]


def test_a_line_that_pins_nothing_is_refused(tmp_path):
    """A range in the lock would install something else tomorrow."""
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy>=2\n", encoding="utf-8")

    with pytest.raises(SystemExit, match=r"found `numpy>=2`, needs `name==version`; run `make lock`"):
        read_pins(lock)


def test_the_committed_lock_holds_every_requirement_of_the_project():
    """What runs, what only develops and what builds are pinned alike, and installed as pinned."""
    requirements = read_requirements(ROOT / "pyproject.toml")

    stale = find_stale(requirements, read_pins(ROOT / "requirements.lock"), read_installed())

    assert stale == []
    assert {"torch", "pytest", "setuptools"} <= {requirement.name for requirement in requirements}


def test_every_direct_dependency_has_its_reason():
    """A package that the project asks for by name is named in the decision on dependencies."""
    decision = (ROOT / "docs" / "adr" / "0004-dependencies.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in decision.splitlines() if line.startswith("| ")]
    explained = {name.strip() for row in rows for name in row.split(",")}

    direct = {requirement.name for requirement in read_requirements(ROOT / "pyproject.toml")}

    assert direct - explained == set()
