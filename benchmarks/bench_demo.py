"""Measures how long `make demo` takes on a set-up checkout, and how much of it is not work on data or on the model.

The demo runs as a newcomer's first one, in a work folder and a home that are empty, from this checkout. An outer clock
times all of it; `hooks/sitecustomize.py` notes from within what its processes are at. Python's imports count as
overhead wherever they happen, also when the workers that train are held up by them.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.results import Target, format_table, format_targets, write_results
from benchmarks.spans import REST, divide_time, read_spans

ROOT: Final = Path(__file__).parents[1]
COMMAND: Final = ("make", "--no-print-directory", "demo")
WORK: Final = {"data": "data: read, check, snapshot", "model": "model: train, judge, explain, export"}
OVERHEAD: Final = {
    "imports": "imports",
    "PostgreSQL": "PostgreSQL: start, tables",
    "MLflow": "MLflow: runs, registry",
    "report": "report: page and pictures",
    REST: "Flyte, make, and the rest",
}
TARGETS: Final = (
    Target("wall_s", "whole demo, s", 1, high=90),
    Target("overhead_share", "share of overhead", 3, high=1 / 3),
)


def main() -> None:
    """Run the demo once, print where its time went, and write the result."""
    with tempfile.TemporaryDirectory(prefix="lc-", ignore_cleanup_errors=True) as folder:
        notes = Path(folder) / "notes"
        started = time.monotonic()
        run_demo(Path(folder), notes)
        ended = time.monotonic()
        spans = read_spans(notes.read_text(encoding="utf-8"))
    seconds = divide_time(spans, started, ended)
    wall_s, work_s = ended - started, sum(seconds.get(label, 0.0) for label in WORK)
    figures = {"wall_s": round(wall_s, 1), "overhead_share": round(1 - work_s / wall_s, 3)}

    rows = [["", "s", "share"]]
    for label, text in (WORK | OVERHEAD).items():
        spent_s = seconds.get(label, 0.0)
        rows.append([text, f"{spent_s:.1f}", f"{100 * spent_s / wall_s:.0f} %"])
    print(f"\n{format_table(rows)}\n\n{format_targets(figures, TARGETS)}")
    write_results("demo", figures)


def run_demo(folder: Path, notes: Path) -> None:
    """Run the demo with everything that it writes, and the notes on its time, in a folder."""
    for name in ("home", "work"):
        (folder / name).mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOOPCAST_", "MLFLOW_"))}
    environment = kept | {
        "HOME": str(folder / "home"),
        "LOOPCAST_HOME": str(folder / "work"),
        "LOOPCAST_BENCH_NOTES": str(notes),
        "PYTHONPATH": str(ROOT / "benchmarks" / "hooks"),
    }
    done = subprocess.run(COMMAND, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(COMMAND)} ended with {done.returncode}")


if __name__ == "__main__":
    main()
