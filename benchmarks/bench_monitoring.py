"""Measures a day's monitoring of ten million stored forecasts, and its drift figures against Evidently's on raw values.

A month of a service that answers four requests a second is written into an embedded PostgreSQL, day by day, and each
day rolled up as it would be; that is timed by itself, and Evidently's tables are made before. Then one process monitors
the last day: it rolls up what came that day, reads the month's roll-ups, judges, and writes the report and Evidently's
run. Its wall time begins when it has imported what it needs; its peak memory is that of the whole process, without
PostgreSQL's own.

Evidently's `DataDriftPreset` runs on as many raw values as it can do in a minute. Ours are binned in the same run, and
that is counted, though in service each forecast is binned once and not in every day's window.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp, wasserstein_distance

from benchmarks.monitored_service import N_DAYS, PROBLEM, Service
from benchmarks.results import Target, format_table, format_targets, write_results
from loopcast.health.histogram import Bins, choose_bins, count_values, measure_ks, measure_wasserstein
from loopcast.health.steps import Column, measure_columns, pair_steps
from loopcast.progress import track
from loopcast.settings import Settings
from loopcast.stores.actuals import ActualStore
from loopcast.stores.copy_format import copy_rows
from loopcast.stores.database import Database, open_database
from loopcast.stores.evidently_project import EvidentlyStore
from loopcast.stores.forecast_rows import COLUMNS, encode_forecasts
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.rollups import RollUpStore

N_FORECASTS: Final = int(os.environ.get("BENCH_FORECASTS", 10_000_000))
N_RAW: Final = 500_000
"""Rows on which Evidently is measured, a fortnight and the one before it; about 20 seconds of one core."""
RAW_COLUMNS: Final = tuple(Column)[:8]
ROUNDS: Final = 5
TARGETS: Final = (
    Target("wall_s", "a day's monitoring, s", 2, high=10),
    Target("peak_memory_mb", "its peak memory, MB", 0, high=1000),
    Target("cpu_vs_evidently", "Evidently's CPU to ours, times", 0, low=100),
    Target("ks_error", "largest error of the KS statistic", 4, high=0.0033),
)


def main() -> None:
    """Write a month, monitor its last day, compare with Evidently, and write the figures."""
    service = Service(N_FORECASTS)
    with tempfile.TemporaryDirectory(prefix="lc-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        profile = service.profile()
        profile_file = home / "profile.json"
        profile_file.write_text(profile.model_dump_json(), encoding="utf-8")
        database = open_database(Settings(home=home))
        EvidentlyStore(database).prepare()
        rolled_s = [
            write_day(database, service, day, RollUpStore(database) if day < N_DAYS - 1 else None, profile.bins())
            for day in track(range(N_DAYS), N_DAYS, "days written")
        ]
        day = run_side("day", home, profile_file)
    raw = compare_raw(service)
    figures = {
        "n_forecasts": N_FORECASTS,
        "wall_s": round(day["wall_s"], 2),
        "peak_memory_mb": round(day["peak_memory_mb"]),
        "cpu_vs_evidently": round(raw["evidently_cpu_s"] / raw["our_cpu_s"]),
        "ks_error": round(raw["ks_error"], 5),
        "wasserstein_error_ratio": round(raw["wasserstein_error_ratio"], 5),
        "roll_up_day_s": round(float(np.median(rolled_s[1:-1])), 2),
        "roll_up_month_s": round(sum(rolled_s[:-1]) + day["roll_up_s"], 1),
        **{name: round(value, 3) for name, value in day.items() if name.endswith("_s") and name != "wall_s"},
        **{f"raw_{name}": round(raw[name], 4) for name in ("evidently_cpu_s", "our_cpu_s", "our_cpu_binned_s")},
        "n_raw": N_RAW,
    }
    print(f"A day's monitoring of {N_FORECASTS:,} forecasts, {day['n_in_window']:,.0f} steps in the fullest column:\n")
    names = {
        "roll_up_s": f"roll-up of the day, {day['n_rolled_up']:,.0f} forecasts read",
        "read_window_s": "month's roll-ups",
        "read_rest_s": "sums, tracks and actuals",
        "judge_s": "quality, drift, performance",
        "report_s": "page",
        "evidently_run_s": "Evidently's run",
        "cpu_s": "CPU of it all",
        "imports_s": "imports, before",
    }
    print(format_table([["", "s"], *([label, f"{day[name]:.2f}"] for name, label in names.items())]))
    month_s, day_s = figures["roll_up_month_s"], figures["roll_up_day_s"]
    print(f"\nRoll-ups of the month were made in {month_s:.0f} s, {day_s:.1f} s a day.")
    print(
        f"{N_RAW:,} rows x {len(RAW_COLUMNS)} columns: DataDriftPreset {raw['evidently_cpu_s']:.2f} s of CPU; ours "
        f"{raw['our_cpu_s']:.3f} s with binning, {raw['our_cpu_binned_s']:.4f} s from roll-ups.\n"
    )
    print(format_targets(figures, TARGETS))
    write_results("monitoring", figures)


def write_day(
    database: Database, service: Service, day: int, store: RollUpStore | None, bins: Mapping[Column, Bins]
) -> float:
    """Seconds that the roll-up took of a day whose forecasts and actuals are written first; 0 without a store."""
    for part in service.forecast(day):
        if day == 0:
            ForecastStore(database).write(part)  # makes the partition
            continue
        with database.connect() as connection:
            connection.execute("SET LOCAL search_path = loopcast")
            copy_rows(connection, "forecasts", COLUMNS, [encode_forecasts(part)])
    ActualStore(database).record(PROBLEM.name, service.observed(day))
    begin = time.perf_counter()
    if store is not None:
        store.roll_up_new(PROBLEM, lambda _: bins)
    return time.perf_counter() - begin if store is not None else 0.0


def compare_raw(service: Service) -> dict[str, float]:
    """CPU seconds of both, and how far our distances are from the exact ones, on the same values."""
    half = N_DAYS // 2
    trained, live = (draw_values(service, days) for days in (range(half), range(half, N_DAYS)))
    references = {name: count_values(each, choose_bins(each)) for name, each in trained.items()}
    values = {name: np.ascontiguousarray(live[name]) for name in live}
    seconds, binned = [], []
    for _ in range(ROUNDS):
        begin = time.process_time()
        counted = {name: count_values(each, references[name].bins) for name, each in values.items()}
        middle = time.process_time()
        ks = {name: measure_ks(counted[name], references[name]) for name in live}
        wasserstein = {name: measure_wasserstein(counted[name], references[name]) for name in live}
        end = time.process_time()
        seconds.append(end - begin)
        binned.append(end - middle)
    with tempfile.TemporaryDirectory() as folder:
        for name, frame in (("live", live), ("trained", trained)):
            frame.to_parquet(Path(folder) / f"{name}.parquet")
        theirs = run_side("evidently", Path(folder))
    exact = {name: float(ks_2samp(live[name], trained[name], method="asymp").statistic) for name in live}
    moved = {name: wasserstein_distance(live[name], trained[name]) for name in live}
    return {
        "evidently_cpu_s": theirs["cpu_s"],
        "our_cpu_s": float(np.median(seconds)),
        "our_cpu_binned_s": float(np.median(binned)),
        "ks_error": max(abs(ks[name] - exact[name]) for name in live),
        "wasserstein_error_ratio": max(abs(wasserstein[name] / moved[name] - 1) for name in live),
    }


def draw_values(service: Service, days: range) -> pd.DataFrame:
    """Values of the columns of some next steps of each day, in order of time."""
    n = N_RAW // len(days)
    fewer, lookup = replace(service, n_forecasts=n * N_DAYS), service.panel.set_index(["series_id", "timestamp_utc"])
    frames = []
    for day in days:
        part = next(fewer.forecast(day, at_once=n))
        keys = pd.MultiIndex.from_arrays([part.series_ids, pd.DatetimeIndex(part.target_utc[:, 0], tz="UTC")])
        actual = np.full(part.target_utc.shape, np.nan)
        actual[:, 0] = lookup["target"].reindex(keys).to_numpy()
        steps = pair_steps(part, actual)
        values = measure_columns(steps, PROBLEM)
        frames.append(pd.DataFrame({column.value: values[column][steps.horizon == 1] for column in RAW_COLUMNS}))
    return pd.concat(frames, ignore_index=True)


def run_side(kind: str, *paths: Path) -> dict[str, float]:
    """What a measured process says."""
    command = [sys.executable, "-m", "benchmarks.monitoring_side", kind, *map(str, paths)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **threads})
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
