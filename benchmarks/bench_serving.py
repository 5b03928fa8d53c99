"""Measures the service against MLflow's, BentoML's defaults and the limit: rates, tails, memory and the first answer.

All answer from one registered version, with one worker and one thread, in turn in one run. A question is the last 150
days of GOOG with their prices and volumes; a load generator in a process of its own asks it on 16 connections.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from benchmarks.champion import CONFIG
from benchmarks.load import Measured, write_request
from benchmarks.results import Target, format_table, format_targets, write_results
from benchmarks.servers import BIN, Endpoint, Running, find_port, serve
from benchmarks.serving_peers.core import FOLDER_VARIABLE
from loopcast.config import Problem, load_problem
from loopcast.panel import build_panel
from loopcast.settings import Settings
from loopcast.stores.opened import Stores
from loopcast.stores.sources import read_source

ROUNDS: Final = 3
ROUND_S: Final = 5.0
WARM_UP_S: Final = 2.0
CONCURRENCY: Final = 16
HISTORY_ROWS: Final = 150
"""Rows of a question: the features' longest window and the network's context."""
HOUR_REQUESTS: Final = 36_000
"""Requests before the memory is read: ten a second for an hour."""
SERVICE, BY_NAME, MLFLOW, DEFAULTS, LIMIT = (
    "Loopcast", "Loopcast, by name", "mlflow models serve", "BentoML, defaults", "limit: bare FastAPI",
)  # fmt: skip
TARGETS: Final = (
    Target("throughput_vs_mlflow", "answers/s, times those of MLflow", 1, low=2),
    Target("throughput_vs_limit", "answers/s, share of the limit", 2, low=0.5),
    Target("p99_vs_mlflow", "p99, share of MLflow's", 3, high=0.2),
    Target("worker_memory_mb", "memory of the worker, MB", 0, high=350),
    Target("first_answer_s", "first answer, s", 1, high=5),
)


@dataclass(frozen=True)
class Side:
    """One server of the comparison, running."""

    endpoint: Endpoint
    running: Running

    def measure(self, duration_s: float) -> Measured:
        """What a load of some seconds finds."""
        return ask(self.running.port, self.endpoint, duration_s)


def main() -> None:
    """Run the rounds, print rates, tails and start-up times, and write the five figures."""
    with tempfile.TemporaryDirectory(prefix="lc-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        make_champions(folder / "work", n_versions=1)
        with serve_loopcast(folder) as first:
            cold_s = first.running.first_answer_s
        with ExitStack() as stack:
            sides = [stack.enter_context(side) for side in open_sides(folder)]
            named = Side(ask_by_name(), sides[0].running)
            for side in sides:
                side.measure(WARM_UP_S)
            rounds = [{side.endpoint.name: side.measure(ROUND_S) for side in (*sides, named)} for _ in range(ROUNDS)]
            n_left = HOUR_REQUESTS - sum(each[SERVICE].n_requests + each[BY_NAME].n_requests for each in rounds)
            sides[0].measure(max(0, n_left) / rounds[-1][SERVICE].per_s)
            memory_mb = {side.endpoint.name: side.running.measure_memory_mb() for side in sides}
    rates = {name: statistics.median(each[name].per_s for each in rounds) for name in rounds[0]}
    p99_ms = {name: statistics.median(each[name].p99_ms for each in rounds) for name in rounds[0]}
    figures = {
        "throughput_vs_mlflow": round(rates[SERVICE] / rates[MLFLOW], 2),
        "throughput_vs_limit": round(rates[SERVICE] / rates[LIMIT], 3),
        "p99_vs_mlflow": round(p99_ms[SERVICE] / p99_ms[MLFLOW], 3),
        "worker_memory_mb": round(memory_mb[SERVICE], 1),
        "first_answer_s": round(sides[0].running.first_answer_s, 2),
    }

    rows = [["", "answers/s", "p50, ms", "p99, ms", "failed", "memory, MB", "first answer, s"]]
    starts_s = {side.endpoint.name: f"{side.running.first_answer_s:.1f}" for side in sides}
    for name in rates:
        p50_ms = statistics.median(each[name].p50_ms for each in rounds)
        n_failed = sum(each[name].n_failed for each in rounds)
        memory = f"{memory_mb[name]:.0f}" if name in memory_mb else ""
        rows.append([name, f"{rates[name]:,.0f}", f"{p50_ms:.1f}", f"{p99_ms[name]:.1f}", str(n_failed), memory,
                     starts_s.get(name, "")])  # fmt: skip
    print(f"{CONCURRENCY} connections, {HISTORY_ROWS} rows a question, median of {ROUNDS} rounds of {ROUND_S:.0f} s:\n")
    print(f"{format_table(rows)}\n\nLoopcast's first answer on a machine that remembers no champion: {cold_s:.1f} s\n")
    print(format_targets(figures, TARGETS))
    write_results("serving", figures)


def make_champions(home: Path, n_versions: int) -> None:
    """Register versions in a work folder, in a process of its own, so that this one stays small."""
    command = [sys.executable, "-m", "benchmarks.champion", home, str(n_versions)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})


def ask(port: int, endpoint: Endpoint, duration_s: float) -> Measured:
    """What a load generator in a process of its own finds."""
    command = [sys.executable, "-m", "benchmarks.load", str(port)]
    options = [f"--concurrency={CONCURRENCY}", f"--duration-s={duration_s}"]
    request = write_request(endpoint.path, endpoint.body)
    done = subprocess.run([*command, *options], input=request, stdout=subprocess.PIPE, check=True)
    return Measured(**json.loads(done.stdout))


def open_sides(folder: Path) -> Iterator[AbstractContextManager[Side]]:
    """Every server, to be started in turn; the service first."""
    yield serve_loopcast(folder)
    stores, problem = Stores(Settings(home=folder / "work")), load_problem(CONFIG)
    version = stores.registry.version(problem.name, 1)
    files = stores.registry.fetch(version, folder / "fetched")
    uri = stores.database.sqlalchemy_url_for("mlflow")
    body = json.dumps(ask_by_history(problem)).encode()
    model = f"models:/{problem.name}/{version.version}"
    yield open_side(
        Endpoint(MLFLOW, "/invocations", json.dumps(ask_mlflow(problem)).encode()),
        lambda port: [BIN / "mlflow", "models", "serve", "-m", model, "--env-manager", "local", "-p", str(port)],
        folder,
        {"MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    yield open_side(
        Endpoint(DEFAULTS, "/forecasts", body),
        lambda port: [BIN / "bentoml", "serve", "benchmarks.serving_peers.bento_defaults:Defaults", "-p", str(port)],
        folder,
        {FOLDER_VARIABLE: str(files), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOST": "127.0.0.1"},
    )
    yield open_side(
        Endpoint(LIMIT, "/forecasts", body),
        lambda port: [sys.executable, "-m", "benchmarks.serving_peers.bare", str(port)],
        folder,
        {FOLDER_VARIABLE: str(files)},
    )


def serve_loopcast(folder: Path, **environment: str) -> AbstractContextManager[Side]:
    """The service of this project on the work folder `work`, with settings of its own."""
    problem = load_problem(CONFIG)
    body = json.dumps(ask_by_history(problem)).encode()
    return open_side(
        Endpoint(SERVICE, f"/api/v1/problems/{problem.name}/forecasts", body),
        lambda port: [BIN / "bentoml", "serve", "bento.service:Loopcast", "-p", str(port)],
        folder,
        {"LOOPCAST_HOME": str(folder / "work"), "BENTOML_DO_NOT_TRACK": "True", **environment},
    )


@contextmanager
def open_side(
    endpoint: Endpoint, command: Callable[[int], Sequence[str | Path]], folder: Path, environment: Mapping[str, str]
) -> Iterator[Side]:
    """One server while the block runs.

    Args:
        command: That starts it on a port.
    """
    port = find_port()
    log = folder / f"{endpoint.name.partition(':')[0]}.log"
    with serve(command(port), endpoint, port, log, environment | {"PYTHONWARNINGS": "ignore"}) as running:
        yield Side(endpoint, running)


def ask_by_name() -> Endpoint:
    """The question that Loopcast alone can answer: forecast GOOG from what you know."""
    problem = load_problem(CONFIG)
    body = json.dumps({"series": [{"series_id": problem.forecast_series[0]}]}).encode()
    return Endpoint(BY_NAME, f"/api/v1/problems/{problem.name}/forecasts", body)


def ask_by_history(problem: Problem) -> dict[str, object]:
    """The last rows of the source, as the service takes them."""
    rows, columns = _last_rows(problem), problem.columns
    assert columns.ohlc is not None
    history = {
        "timestamp": [str(moment)[:10] for moment in rows[columns.timestamp]],
        "target": rows[columns.target].tolist(),
        **{role: rows[column].tolist() for role, column in columns.ohlc.model_dump().items()},
        "covariates": {each.column: rows[each.column].astype(float).tolist() for each in columns.covariates},
    }
    return {"series": [{"series_id": problem.forecast_series[0], "history": history}]}


def ask_mlflow(problem: Problem) -> dict[str, object]:
    """The same rows as the panel that the registered model takes."""
    quality = problem.quality.model_copy(update={"min_rows": 1})
    panel = build_panel(_last_rows(problem), problem.model_copy(update={"quality": quality})).panel
    return {"dataframe_split": json.loads(panel.to_json(orient="split", index=False, date_format="iso"))}


def _last_rows(problem: Problem) -> pd.DataFrame:
    rows = read_source(problem)
    return rows[rows[problem.columns.series_id] == problem.forecast_series[0]].tail(HISTORY_ROWS)


if __name__ == "__main__":
    main()
