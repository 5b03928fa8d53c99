"""The stores of the machine that a task runs on: a laptop's own, or those that all pods of a cluster share."""

from loopcast.errors import StoreError
from loopcast.settings import read_settings
from loopcast.stores.opened import Stores
from tasks.identity import is_local


def open_stores() -> Stores:
    """The stores that the environment names.

    Raises:
        StoreError: The task runs on a cluster, and its environment leaves stores to the pod, where they would end
            with it.
    """
    settings = read_settings()
    needed = {"LOOPCAST_DATABASE_URL": settings.database_url, "LOOPCAST_ARTIFACTS_URL": settings.artifacts_url}
    missing = [name for name, value in needed.items() if not value]
    if missing and not is_local():
        raise StoreError(
            f"found no {' and no '.join(missing)} in this pod; on a cluster every task needs one PostgreSQL and one "
            "folder or bucket for all; set both in the pods' environment, as the README's section on clusters shows"
        )
    return Stores(settings)
