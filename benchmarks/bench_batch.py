"""Measures how long a million forecasts take, computed and stored, and whether memory grows with their number.

A thousand series of 1,066 steps are forecast from their last 250 steps, and then, by another version, from their last
1,000; both times with the network of the default problem, its full horizon and all quantiles. Everything runs on this
machine: two processes that compute and write, and the embedded PostgreSQL. Resident memory of all processes but
PostgreSQL's is read from outside.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

from benchmarks.batch_side import N_SERIES
from benchmarks.results import Target, format_table, format_targets, write_results

FEW_ORIGINS, MANY_ORIGINS = 250, 1_000
POLL_S: Final = 0.05
MIB: Final = 2**20
TARGETS: Final = (
    Target("n_forecasts", "forecasts", 0, low=1_000_000),
    Target("wall_s", "computed and stored in, s", 1, high=120),
    # The forecasts that are added measure 750 MB; what moves beside them is the moment at which a worker is met.
    Target("memory_growth_mb", "memory added from 250,000 to 1,000,000, MB", 0, high=100),
)


def main() -> None:
    """Run both sizes, print where the time went, and write the result."""
    with tempfile.TemporaryDirectory(prefix="lc-", dir="/tmp", ignore_cleanup_errors=True) as home:
        subprocess.run([sys.executable, "-m", "benchmarks.champion", home, "2"], check=True)
        _, few_mb = run_side(Path(home), 1, FEW_ORIGINS)
        found, many_mb = run_side(Path(home), 2, MANY_ORIGINS)
    model_s = found["wall_s"] - found["features_s"] - found["database_s"]
    seconds = {"features_s": found["features_s"], "model_s": model_s, "database_s": found["database_s"]}
    figures = {
        "n_forecasts": int(found["n_new"]),
        "wall_s": round(found["wall_s"], 1),
        "memory_growth_mb": round(many_mb - few_mb, 1),
        **{name: round(value, 1) for name, value in seconds.items()},
    }
    labels = ("features: history, design", "model: quantiles, ids, digests", "database: waited for")
    rows = [
        [label, f"{s:.1f}", f"{100 * s / found['wall_s']:.0f} %"]
        for label, s in zip(labels, seconds.values(), strict=True)
    ]
    print(f"{N_SERIES:,} series, {MANY_ORIGINS:,} origins each, height of memory {many_mb:.0f} MB:\n")
    print(format_table([["", "s", "share"], *rows]))
    print(f"\n{format_targets(figures, TARGETS)}")
    write_results("batch", figures)


def run_side(home: Path, version: int, n_origins: int) -> tuple[Mapping[str, float], float]:
    """What `batch_side` printed, and the height of the memory of its processes together, in MiB."""
    command = [sys.executable, "-m", "benchmarks.batch_side", str(home), str(version), str(n_origins)]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, _resident_bytes(watched))
            time.sleep(POLL_S)
        assert process.stdout is not None
        printed = process.stdout.read()
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return json.loads(printed), peak / MIB


def _resident_bytes(process: psutil.Process) -> int:
    """Of a process and those that it started, without PostgreSQL's."""
    total = 0
    for each in (process, *_children(process)):
        try:
            total += 0 if "postgres" in each.name() else int(each.memory_info().rss)
        except psutil.NoSuchProcess:
            continue
    return total


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    main()
