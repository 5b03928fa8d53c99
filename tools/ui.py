"""Shows what is stored: starts the Evidently UI and the MLflow UI on this machine, until Ctrl-C.

Both read the stores that the settings name. They listen on loopback alone, because neither asks who is there.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from loopcast.errors import LoopcastError
from loopcast.settings import read_settings
from loopcast.stores.database import Database, open_database
from loopcast.stores.evidently_project import NO_TELEMETRY, EvidentlyStore
from loopcast.stores.tracking import DEFAULTS, artifact_root, open_client
from tools.children import end_like_ctrl_c, start

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 120.0
"""Both import for ten seconds and more on a busy machine."""
POLL_S: Final = 0.3
EVIDENTLY_CONFIG: Final = "storage:\n  type: sql\ndatabase:\n  url: postgresql+psycopg://\n"
"""Where the database is stands in the environment, so that no password is on disk or in the list of processes."""
PG_VARIABLES: Final = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
                       "dbname": "PGDATABASE", "sslmode": "PGSSLMODE"}  # fmt: skip
MLFLOW_ENVIRONMENT: Final = {**DEFAULTS, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Without jobs it runs two processes in half a gigabyte, instead of ten in two."""


@dataclass
class Server:
    """A user interface that runs.

    Attributes:
        probe: Path that answers when it can be used.
        log: What it says.
    """

    name: str
    url: str
    probe: str
    log: Path
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Come back when it answers.

        Raises:
            LoopcastError: It ended, or was not there in time.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(self.url + self.probe, timeout=5).close()  # noqa: S310  our own http address
            except (urllib.error.URLError, OSError):
                time.sleep(POLL_S)
            else:
                return
        found = "does not answer" if self.process.poll() is None else f"ended with {self.process.returncode}"
        raise LoopcastError(f"{self.name} {found} at {self.url}; see {self.log}, or choose another port")

    def stop(self) -> None:
        """End it and its workers."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def main(arguments: list[str] | None = None) -> int:
    """Start both, say where they are, wait, end both."""
    end_like_ctrl_c()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evidently-port", type=int, default=8001)
    parser.add_argument("--mlflow-port", type=int, default=5001)
    chosen = parser.parse_args(arguments)
    servers: list[Server] = []
    try:
        settings = read_settings()
        database, folder = open_database(settings), settings.home_path / "ui"
        folder.mkdir(parents=True, exist_ok=True)
        EvidentlyStore(database).prepare()
        servers.append(start_evidently(database, folder, chosen.evidently_port))
        if settings.tracking_uri is None:
            open_client(settings, database)  # makes the tables
            servers.append(start_mlflow(database, artifact_root(settings), folder, chosen.mlflow_port))
        for server in servers:
            server.wait()
            print(f"{server.name}: {server.url}", flush=True)
        if settings.tracking_uri is not None:
            print(f"MLflow: {settings.tracking_uri}", flush=True)
        print("Ctrl-C ends both.", flush=True)
        while all(server.process.poll() is None for server in servers):
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        return 0
    except LoopcastError as exc:
        print(exc, file=sys.stderr)
        return 1
    finally:
        for server in servers:
            server.stop()
    print(f"A server has ended by itself; see {folder}", file=sys.stderr)
    return 1


def start_evidently(database: Database, folder: Path, port: int) -> Server:
    """The Evidently UI on the schema `evidently`."""
    config = folder / "evidently.yaml"
    config.write_text(EVIDENTLY_CONFIG, encoding="utf-8")
    parts = conninfo_to_dict(database.url)
    environment = {PG_VARIABLES[name]: str(value) for name, value in parts.items() if name in PG_VARIABLES}
    options = f"{parts.get('options', '')} -csearch_path=evidently".strip()
    command = ["evidently.cli", "ui", "--host", HOST, "--port", str(port), "--conf-path", str(config)]
    environment |= {"PGOPTIONS": options, NO_TELEMETRY: "1"}
    return _start("Evidently", command, environment, folder / "evidently.log", port, "/api/projects")


def start_mlflow(database: Database, root: str | None, folder: Path, port: int) -> Server:
    """The MLflow UI on the schema `mlflow`."""
    command = ["mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += [] if root is None else ["--default-artifact-root", root]
    environment = {**MLFLOW_ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": database.sqlalchemy_url_for("mlflow")}
    probe = "/api/2.0/mlflow/experiments/search?max_results=1"
    return _start("MLflow", command, environment, folder / "mlflow.log", port, probe)


def _start(name: str, command: list[str], environment: Mapping[str, str], log: Path, port: int, probe: str) -> Server:
    with log.open("wb") as output:
        process = start(
            [sys.executable, "-m", *command], env={**os.environ, **environment}, cwd=log.parent,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    return Server(name, f"http://{HOST}:{port}", probe, log, process)


if __name__ == "__main__":
    sys.exit(main())
