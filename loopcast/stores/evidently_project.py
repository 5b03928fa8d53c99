"""Evidently's own storage on our PostgreSQL: a project for each problem, a run for each day, a dashboard as code.

Evidently is imported inside functions: it takes seconds, and its telemetry must be off before.
"""

import os
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from psycopg import Connection
from psycopg.rows import TupleRow

from loopcast.health.report_account import MonitoringAccount
from loopcast.stores.database import Database

if TYPE_CHECKING:
    from evidently.ui.service.managers.projects import ProjectManager
    from sqlalchemy import Engine

T = TypeVar("T")
NO_TELEMETRY: Final = "DO_NOT_TRACK"
USER: Final = UUID(int=0)
"""Evidently's user where nobody signs in."""
SELECT_RUN = "SELECT id FROM evidently.snapshots WHERE project_id = %s AND name = %s"
DELETE_POINTS = "DELETE FROM evidently.points WHERE snapshot_id = ANY(%s)"
SELECT_RUNS = "SELECT id FROM evidently.snapshots WHERE project_id = %s AND name = %s AND id <> %s"
DELETE_RUNS = "DELETE FROM evidently.snapshots WHERE id = ANY(%s)"
DELETE_BLOBS = "DELETE FROM evidently.blobs WHERE id = ANY(%s)"


@dataclass(frozen=True)
class EvidentlyStore:
    """Runs in PostgreSQL, for the Evidently UI to show."""

    database: Database

    def keep_run(self, account: MonitoringAccount) -> UUID:
        """Id of the run that now stands for the account's problem and day; one of before is replaced."""
        with quieted():
            from evidently.ui.service.base import Project

            from loopcast.stores.evidently_panels import build_dashboard
            from loopcast.stores.evidently_report import run_report
        snapshot, project = run_report(account).to_snapshot_model(), identify_project(account.problem.name)
        with self.database.locked(f"evidently/{account.problem.name}") as connection:
            manager = self._manager
            if _finish(manager.get_project(USER, project)) is None:
                titled = Project(id=project, name=account.problem.title, description=account.problem.name)
                _finish(manager.add_project(titled, USER))
            dashboard = build_dashboard(project, account.problem.horizon)
            _finish(manager.save_project_dashboard(USER, project, dashboard))
            run = UUID(str(_finish(manager.add_snapshot(USER, project, snapshot))))
            _delete_others(connection, project, name_day(account.as_of), run)
        return run

    def prepare(self) -> None:
        """See that Evidently's tables are there."""
        _ = self._manager

    @cached_property
    def _manager(self) -> "ProjectManager":
        """Evidently's tables, made where they are missing."""
        with quieted():
            from evidently.legacy.utils.numpy_encoder import numpy_dumps
            from evidently.ui.service.managers.projects import ProjectManager
            from evidently.ui.service.storage import sql
            from evidently.ui.service.storage.common import NoopAuthManager
            from sqlalchemy import NullPool, create_engine
        url = self.database.sqlalchemy_url_for("evidently")
        engine = create_engine(url, json_serializer=numpy_dumps, poolclass=NullPool)
        with self.database.locked("evidently tables"), quieted():
            _migrate(engine)
        return ProjectManager(
            project_metadata=sql.SQLProjectMetadataStorage(engine),
            blob_storage=sql.SQLBlobStorage(engine),
            data_storage=sql.SQLDataStorage(engine),
            auth_manager=NoopAuthManager(),
            dashboard_manager=sql.SQLDashboardManager(engine),
        )


def identify_project(problem: str) -> UUID:
    """The project of a problem, the same on every machine."""
    return uuid5(NAMESPACE_URL, f"loopcast/evidently/{problem}")


def find_run(database: Database, problem: str, as_of: datetime) -> UUID | None:
    """The run of a problem's day; None where none is kept, or Evidently was never used."""
    with database.connect() as connection:
        (table,) = connection.execute("SELECT to_regclass('evidently.snapshots')").fetchone() or (None,)
        if table is None:
            return None
        found = connection.execute(SELECT_RUN, [identify_project(problem), name_day(as_of)]).fetchone()
    return None if found is None else UUID(str(found[0]))


def name_day(as_of: datetime) -> str:
    """The name of a day's run, of which there is one.

    >>> name_day(datetime.fromisoformat("2013-03-01T23:30:00-05:00"))
    '2013-03-02'
    """
    return f"{as_of.astimezone(UTC):%Y-%m-%d}"


@contextmanager
def quieted() -> Iterator[None]:
    """While the block runs Evidently is imported or set up: without telemetry, and without warnings of its own code."""
    os.environ.setdefault(NO_TELEMETRY, "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _migrate(engine: "Engine") -> None:
    """Bring Evidently's tables up to its version; its own way trips over a `%` in the URL and leaves a connection."""
    from alembic import command
    from alembic.config import Config
    from evidently.ui.service.storage.sql import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(*migrations.__path__)).replace("%", "%%"))
    config.attributes["connection"] = engine
    command.upgrade(config, "head")


def _finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine of Evidently's, none of which ever waits, also where an event loop runs already."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("Evidently's storage waits for something; it needs an event loop now")


def _delete_others(connection: Connection[TupleRow], project: UUID, name: str, kept: UUID) -> None:
    """Forget the runs of the same name, of which Evidently itself would leave the contents behind."""
    runs = [run for (run,) in connection.execute(SELECT_RUNS, [project, name, kept])]
    connection.execute(DELETE_POINTS, [runs])
    connection.execute(DELETE_RUNS, [runs])
    connection.execute(DELETE_BLOBS, [[f"{project}/snapshots/{run}.json" for run in runs]])
