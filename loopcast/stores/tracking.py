"""How MLflow is reached: a client without a server on Loopcast's own PostgreSQL, or a client of a server.

What is logged stands in `runs`, what is registered in `registry`. MLflow is imported here and there inside functions:
its telemetry must be off before, and it takes two seconds.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loopcast.errors import StoreError
from loopcast.settings import Settings
from loopcast.stores.database import Database

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULTS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",  # half a minute of trying; MLflow's 7 take over four minutes
}
"""What MLflow reads from the environment at every call; what is set there already is left alone."""
MAX_URI_CHARACTERS: Final = 200
"""Of the URI of a run's artifacts, in MLflow's tables."""
RUN_CHARACTERS: Final = len("/0123456789abcdef0123456789abcdef/artifacts")
"""Of what MLflow adds for a run to the address of its experiment."""


def open_client(settings: Settings, database: Database) -> "MlflowClient":
    """A client of the server that the settings name, else of MLflow's tables in this database, made where missing.

    Raises:
        StoreError: The server does not answer, or the tables are of another version of MLflow.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*type hint", UserWarning)  # of MLflow's own code, which is not ours to mend
        import mlflow.pyfunc  # noqa: F401
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())  # it may have been imported before
    if settings.tracking_uri is None:
        return _open_tables(database, artifact_root(settings))
    client = MlflowClient(settings.tracking_uri, settings.tracking_uri)
    try:
        client.search_experiments(max_results=1)
    except MlflowException as exc:
        raise StoreError(
            f"MLflow at {settings.tracking_uri} does not answer: {exc.message}; "
            "start it, or correct MLFLOW_TRACKING_URI"
        ) from exc
    return client


def artifact_root(settings: Settings) -> str | None:
    """URL of the folder under which the artifacts of runs lie; None where a server decides.

    >>> artifact_root(Settings(artifacts_url="s3://bucket/loopcast"))
    's3://bucket/loopcast/mlflow'
    >>> artifact_root(Settings(artifacts_url="/data/50% full"))
    'file:///data/50%25%20full/mlflow'
    >>> artifact_root(Settings(tracking_uri="https://mlflow.example.org"))
    """
    if settings.tracking_uri is not None and not settings.tracking_uri.startswith(("sqlite", "postgresql", "file")):
        return None
    root = settings.artifacts
    return f"{root if '://' in root else Path(root).absolute().as_uri()}".rstrip("/") + "/mlflow"


def open_experiment(client: "MlflowClient", settings: Settings, database: Database, name: str) -> str:
    """Id of an experiment, made where it is missing.

    Raises:
        StoreError: Somebody deleted it in MLflow, or its artifacts lie too deep for MLflow's tables.
    """
    root = artifact_root(settings)
    location = None if root is None else f"{root}/{name}"
    with database.locked(f"experiment/{name}"):
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            _check_length(location or "")
            return client.create_experiment(name, location)
    if experiment.lifecycle_stage != "active":
        raise StoreError(
            f"the experiment {name} was deleted in MLflow; bring it back by "
            f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`"
        )
    return str(experiment.experiment_id)


@contextmanager
def global_client(client: "MlflowClient") -> Iterator[None]:
    """While the block runs MLflow's global functions speak to what the client speaks to, for plugins that use them."""
    import mlflow

    given = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(client.tracking_uri)  # into the environment too, where settings would find it
    try:
        yield
    finally:
        mlflow.set_tracking_uri(given)  # type: ignore[arg-type]  # None takes it back


def _check_length(location: str) -> None:
    n_over = len(location) + RUN_CHARACTERS - MAX_URI_CHARACTERS
    if n_over > 0:
        raise StoreError(
            f"{location}: found {n_over} characters more than MLflow can keep of an address; set LOOPCAST_HOME, or "
            "LOOPCAST_ARTIFACTS_URL, to a shorter one; a letter that a URL escapes counts three times or more"
        )


def _open_tables(database: Database, root: str | None) -> "MlflowClient":
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.exc import DBAPIError

    url = database.sqlalchemy_url_for("mlflow")
    try:
        with database.locked("mlflow tables"):  # MLflow's own migrations are not safe when two machines start at once
            SqlAlchemyStore(url, root)  # type: ignore[no-untyped-call]  # beside the tables it makes an experiment `Default`, which needs a place
        return MlflowClient(url, url)
    except MlflowException as exc:
        raise StoreError(
            f"MLflow's tables at {database.place}: {exc.message}; install the version of MLflow that made them, "
            "or bring them up to date by `mlflow db upgrade`"
        ) from exc
    except DBAPIError as exc:
        raise StoreError(
            f"MLflow's tables at {database.place} cannot be made: {' '.join(str(exc.orig).split())}; look at the "
            "database's disk, and whether its user may create tables"
        ) from exc
