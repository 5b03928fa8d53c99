"""The demo: a champion is trained while its service already runs, forecasts over HTTP, and the loop meets a crisis.

The service is started first, because its imports then run beside those of the training; it answers as soon as the
champion is promoted, which it finds by itself. The commands run in this process, one after another, so that all of them
import once.
"""

import json
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError

from loopcast.cli import app as loopcast
from loopcast.config import Problem, load_problem
from loopcast.evidence.formats import format_time, format_value
from loopcast.settings import read_settings
from tools.children import describe_service, end, end_like_ctrl_c, start

ROOT: Final = Path(__file__).parents[1]
BIN: Final = Path(sys.executable).parent
POLL_S: Final = 1
"""Seconds between the service's looks at the registry; the default of five would only make people wait."""
PATIENCE_S: Final = 60
"""Seconds in which a promoted champion is in service, and a forecast in the table."""
INTERVAL: Final = ("0.1", "0.5", "0.9")
CRISIS: Final = ("--start", "2008-08-01", "--end", "2008-12-31", "--faults", "configs/replays/crisis.yaml")
"""Five months of the problem `google`."""


def main() -> None:
    """Train, serve, forecast, show what the stored forecast leads back to, and replay a crisis."""
    end_like_ctrl_c()
    from flytekit.clis.sdk_in_container.pyflyte import main as pyflyte  # here, because importing it warns

    config = sys.argv[1]
    _run(loopcast, "loopcast", "check", config)
    problem = load_problem(config)
    with _serve() as url:
        print(f"Training a champion of {config}: about a minute.", flush=True)
        _run(pyflyte, "pyflyte", "run", "workflows/training.py", "training", "--config", config)
        place = f"{url}/api/v1/problems/{problem.name}"
        series_id = _wait_for(f"{place}/series")["series"][0]["series_id"]
        body = {"series": [{"series_id": series_id}], "quantiles": [float(level) for level in INTERVAL]}
        print(f"\nThe champion is in service at {url}. Forecasting {series_id} over HTTP:\n")
        print(f"  curl {place}/forecasts -H 'Content-Type: application/json' \\\n    -d '{json.dumps(body)}'\n")
        answer = _ask(f"{place}/forecasts", body)
        print(*tell_forecast(answer, problem), sep="\n")
        forecast_id = answer["forecasts"][0]["forecast_id"]
        lineage = _wait_for(f"{url}/api/v1/forecasts/{forecast_id}/lineage")
        print(f"\nIt is stored as {forecast_id}, which leads back to:\n")
        for name in ("model_version", "candidate", "run_id", "git_commit", "weights_sha256", "snapshot_sha256"):
            print(f"  {name:<16} {lineage[name]}")
    print("\nThe same again: `make serve`. Every series, into the table:")
    print(f"  pyflyte run workflows/forecasting.py forecasting --config {config}")
    if problem.name == "google":
        print(
            "\nAutumn 2008, lived through by the same loop; in the worst week somebody puts a bad model into service:"
        )
        _run(pyflyte, "pyflyte", "run", "workflows/replay.py", "replay", "--config", config, *CRISIS)
        print("Six years, with five faults: `make replay`.")


def tell_forecast(answer: dict[str, Any], problem: Problem) -> Iterator[str]:
    """The lines of an answered forecast: a step each, by its date where the problem is at home, as everywhere."""
    (forecast,) = answer["forecasts"]
    yield f"  {forecast['series_id']} in {answer['unit']}, by version {answer['model_version']}:"
    for row, target in enumerate(forecast["target_utc"]):
        low, middle, high = (format_value(forecast["quantiles"][level][row]) for level in INTERVAL)
        day = format_time(problem, datetime.fromisoformat(target))
        yield f"  {day}  median {middle}, with 80 % between {low} and {high}"


@contextmanager
def _serve() -> Iterator[str]:
    """Address of a service that runs while the block does."""
    home = read_settings().home_path
    home.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    command = (BIN / "bentoml", "serve", "bento.service:Loopcast", "--host", "127.0.0.1", "--port", str(port))
    environment = describe_service() | {"LOOPCAST_CHAMPION_POLL_S": str(POLL_S)}
    with (home / "service.log").open("ab") as log:
        service = start(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            end(service)


def _run(command: Callable[[], Any], *words: str) -> None:
    """Run a command as its script does, in this process; the demo ends where it fails."""
    sys.argv = list(words)
    try:
        command()
    except SystemExit as exc:
        if exc.code:
            raise


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _ask(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310  our own address
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def _wait_for(url: str) -> Any:
    """What a page answers, as soon as it does."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return _ask(url)
        except (HTTPError, URLError) as exc:
            if time.monotonic() > until:
                sys.exit(f"{url} does not answer: {exc}; look into service.log in the work folder")
        time.sleep(0.1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("The demo was stopped; `make demo` begins it anew.")
