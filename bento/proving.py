"""Proof that an archive is all that is needed: it is installed, imported and served where nothing else is.

What the service answers from there, with packages of its own, must be what the model says here, to the last bit.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from app.answers.forecasts import name_level
from app.histories import design_sent
from app.requests import PRICES, ForecastBody
from bento.binding import DEFAULT_HOST
from loopcast.config import Problem
from loopcast.errors import PackagingError
from loopcast.features import Design
from loopcast.forecasts import ForecastSource
from loopcast.model.served import latest_origins, make_forecasts
from loopcast.stores import keeper
from loopcast.stores.champions import ServedProblem
from loopcast.typing import Ints

REQUIREMENTS: Final = "env/python/requirements.txt"
"""In a Bento: what it needs to be installed."""
OF_THIS_MACHINE: Final = ("LOOPCAST_", "MLFLOW_", "BENTOML_", "PG", "PYTHON", "VIRTUAL_ENV")
"""Variables that must not help, or touch what is in service here."""
COMMAND_TIMEOUT_S: Final = 1200.0
"""For pip, where it downloads 300 MB over a slow line."""
START_TIMEOUT_S: Final = 120.0
"""For a first start, with a database to be made and no compiled modules, on a busy machine."""
STOP_TIMEOUT_S: Final = 60.0
ASK_EVERY_S: Final = 0.2
SHOWN_LINES: Final = 5
"""Of the end of a failed command's output."""


def prove_archive(archive: Path, tag: str, served: ServedProblem, panel: pd.DataFrame, work: Path) -> tuple[str, ...]:
    """Which forecasts were asked for and found equal: one by the series' name, one from a history that is sent.

    Args:
        archive: As `bentoml export` wrote it.
        tag: Of the Bento in it.
        served: What is in it, opened here.
        panel: The history of `served`.
        work: Folder that may be filled, on a disk with a gigabyte to spare.

    Raises:
        PackagingError: It cannot be installed or served, or a forecast differs.
    """
    environment = _clean_environment(work)
    commands = _install(archive, work / "venv", environment)
    _run([commands / "bentoml", "import", archive], environment, work)
    series_id = next(iter(served.latest))
    by_name = {"series": [{"series_id": series_id}]}
    by_history = {"series": [{"series_id": series_id, "history": make_history(panel, series_id, served.model.problem)}]}
    design = design_sent(ForecastBody.model_validate(by_history).series, served.model.problem)
    asked: dict[str, tuple[dict[str, Any], Design, Ints]] = {
        f"{series_id} by name": (by_name, served.design, np.array([served.latest[series_id]])),
        f"{series_id} from a sent history": (
            by_history, design, np.array([latest_origins(design, served.model.problem)[series_id]])
        ),
    }  # fmt: skip
    with _serve([commands / "bentoml", "serve", tag], environment, work) as port:
        for what, (body, of_design, rows) in asked.items():
            answer = _ask(port, served.record.problem, body)
            compare_answers(answer["forecasts"][0]["quantiles"], answer_here(served, of_design, rows), f"{tag}: {what}")
    return tuple(asked)


def make_history(panel: pd.DataFrame, series_id: str, problem: Problem) -> dict[str, Any]:
    """The last steps of a series as a request sends them, as many as the features read.

    Prices are made up around the target, since a snapshot keeps only what followed from them.
    """
    n_rows = problem.features.scales[-1] + problem.network.context_length
    rows = panel[(panel["series_id"] == series_id) & ~panel["is_filled"]].tail(n_rows)
    target = rows["target"].to_numpy()
    history: dict[str, Any] = {
        "timestamp": [moment.isoformat() for moment in rows["timestamp_utc"]],
        "target": target.tolist(),
    }
    if problem.columns.ohlc:
        history |= {name: (target * ratio).tolist() for name, ratio in zip(PRICES, (1, 1.01, 0.99, 1), strict=True)}
    columns = {each.column: rows[f"covariate_{each.column}"] for each in problem.columns.covariates}
    history["covariates"] = {
        name: [None if np.isnan(value) else value for value in column] for name, column in columns.items()
    }
    return history


def answer_here(served: ServedProblem, design: Design, rows: Ints) -> dict[str, list[float]]:
    """Quantiles of the first row as an answer has them, by level."""
    made = make_forecasts(
        served.model, design, rows,
        version=served.version, source=ForecastSource.ONLINE, request_id="", issued_at_utc=datetime.now(UTC),
    )  # fmt: skip
    levels = map(name_level, served.model.problem.quantiles)
    return dict(zip(levels, made.quantiles[0].T.tolist(), strict=True))


def compare_answers(found: Mapping[str, list[float]], expected: Mapping[str, list[float]], place: str) -> None:
    """Return where all quantiles are equal to the last bit.

    Raises:
        PackagingError: Some are not.
    """
    levels = [level for level in expected if found.get(level) != expected[level]]
    if levels or len(found) != len(expected):
        first = levels[0] if levels else min(found.keys() - expected.keys())
        raise PackagingError(
            f"{place}: found other quantiles than the model gives here, {len(levels)} of {len(expected)} levels: at "
            f"{first} {found.get(first)} instead of {expected.get(first)}; run `make setup`, so that this environment "
            "has the versions of the lock"
        )


def _clean_environment(work: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_THIS_MACHINE)}
    stores = {"LOOPCAST_HOME": str(work / "home"), "BENTOML_HOME": str(work / "store")}
    return {**kept, **stores, "BENTOML_DO_NOT_TRACK": "True"}


def _install(archive: Path, folder: Path, environment: Mapping[str, str]) -> Path:
    """Where the commands of a new virtual environment lie, which has what the Bento asks for, and nothing else."""
    requirements = folder.with_name("requirements.txt")
    with tarfile.open(archive) as packed:
        member = next(each for each in packed if each.name.removeprefix("./") == REQUIREMENTS)
        file = packed.extractfile(member)
        assert file is not None, "it is a file, as BentoML writes it"
        requirements.write_bytes(file.read())
    work = folder.parent
    _run([sys.executable, "-m", "venv", folder], environment, work)
    python = folder / "bin" / "python"
    _run([python, "-m", "pip", "install", "--quiet", "--no-compile", "--requirement", requirements], environment, work)
    return folder / "bin"


@contextmanager
def _serve(command: Sequence[str | Path], environment: Mapping[str, str], work: Path) -> Iterator[int]:
    """Port of a service that answers forecasts while the block runs."""
    with socket.socket() as found:
        found.bind((DEFAULT_HOST, 0))
        port = int(found.getsockname()[1])
    log = work / "service.log"
    with log.open("wb") as sink:
        service = subprocess.Popen(  # noqa: S603  the command that the caller made
            [*command, "--port", str(port)], env=environment, cwd=work, stdout=sink, stderr=sink
        )
    try:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not _is_ready(port):
            if service.poll() is not None or time.monotonic() > deadline_s:
                raise PackagingError(f"the Bento does not start in a clean environment:\n{read_end(log.read_bytes())}")
            time.sleep(ASK_EVERY_S)
        yield port
    finally:
        service.terminate()
        try:
            service.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            service.kill()
            service.wait()
        keeper.stop_server(work / "home" / "postgres" / "data")


def _is_ready(port: int) -> bool:
    try:
        return _request(port, "GET", "/readyz")[0] == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _ask(port: int, problem: str, body: Mapping[str, Any]) -> Any:
    status, answer = _request(port, "POST", f"/api/v1/problems/{problem}/forecasts", body)
    if status != http.HTTPStatus.OK:
        raise PackagingError(f"the Bento refuses a forecast that the model here makes: {answer.decode()}")
    return json.loads(answer)


def _request(port: int, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(DEFAULT_HOST, port, timeout=START_TIMEOUT_S)
    try:
        connection.request(
            method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _run(command: Sequence[str | Path], environment: Mapping[str, str], work: Path) -> None:
    log = work / "command.log"
    with log.open("wb") as sink:
        done = subprocess.run(  # noqa: S603  the command that the caller made
            command, env=environment, cwd=work, stdout=sink, stderr=sink, check=False, timeout=COMMAND_TIMEOUT_S
        )
    if done.returncode:
        raise PackagingError(
            f"`{' '.join(map(str, command[:4]))} …` ended with {done.returncode}:\n{read_end(log.read_bytes())}"
        )


def read_end(output: bytes) -> str:
    """The last lines that a command wrote, which say why it failed."""
    return "\n".join(output.decode(errors="replace").strip().splitlines()[-SHOWN_LINES:])
