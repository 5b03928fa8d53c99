"""The measured processes of the monitoring benchmark, apart from the one that makes the data.

`day HOME PROFILE` monitors one day, `evidently FOLDER` runs Evidently's preset on raw values; both print JSON.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

MIB = 2**20


def main() -> None:
    """What the first argument says."""
    kind, *paths = sys.argv[1:]
    {"day": monitor_day, "evidently": run_evidently}[kind](*map(Path, paths))


def monitor_day(home: Path, profile_file: Path) -> None:
    """One day's monitoring: what came since the last is rolled up, the window read, judged, shown and kept."""
    started = time.perf_counter()
    from benchmarks.monitored_service import LIMITS, N_DAYS, PROBLEM, START, VERSION
    from loopcast.health.drift import measure_drift
    from loopcast.health.performance import measure_performance
    from loopcast.health.profile import Profile
    from loopcast.health.quality import Intake, assess_quality
    from loopcast.health.report import render_monitoring
    from loopcast.health.report_account import MonitoringAccount, pair_columns
    from loopcast.health.skill_cusum import average_days, start_skill, watch_skill
    from loopcast.health.verdict import reach_verdict
    from loopcast.settings import Settings
    from loopcast.stores.actuals import ActualStore
    from loopcast.stores.database import open_database
    from loopcast.stores.evidently_project import EvidentlyStore, quieted
    from loopcast.stores.rollups import RollUpStore

    database = open_database(Settings(home=home))
    with quieted():
        import evidently.ui.service.managers.projects
        import evidently.ui.service.storage.sql  # noqa: F401  imported before the clock starts

        import loopcast.stores.evidently_panels  # noqa: F401  likewise
    spans: dict[str, float] = {"imports_s": time.perf_counter() - started}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        spans[name] = time.perf_counter() - begin

    begin, cpu = time.perf_counter(), time.process_time()
    store = RollUpStore(database)
    profile = Profile.model_validate_json(profile_file.read_bytes())
    since = datetime.fromisoformat(str(START)).replace(tzinfo=UTC)
    until = since + timedelta(days=N_DAYS)
    with timed("roll_up_s"):
        rolled = store.roll_up_new(PROBLEM, lambda _: profile.bins())
    with timed("read_window_s"):
        window = store.read_window(PROBLEM.name, since, until)
    with timed("read_rest_s"):
        sums = store.read_sums(PROBLEM.name, VERSION, since, until + timedelta(days=1))
        tracks = store.read_tracks(PROBLEM.name, VERSION, since, until)
        panel = ActualStore(database).read(PROBLEM.name, since, until).rename(columns={"actual": "target"})
        panel["is_filled"] = False
    with timed("judge_s"):
        quality = assess_quality(panel, Intake(n_rows=len(panel)), profile, PROBLEM, LIMITS, as_of=until)
        drift = measure_drift(tracks, profile, LIMITS)
        performance = measure_performance(sums, profile.mean_changes(), due_until=until, horizon_days=PROBLEM.horizon)
        skill = watch_skill(start_skill(np.asarray(PROBLEM.quantiles)), average_days(sums), LIMITS)
        verdict = reach_verdict(quality, drift, performance, skill, None, LIMITS)
    trained = {column: stored.restore() for column, stored in profile.columns.items()}
    account = MonitoringAccount(
        PROBLEM, LIMITS, VERSION, until, since, quality, drift, performance, skill, None, verdict,
        pair_columns(window, trained, VERSION),
    )  # fmt: skip
    with timed("report_s"):
        (home / "monitoring.html").write_text(render_monitoring(account), encoding="utf-8")
    with timed("evidently_run_s"):
        EvidentlyStore(database).keep_run(account)
    figures = {
        "wall_s": time.perf_counter() - begin,
        "cpu_s": time.process_time() - cpu,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB,
        "n_rolled_up": rolled.n_forecasts,
        "n_in_window": max(histogram.n for histogram in window.values()),
        "n_judged": performance.overall.n_judged,
        **spans,
    }
    print(json.dumps(figures))


def run_evidently(folder: Path) -> None:
    """CPU seconds of `DataDriftPreset` on the raw values."""
    from loopcast.stores.evidently_project import quieted

    with quieted():
        from evidently import Report
        from evidently.presets import DataDriftPreset
    live, trained = (pd.read_parquet(folder / f"{name}.parquet") for name in ("live", "trained"))
    begin, wall = time.process_time(), time.perf_counter()
    Report([DataDriftPreset()]).run(live, trained)
    print(json.dumps({"cpu_s": time.process_time() - begin, "wall_s": time.perf_counter() - wall}))


if __name__ == "__main__":
    main()
