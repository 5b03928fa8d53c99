"""Measures the desk with fifty people in it: how long the service takes for a page, and how soon a browser shows one.

A hundred series with the forecasts of a year are stored; one worker of the service answers. Fifty people walk from page
to page with the think time of TPC-W (see `desk_load`), which is some six requests a second; the same people without
any think time are printed beside it, and say how much one worker can bear. The service's time is that of its own log,
from the first byte of a request's head to the last of the answer. A headless Chromium with an empty cache then opens
the Forecast page some times.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.sync_api import Browser

from benchmarks.chromium import open_browser
from benchmarks.desk_home import NAME
from benchmarks.desk_load import THINK_S
from benchmarks.results import Target, format_table, format_targets, write_results
from benchmarks.servers import BIN, Endpoint, find_port, serve

N_USERS: Final = 50
WARM_UP_S: Final = 30.0
"""In which everybody has loaded scripts and styles."""
WALK_S: Final = 120.0
RUSH_S: Final = 20.0
N_LOADS: Final = 7
PATH: Final = f"/forecast?problem={NAME}&series=S000"
ASSETS: Final = "/static"
PAINT: Final = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
TARGETS: Final = (
    Target("server_p95_ms", "the service's time for a page, p95, ms", 1, high=50),
    Target("n_users", "people at once", 0, low=50),
    Target("first_contentful_paint_s", "first contentful paint, s", 2, high=1),
    Target("transferred_kb", "transferred for the Forecast page, KB", 0, high=300),
)


@dataclass(frozen=True)
class Loaded:
    """A page as a browser with an empty cache loaded it.

    Attributes:
        paint_s: From the navigation to the first content.
        transferred_kb: With heads, as compressed as it came.
    """

    paint_s: float
    transferred_kb: float


def main() -> None:
    """Fill a work folder, let people walk, open the page, and write the four figures."""
    with tempfile.TemporaryDirectory(prefix="lc-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        command = [sys.executable, "-m", "benchmarks.desk_home", str(folder / "work")]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"}, stderr=subprocess.DEVNULL)
        measure(folder)


def measure(folder: Path) -> None:
    """Serve the work folder `work`, and measure."""
    port, log = find_port(), folder / "service.log"
    body = json.dumps({"series": [{"series_id": "S000"}]}).encode()
    endpoint = Endpoint("Loopcast", f"/api/v1/problems/{NAME}/forecasts", body)
    serving = [BIN / "bentoml", "serve", "bento.service:Loopcast", "-p", str(port)]
    settings = {"LOOPCAST_HOME": str(folder / "work"), "BENTOML_DO_NOT_TRACK": "True", "PYTHONWARNINGS": "ignore"}
    with serve(serving, endpoint, port, log, settings):
        walk(port, THINK_S, WARM_UP_S)
        begin = log.stat().st_size
        walked = walk(port, THINK_S, WALK_S)
        calm_ms = read_durations_ms(log, begin)
        begin = log.stat().st_size
        rushed = walk(port, 0, RUSH_S)
        rush_ms = read_durations_ms(log, begin)
        with open_browser() as browser:
            loads = [load(browser, f"http://127.0.0.1:{port}{PATH}") for _ in range(N_LOADS)]

    rows = [["", "requests", "p50, ms", "p95, ms"]]
    for route, durations in sorted(calm_ms.items()):
        rows.append([route, str(len(durations)), *(f"{value:.1f}" for value in np.percentile(durations, [50, 95]))])
    print(f"{N_USERS} people who look at each page for {THINK_S:.0f} s, the service's time:\n\n{format_table(rows)}\n")
    print(tell_walk("As those people see it", walked))
    print(f"{tell_walk('The same without a pause', rushed)}; the service's time p95 {find_p95(rush_ms):.0f} ms\n")
    figures = {
        "server_p95_ms": round(find_p95(calm_ms), 1),
        "n_users": N_USERS,
        "first_contentful_paint_s": round(statistics.median(each.paint_s for each in loads), 3),
        "transferred_kb": round(statistics.median(each.transferred_kb for each in loads), 1),
    }
    print(format_targets(figures, TARGETS))
    assert walked["n_failed"] == rushed["n_failed"] == 0, "a page was not answered"
    write_results("desk", figures)


def walk(port: int, think_s: float, duration_s: float) -> dict[str, Any]:
    """What people in a process of their own see."""
    command = [sys.executable, "-m", "benchmarks.desk_load", str(port), f"--users={N_USERS}"]
    options = [f"--think-s={think_s}", f"--duration-s={duration_s}"]
    done = subprocess.run([*command, *options], stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def read_durations_ms(log: Path, begin: int) -> dict[str, list[float]]:
    """The service's time for each request from a place in its log on, by route; without those for assets."""
    found = defaultdict(list)
    with log.open("rb") as file:
        file.seek(begin)
        for line in file:
            entry = json.loads(line) if line.startswith(b"{") else {}
            if not entry.get("route", ASSETS).startswith(ASSETS):
                found[entry["route"]].append(entry["duration_ms"])
    return found


def find_p95(durations_ms: dict[str, list[float]]) -> float:
    """The 95th percentile over all routes."""
    return float(np.percentile([value for each in durations_ms.values() for value in each], 95))


def load(browser: Browser, url: str) -> Loaded:
    """The page in a browser that has never seen it."""
    context = browser.new_context()
    page, n_bytes = context.new_page(), 0

    def count(event: dict[str, Any]) -> None:
        nonlocal n_bytes
        n_bytes += event["encodedDataLength"]

    session = context.new_cdp_session(page)
    session.on("Network.loadingFinished", count)
    session.send("Network.enable")
    page.goto(url, wait_until="networkidle")
    paint_ms = page.evaluate(PAINT)
    context.close()
    assert paint_ms is not None, "nothing was painted"
    return Loaded(paint_ms / 1000, n_bytes / 1000)


def tell_walk(who: str, walked: dict[str, Any]) -> str:
    """What people saw, in a line."""
    per_s = walked["n"] / walked["took_s"]
    return f"{who}: {per_s:.1f} requests/s, p50 {walked['p50_ms']:.0f} ms, p95 {walked['p95_ms']:.0f} ms"


if __name__ == "__main__":
    main()
