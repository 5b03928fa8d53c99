"""What the documentation tells people to make can be made."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXTS = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
BENCHMARKS = {path.stem.replace("bench_", "bench-") for path in (ROOT / "benchmarks").glob("bench_*.py")}


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_every_command_of_the_documentation_is_a_target(text):
    """`make NAME`, in a line of code or between backticks."""
    named = re.findall(r"(?:`|^\s*|&& )make ([a-z-]+[a-z])", text.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(named) <= TARGETS | BENCHMARKS | {"bench"}


def test_every_target_that_is_no_file_exists():
    """One that is only announced does nothing, and says that it is up to date."""
    announced = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert announced is not None
    assert set(announced[1].split()) <= TARGETS
