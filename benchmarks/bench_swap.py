"""Swaps champions back and forth under load, and counts the requests that failed or were answered by another version.

The registry's alias is moved as a promotion moves it; the service finds out by itself. Each answer must hold, to the
last bit, the quantiles that the version which it names gives without a service.
"""

import asyncio
import json
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.bench_serving import CONCURRENCY, ask_by_name, make_champions, serve_loopcast
from benchmarks.champion import CONFIG, put_into_service
from benchmarks.load import Measured, drive, write_request
from benchmarks.results import Target, format_targets, write_results
from loopcast.config import load_problem
from loopcast.features import build_design
from loopcast.forecasts import ForecastSource
from loopcast.model.served import latest_origins, make_forecasts, open_served_model
from loopcast.settings import Settings
from loopcast.stores.artifacts import newest_snapshots
from loopcast.stores.opened import Stores

SWAPS: Final = 20
SWAP_TIMEOUT_S: Final = 60.0
POLL_S: Final = "0.5"
"""Ten times as often as a service looks of itself, so that twenty swaps do not take minutes."""
SETTLED_S: Final = 0.5
"""How long a version is asked before the next one takes its place."""
TARGETS: Final = (
    Target("n_swaps", "swaps", 0, low=SWAPS),
    Target("n_requests", "requests", 0, low=1000),
    Target("n_failed", "failed requests", 0, high=0),
)


class Judge:
    """Knows what each version answers, and which one answered last."""

    def __init__(self, expected: dict[int, list[list[float]]]) -> None:
        self.expected = expected
        self.version = 0
        self.n_swaps = 0

    def __call__(self, status: int, body: bytes) -> bool:
        """Whether an answer is right."""
        if status != 200:
            return False
        answer: dict[str, Any] = json.loads(body)
        version = answer["model_version"]
        self.n_swaps += version != self.version and self.version != 0
        self.version = version
        return list(answer["forecasts"][0]["quantiles"].values()) == self.expected[version]


class Load(threading.Thread):
    """Asks the service until it is over."""

    def __init__(self, port: int, judge: Judge) -> None:
        super().__init__(daemon=True)
        self.port, self.judge = port, judge
        self.is_over = threading.Event()
        self.measured: Measured | None = None

    def run(self) -> None:
        """As `threading` says."""
        question = ask_by_name()
        asked = drive(
            self.port,
            write_request(question.path, question.body),
            concurrency=CONCURRENCY, is_over=self.is_over.is_set, judge=self.judge,
        )  # fmt: skip
        self.measured = asyncio.run(asked)


def main() -> None:
    """Swap, print what was answered, and write the counts."""
    with tempfile.TemporaryDirectory(prefix="lc-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        make_champions(folder / "work", n_versions=2)
        stores = Stores(Settings(home=folder / "work"))
        judge = Judge({number: forecast_directly(stores, number, folder) for number in (1, 2)})
        with serve_loopcast(folder, LOOPCAST_CHAMPION_POLL_S=POLL_S) as side:
            load = Load(side.running.port, judge)
            load.start()
            took_s = [swap(stores, judge, number=1 + k % 2) for k in range(SWAPS)]
            load.is_over.set()
            load.join()
    assert load.measured is not None
    found = load.measured
    figures: dict[str, float] = {"n_swaps": judge.n_swaps, "n_requests": found.n_requests, "n_failed": found.n_failed}
    print(f"{CONCURRENCY} connections, {found.per_s:,.0f} answers/s, p99 {found.p99_ms:.0f} ms while champions swapped")
    print(f"from the promotion to the first answer of the new champion: at most {max(took_s):.1f} s\n")
    print(format_targets(figures, TARGETS))
    write_results("swap", figures)


def swap(stores: Stores, judge: Judge, number: int) -> float:
    """Seconds from the promotion of a version to its first answer."""
    put_into_service(stores, "google", number)
    started_s = time.monotonic()
    while judge.version != number:
        if time.monotonic() - started_s > SWAP_TIMEOUT_S:
            sys.exit(f"version {number} was promoted and does not answer after {SWAP_TIMEOUT_S:.0f} s")
        time.sleep(0.01)
    took_s = time.monotonic() - started_s
    time.sleep(SETTLED_S)
    return took_s


def forecast_directly(stores: Stores, number: int, folder: Path) -> list[list[float]]:
    """What a version says of the series and history that the service forecasts by name: quantiles by level."""
    problem = load_problem(CONFIG)
    model = open_served_model(
        stores.registry.fetch(stores.registry.version(problem.name, number), folder / str(number))
    )
    design = build_design(stores.artifacts.get_snapshot(newest_snapshots(stores.database)[problem.name]), problem)
    rows = np.array([latest_origins(design, problem)[problem.forecast_series[0]]])
    made = make_forecasts(
        model, design, rows,
        version=number, source=ForecastSource.ONLINE, request_id="", issued_at_utc=datetime.now(UTC),
    )  # fmt: skip
    quantiles: list[list[float]] = made.quantiles[0].T.tolist()
    return quantiles


if __name__ == "__main__":
    main()
