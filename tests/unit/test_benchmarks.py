"""How benchmarks divide time and judge their figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import results
from benchmarks.results import Target, write_results
from benchmarks.spans import Span, divide_time

HOOKS = Path(results.__file__).parent / "hooks"
TIMES = st.integers(-2, 12)
SPANS = st.lists(
    st.builds(
        lambda process, start, length, label: Span(process, start, start + length, label),
        st.integers(1, 3), TIMES, st.integers(0, 5), st.sampled_from(["data", "model", "imports"]),
    )
)  # fmt: skip


@given(SPANS)
def test_divided_time_adds_up_to_the_whole(spans):
    """Whatever was noted, every second has exactly one label."""
    assert sum(divide_time(spans, start_s=0, end_s=10).values()) == 10


def test_what_is_called_has_the_time_and_not_its_caller():
    """An import inside a function counts as an import, and a second process in the foreground counts like the first."""
    spans = [Span(1, 0, 2, "data"), Span(2, 3, 9, "model"), Span(2, 4, 5, "imports"), Span(2, 5, 7, "MLflow")]

    assert divide_time(spans, start_s=0, end_s=10) == {"data": 2, "rest": 2, "model": 3, "imports": 1, "MLflow": 2}


def test_imports_of_a_helper_count_only_while_somebody_waits_for_it():
    """A background process that imports during other work takes nothing from that work."""
    spans = [Span(1, 0, 4, "data"), Span(1, 4, 10, "model"), Span(2, 1, 2, "imports"), Span(2, 5, 7, "imports")]

    assert divide_time(spans, start_s=0, end_s=10) == {"data": 4, "model": 4, "imports": 2}


def test_the_service_beside_the_demo_is_not_watched(tmp_path):
    """Nobody waits for its imports; those of any other process are noted."""
    environment = {"PYTHONPATH": str(HOOKS), "LOOPCAST_BENCH_NOTES": str(tmp_path / "notes")}
    for word in ("bentoml", "pyflyte"):
        subprocess.run((sys.executable, "-c", "import json", word), env=environment, check=True)
        noted = (tmp_path / "notes").exists()

        assert noted is (word != "bentoml")


@pytest.mark.parametrize(("value", "word"), [(0.78, "reached"), (0.82, "reached"), (0.77, "missed"), (0.83, "missed")])
def test_a_target_includes_its_ends(value, word):
    """A figure on the edge of where it should be is where it should be."""
    assert Target("coverage", "coverage", 2, low=0.78, high=0.82).describe(value).startswith(word)


def test_results_are_flat_and_name_machine_date_and_versions(tmp_path, monkeypatch):
    """Whoever reads a result knows where and when it was measured."""
    monkeypatch.setattr(results, "FOLDER", tmp_path)

    write_results("speed", {"ratio": 2.5})

    written = json.loads((tmp_path / "speed.json").read_text())
    assert written.keys() == {"ratio", "machine", "date", "versions"}
    assert written["ratio"] == 2.5
