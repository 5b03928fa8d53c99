"""Makes `requirements.lock` from `pyproject.toml`, and tells whether the two still agree with what is installed.

What a baked service needs of it, the group `served`, is pinned in `bento/requirements.txt`, which goes into each Bento.

    python tools/lock.py              resolve anew with pip, from the package index; one to two minutes
    python tools/lock.py --installed  pin the versions that this environment already has; offline
    python tools/lock.py --check      compare pyproject.toml, lock and environment; offline, two seconds

The lock pins the project's requirements, the extra `dev` and the build backend, with all that they pull in. It is a
plain requirements file, which pip alone installs. Why it looks as it does: docs/adr/0004-dependencies.md.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# Every package that Loopcast is developed, tested and run with, at its exact version. Made by `make lock`; do not edit.
# Resolved for Python 3.11 on Linux x86_64, for the requirements of pyproject.toml with the extra `dev`.
# No hashes and no local part of a version, so that `torch` is the CPU build where the machine offers one. Where it
# does not (PyPI on Linux), torch brings its CUDA packages, which are not pinned here; to avoid them:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make setup
"""
SERVED_HEADER = """\
# Every package that a baked service is installed with, at its version in requirements.lock. Made by `make lock`; do not
# edit: which packages it imports is said in pyproject.toml, by the group `served`.
"""
RESOLVED_FOR = (3, 11)
"""The lowest Python that is supported, so that the backports which it needs are pinned too."""
ACCELERATOR = re.compile(r"nvidia-(?!ml-py$)|cuda-|triton")
"""Names of packages that only the CUDA builds of torch ask for: installed where needed, pinned nowhere."""
UNPINNED = frozenset({"loopcast", "pip"})
"""What an environment holds beside the lock: this project, and the pip that the Makefile pins."""


@dataclass(frozen=True)
class Package:
    """One installed distribution: its version, and what it asks for."""

    version: Version
    requires: tuple[Requirement, ...] = ()


Pins = Mapping[str, Version]
Environment = Mapping[str, Package]
Markers = Mapping[str, str]

LOCKED_MARKERS: Markers = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
"""The machine that the lock is made for; a pin that is needed there is no orphan on another."""


def read_requirements(pyproject: Path) -> list[Requirement]:
    """Return what the project asks for itself: to run, to be developed (`dev`) and to be built."""
    table = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    project = table["project"]
    texts = [
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
        *table["build-system"]["requires"],
    ]
    return [Requirement(text) for text in texts]


def read_served(pyproject: Path) -> list[Requirement]:
    """Return what a baked service imports."""
    table = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    return [Requirement(text) for text in table["dependency-groups"]["served"]]


def read_pins(lock: Path) -> dict[str, Version]:
    """Return the version that the lock gives each package; empty when there is no lock."""
    if not lock.is_file():
        return {}
    pins: dict[str, Version] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if text := line.partition("#")[0].strip():
            name, is_exact, version = text.partition("==")
            if not is_exact:
                raise SystemExit(f"{lock.name}: found `{text}`, needs `name==version`; run `make lock`")
            pins[canonicalize_name(name)] = Version(version)
    return pins


def read_installed() -> dict[str, Package]:
    """Return what this interpreter's environment holds."""
    return {
        canonicalize_name(found.name): Package(Version(found.version), tuple(map(Requirement, found.requires or ())))
        for found in metadata.distributions()
    }


def collect_needs(
    roots: Iterable[Requirement], installed: Environment, markers: Markers | None = None
) -> Iterator[tuple[str, Requirement]]:
    """Yield each requirement that applies, however far down, with the name of who asks for it.

    Args:
        roots: The project's own requirements.
        installed: The packages whose requirements are followed; one that is missing ends its branch.
        markers: The machine for which environment markers are read; default: this one.
    """
    waiting = [("pyproject.toml", root, frozenset({""})) for root in roots]
    seen = set()
    while waiting:
        asker, need, extras = waiting.pop()
        if need.marker and not any(need.marker.evaluate({**(markers or {}), "extra": extra}) for extra in extras):
            continue
        yield asker, need
        name = canonicalize_name(need.name)
        asked = frozenset({"", *need.extras})
        if name in installed and (name, asked) not in seen:
            seen.add((name, asked))
            waiting += [(name, child, asked) for child in installed[name].requires]


def find_stale(roots: Sequence[Requirement], pins: Pins, installed: Environment) -> list[str]:
    """Return one sentence for each point in which requirements, lock and environment disagree; none when fresh.

    >>> installed = {"numpy": Package(Version("2.1"))}
    >>> find_stale([Requirement("numpy>=2.2")], {"numpy": Version("2.1")}, installed)
    ['numpy: pinned to 2.1, but pyproject.toml needs numpy>=2.2; run `make lock`']
    """
    return [
        *_find_unmet(roots, pins, installed),
        *_find_orphans(roots, pins, installed),
        *_find_differences(pins, installed),
    ]


def _find_unmet(roots: Iterable[Requirement], pins: Pins, installed: Environment) -> Iterator[str]:
    for asker, need in collect_needs(roots, installed):
        name = canonicalize_name(need.name)
        if ACCELERATOR.match(name):
            continue
        if name not in pins:
            yield f"{name}: no pin, but {asker} needs {need}; run `make lock`"
        elif not need.specifier.contains(pins[name], prereleases=True):
            yield f"{name}: pinned to {pins[name]}, but {asker} needs {need}; run `make lock`"


def _find_orphans(roots: Iterable[Requirement], pins: Pins, installed: Environment) -> Iterator[str]:
    needed = {canonicalize_name(need.name) for _, need in collect_needs(roots, installed, LOCKED_MARKERS)}
    for name in sorted(pins.keys() - needed):
        yield f"{name}: pinned to {pins[name]}, but nothing needs it; run `make lock`"


def _find_differences(pins: Pins, installed: Environment) -> Iterator[str]:
    for name, pin in pins.items():
        if name not in installed:
            yield f"{name}: pinned to {pin}, but not installed; run `make setup`"
        elif Version(installed[name].version.public) != pin:
            yield f"{name}: pinned to {pin}, but {installed[name].version} is installed; run `make setup`"
    for name in sorted(installed.keys() - pins.keys() - UNPINNED):
        if not ACCELERATOR.match(name):
            yield f"{name}: {installed[name].version} is installed, but not pinned; run `make clean setup`"


def pin_installed(roots: Iterable[Requirement], installed: Environment) -> dict[str, Version]:
    """Return the pins of what the requirements reach in this environment."""
    names = {canonicalize_name(need.name) for _, need in collect_needs(roots, installed)}
    return {name: installed[name].version for name in names & installed.keys()}


def resolve(roots: Iterable[Requirement]) -> dict[str, Version]:
    """Return the newest versions that fit together, as pip finds them in its index; installs nothing."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    answer = subprocess.run([*command, *map(str, roots)], check=True, stdout=subprocess.PIPE)
    found = (item["metadata"] for item in json.loads(answer.stdout)["install"])
    return {canonicalize_name(item["name"]): Version(item["version"]) for item in found}


def render_lock(pins: Pins) -> str:
    """Return the text of the lock: the header, then one line for each pin, sorted, without local parts.

    >>> print(render_lock({"torch": Version("2.13.0+cpu")}).splitlines()[-1])
    torch==2.13.0
    """
    names = sorted(name for name in pins if not ACCELERATOR.match(name))
    return HEADER + "".join(f"{name}=={pins[name].public}\n" for name in names)


def render_served(roots: Iterable[Requirement], pins: Pins, installed: Environment) -> str:
    """Return the text of the baked service's requirements: the pins of what it reaches on the machine of the lock.

    >>> installed = {"api": Package(Version("1.2"), (Requirement("json>=3"), Requirement("clock; os_name == 'nt'")))}
    >>> pins = {name: Version("3.1") for name in ("api", "clock", "json", "torch")}
    >>> render_served([Requirement("api")], pins, installed).splitlines()[-2:]
    ['api==3.1', 'json==3.1']
    """
    names = {canonicalize_name(need.name) for _, need in collect_needs(roots, installed, LOCKED_MARKERS)}
    return SERVED_HEADER + "".join(f"{name}=={pins[name].public}\n" for name in sorted(names & pins.keys()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Make or check the lock; the answer is the exit status."""
    parser = argparse.ArgumentParser(description="Make or check requirements.lock.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="tell whether the lock is fresh; changes nothing")
    mode.add_argument("--installed", action="store_true", help="pin what this environment has, without the network")
    chosen = parser.parse_args(arguments)
    pyproject, lock, served = ROOT / "pyproject.toml", ROOT / "requirements.lock", ROOT / "bento" / "requirements.txt"
    roots, served_roots = read_requirements(pyproject), read_served(pyproject)
    if chosen.check:
        stale = find_stale(roots, read_pins(lock), read_installed())
        if served.read_text(encoding="utf-8") != render_served(served_roots, read_pins(lock), read_installed()):
            stale.append("bento/requirements.txt: not what the lock says; run `make lock`")
        print("\n".join(stale) or f"{lock.name} is fresh: {len(read_pins(lock))} packages")
        return 1 if stale else 0
    if sys.version_info[:2] != RESOLVED_FOR:
        print(
            f"Found Python {platform.python_version()}; the lock is made on Python 3.11, the lowest that is supported"
        )
        return 1
    try:
        pins = pin_installed(roots, read_installed()) if chosen.installed else resolve(roots)
    except subprocess.CalledProcessError:
        print("pip found no versions that fit together (its words are above); loosen a requirement in pyproject.toml")
        return 1
    lock.write_text(render_lock(pins), encoding="utf-8")
    served.write_text(render_served(served_roots, pins, read_installed()), encoding="utf-8")
    print(f"{lock.name}: {len(read_pins(lock))} packages; `make setup` installs them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
