"""Files of queries and uploads in the artifact store: written whole or not at all, read as streams, deleted when old.

Which files there are, and whose they are, stands in the tables. Snapshots, which never change, are kept by `artifacts`.
"""

import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Final, cast
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from loopcast.errors import StoreError

PIECE_BYTES: Final = 2**20
"""Read and written at once."""
DRIVER_ERRORS: Final = (
    ("botocore.exceptions", "BotoCoreError"),  # s3://
    ("aiohttp", "ClientError"),  # gs://, https://
    ("google.auth.exceptions", "GoogleAuthError"),  # gs://
    ("azure.core.exceptions", "AzureError"),  # abfs://
)
"""What the libraries below fsspec raise beside system errors where a bucket is away or refuses, by module and name."""


@dataclass(frozen=True)
class FileStore:
    """Files under a root: a folder's path, or any URL of fsspec such as s3://, gs:// or abfs://.

    A key is a path below it, such as `queries/<id>/forecasts.csv`, made of names that the code chose.
    """

    root: str

    def put(self, key: str, source: BinaryIO) -> None:
        """Keep what is left to read of a source, in place of what had the key before.

        Raises:
            StoreError: The store cannot be written.
        """
        files, folder = self._place
        path = f"{folder}/{key}"
        try:
            if isinstance(files, LocalFileSystem):
                _write_file(Path(path), source)
            else:
                with files.open(path, "wb") as target:  # buckets show an object whole or not at all
                    shutil.copyfileobj(source, target, PIECE_BYTES)
        except store_errors() as exc:
            raise StoreError(f"{path} cannot be written: {exc}; check space and rights") from exc

    def open(self, key: str) -> BinaryIO:
        """What is kept under a key, for the caller to read and close.

        Raises:
            StoreError: There is nothing, or it cannot be read.
        """
        files, folder = self._place
        try:
            return cast(BinaryIO, files.open(f"{folder}/{key}", "rb"))
        except store_errors() as exc:
            raise StoreError(
                f"{folder}/{key} cannot be read: {exc}; restore it from a backup, or check LOOPCAST_ARTIFACTS_URL"
            ) from exc

    def list_names(self, folder: str, before_utc: datetime) -> list[str]:
        """The names of the files in a folder that were written before a moment, also of what a process left half.

        Raises:
            StoreError: It cannot be listed.
        """
        files, root = self._place
        try:
            found = files.ls(f"{root}/{folder}", detail=True, refresh=True)
            paths = [each["name"] for each in found if each["type"] == "file" and not each["name"].endswith("/")]
            return [Path(path).name for path in paths if files.modified(path) < before_utc]
        except FileNotFoundError:
            return []
        except store_errors() as exc:
            raise StoreError(f"{root}/{folder} cannot be listed: {exc}; check the rights on it") from exc

    def delete(self, key: str) -> None:
        """Delete what is kept under a key and below it, if anything.

        Raises:
            StoreError: It cannot be deleted.
        """
        files, folder = self._place
        try:
            files.rm(f"{folder}/{key}", recursive=True)
        except FileNotFoundError:
            return
        except store_errors() as exc:
            raise StoreError(f"{folder}/{key} cannot be deleted: {exc}; check the rights on it") from exc

    @cached_property
    def _place(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """The file system, with its driver loaded, and the root in it."""
        try:
            files, path = fsspec.core.url_to_fs(self.root)
        except (ValueError, ImportError) as exc:
            raise StoreError(f"LOOPCAST_ARTIFACTS_URL {self.root}: {exc}; needs a folder or an fsspec URL") from exc
        return files, path.rstrip("/")


def remove_left(folder: Path, pattern: str, age_s: float) -> None:
    """Remove what processes that were killed left in a folder of this machine, as far as this user may.

    Args:
        age_s: Of what nobody uses any more, since it was last changed.
    """
    for left in folder.glob(pattern):
        with suppress(FileNotFoundError):  # another process was first
            if left.stat().st_mtime > time.time() - age_s:
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()


def store_errors() -> tuple[type[Exception], ...]:
    """What says that a folder or bucket cannot be used; of the libraries that are loaded, which need not be there."""
    loaded = ((sys.modules.get(module), name) for module, name in DRIVER_ERRORS)
    return (OSError, *(getattr(module, name) for module, name in loaded if module is not None))


def _write_file(path: Path, source: BinaryIO) -> None:
    """Write a file that appears under its name only when all of it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with draft.open("xb") as target:
            shutil.copyfileobj(source, target, PIECE_BYTES)
            target.flush()
            os.fsync(target.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
