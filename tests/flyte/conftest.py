"""A machine of their own for the tests that run workflows in process: its work folder and its PostgreSQL."""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopcast.settings import Settings
from loopcast.stores.opened import Stores
from tests.integration.clients import end_server


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """What flytekit and Optuna leave to the garbage collector warns here, where a module says that it may."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def stores() -> Iterator[Stores]:
    """The stores that tasks open here; nothing of them is left afterwards."""
    # Not below pytest's own folder: as root, each new pytest session closes that to the server's user again.
    home = Path(tempfile.mkdtemp(prefix="lc-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("LOOPCAST_", "MLFLOW_", "PG")):
                patch.delenv(name)
        patch.setenv("LOOPCAST_HOME", str(home))
        yield Stores(Settings())
    end_server(home)
    shutil.rmtree(home)
