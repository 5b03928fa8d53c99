"""As whom the programs of the embedded PostgreSQL run, and how they get to their files when root starts them.

PostgreSQL refuses to run as root. Root therefore lends it the owner of the data folder: the user `pgserver`, made when
it is missing, or whoever began the folder without being root.
"""

import os
import pwd
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loopcast.errors import StoreError

SYSTEM_USER = "pgserver"
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}
"""All that the programs see: no PGPORT, PGDATA or PGOPTIONS that was meant for another server."""


def give_to_server(folder: Path) -> None:
    """Make a new, empty data folder belong to the user that the server will run as."""
    if os.geteuid() == 0:
        user = _find_or_make_user()
        os.chown(folder, user.pw_uid, user.pw_gid)


def process_options(data: Path, paths: Iterable[Path]) -> dict[str, Any]:
    """Arguments for `subprocess` under which a PostgreSQL program serves the folder `data`.

    Args:
        data: Its owner becomes the user of the process when this one is root's.
        paths: What the program must be able to reach.
    """
    options: dict[str, Any] = {"cwd": "/", "env": ENVIRONMENT}
    if os.geteuid() != 0:
        return options
    owner = data.stat()
    groups = {group for path in paths for group in _groups_on_the_way(path)}
    return {**options, "user": owner.st_uid, "group": owner.st_gid, "extra_groups": sorted(groups)}


def _groups_on_the_way(path: Path) -> set[int]:
    """Groups that may pass through those parents of `path` that not everybody may, such as /root.

    A parent that only its owner may enter is opened to its group, for passing through and not for reading.
    """
    closed = [parent for parent in path.parents if not parent.stat().st_mode & stat.S_IXOTH]
    for parent in closed:
        if not parent.stat().st_mode & stat.S_IXGRP:
            parent.chmod(stat.S_IMODE(parent.stat().st_mode) | stat.S_IXGRP)
    return {parent.stat().st_gid for parent in closed}


def _find_or_make_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER]
        made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        return pwd.getpwnam(SYSTEM_USER)  # perhaps made by another process at the same moment
    except KeyError as exc:
        raise StoreError(
            f"PostgreSQL does not run as root, and the user {SYSTEM_USER} cannot be made: {made.stderr.strip()}; "
            "run as another user, or set LOOPCAST_DATABASE_URL to a server"
        ) from exc
