"""The machine and the packages that a model was trained with, and what of them can change the bits of its weights."""

import platform
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

UNKNOWN: Final = "unknown"
TAG_PREFIX: Final = "environment."
"""Of the tags under which a run and a model version keep their environment."""

BIT_PACKAGES: Final = ("torch", "numpy", "scipy", "pandas", "arch")
"""Packages whose arithmetic reaches the weights."""
OTHER_PACKAGES: Final = ("loopcast", "onnxruntime", "safetensors", "mlflow")

NEXT_STEPS: Final[Mapping[str, str]] = {
    "python": "use Python {then}",  # the built-in sum rounds in another way since 3.12
    "machine": "use a machine of type {then}",
    "cpu_vendor": "use a processor of {then}, for which the same kernels are chosen",
    "cpu_capability": "use a processor with {then}; one with more is held back by the variable ATEN_CPU_CAPABILITY",
    **{name: f"install {name}=={{then}}" for name in BIT_PACKAGES},
}
"""What of an environment can change the bits of the weights, and what puts each difference right."""


def read_environment() -> dict[str, str]:
    """Python, processor and packages of this process, each as a short text."""
    import torch  # half a second, which only those who train or compare pay

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_vendor": _read_cpu_vendor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        **{name: version(name) for name in (*BIT_PACKAGES, *OTHER_PACKAGES)},
    }


def compare_environments(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """One sentence for each difference that can change the bits of the weights, with what puts it right.

    Args:
        then, now: As `read_environment` returns them; what one of them lacks counts as different.

    >>> here = dict.fromkeys(NEXT_STEPS, "1.0") | {"python": "3.11.9", "torch": "2.14.0", "mlflow": "3.17.2"}
    >>> compare_environments(here | {"python": "3.11.7", "torch": "2.13.0", "mlflow": "3.16.0"}, here)
    ['torch was 2.13.0, here it is 2.14.0; install torch==2.13.0']
    """
    differing = [name for name in NEXT_STEPS if _essence(name, then) != _essence(name, now)]
    return [
        f"{name} was {then[name]}, here it is {now.get(name, UNKNOWN)}; {NEXT_STEPS[name].format(then=then[name])}"
        if name in then
        else f"{name} was not recorded, here it is {now[name]}"
        for name in differing
    ]


def _essence(name: str, environment: Mapping[str, str]) -> str | None:
    """The part of a value that counts: releases of one minor version of Python calculate alike."""
    value = environment.get(name)
    return ".".join(value.split(".")[:2]) if name == "python" and value else value


def _read_cpu_vendor() -> str:
    """Who made the processor, by which the linear algebra of torch and numpy chooses its kernels."""
    try:
        found = re.search(r"^vendor_id\s*:\s*(\S+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or UNKNOWN
