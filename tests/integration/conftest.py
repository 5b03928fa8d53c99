"""What tests against real stores share: an environment of their own, work folders, and one embedded PostgreSQL."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from loopcast.settings import Settings
from loopcast.stores.database import Database, open_database
from tests.integration.clients import end_server

if TYPE_CHECKING:
    from loopcast.stores.registry import Registry


@pytest.fixture(scope="session", autouse=True)
def isolated_environment() -> Iterator[Path]:
    """A home and a temporary folder of the tests' own, and no settings of the person who runs them."""
    get_temp_dir()  # at once: made later it would lie in a folder that is gone when multiprocessing clears up
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="lc-") as folder:
        for name in os.environ:
            if name.startswith(("LOOPCAST_", "MLFLOW_", "PG")):
                patch.delenv(name)
        for name in ("HOME", "TMPDIR"):
            patch.setenv(name, folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    """A database with every table, for tests that keep to a problem of their own; gone after the last of them."""
    home = _short_folder()
    yield open_database(Settings(home=home))
    end_server(home)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def shared_home(database: Database) -> Path:
    """The work folder of that database."""
    return database.embedded_folder.parent


@pytest.fixture(scope="session")
def registry(shared_home: Path) -> "Registry":
    """Its registry."""
    from tests.integration.models import open_home  # seconds, which only those who need it pay

    return open_home(shared_home)


@pytest.fixture
def name() -> str:
    """A problem that no other test uses."""
    return f"p{uuid4().hex}"


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty work folder; no process that served it is left afterwards."""
    home = _short_folder()
    yield home
    end_server(home)
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def served_home() -> Iterator[Path]:
    """A work folder that has had a server before, for `stopped_home`."""
    home = _short_folder()
    open_database(Settings(home=home))
    end_server(home)
    yield home
    shutil.rmtree(home)


@pytest.fixture
def stopped_home(served_home: Path) -> Iterator[Path]:
    """A work folder with a migrated database, an empty log and no server; none is left afterwards either."""
    (served_home / "postgres" / "server.log").write_text("")
    yield served_home
    end_server(served_home)


def _short_folder() -> Path:
    """Not below pytest's own folder: as root, each new pytest session closes that to the server's user again."""
    return Path(tempfile.mkdtemp(prefix="lc-", dir="/tmp"))
