"""The artifact store: immutable snapshots of panels in a folder or a bucket, named by the SHA-256 of their bytes.

Models and reports are kept by MLflow and Evidently. The table `snapshots` remembers which problem used which snapshot.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import cast
from uuid import uuid4

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from pandera.typing import DataFrame

from loopcast.contracts import Panel
from loopcast.errors import StoreError
from loopcast.stores.database import Database
from loopcast.stores.files import store_errors

ARROW_TYPES = {
    "series_id": pa.string(),
    "timestamp_utc": pa.timestamp("us", tz="UTC"),
    "target": pa.float64(),
    "is_filled": pa.bool_(),
    "range_variance": pa.float64(),
    "overnight_change": pa.float64(),
}
"""The columns of `contracts.Panel` in the order of a snapshot; covariates, all float64, follow by name."""
INSERT = """
    INSERT INTO loopcast.snapshots (sha256, problem, url, n_rows, n_series, first_utc, last_utc)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (sha256, problem) DO UPDATE SET last_recorded_at_utc = now()
"""
SELECT_NEWEST = """
    SELECT DISTINCT ON (problem) problem, sha256 FROM loopcast.snapshots ORDER BY problem, last_recorded_at_utc DESC
"""


@dataclass(frozen=True)
class ArtifactStore:
    """Snapshots under a root: a folder's path, or any URL of fsspec such as s3://, gs:// or abfs://."""

    root: str

    def put_snapshot(self, panel: pd.DataFrame) -> str:
        """SHA-256 of the panel's snapshot, in hexadecimal; written unless it was there, and never half.

        Raises:
            StoreError: The store cannot be written, or holds other bytes under this name.
        """
        data = encode_panel(panel)
        sha256 = hashlib.sha256(data).hexdigest()
        found = self._read(sha256)
        if found is None:
            self._write(sha256, data)
        elif found != data:
            raise StoreError(
                f"{self.snapshot_url(sha256)}: {_changed(found)}; move it away, and run again to rewrite it"
            )
        return sha256

    def get_snapshot(self, sha256: str) -> DataFrame[Panel]:
        """The panel of a snapshot, its bytes checked against their name.

        Raises:
            StoreError: There is none, or its bytes were changed.
        """
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise StoreError(f"`{sha256}` names no snapshot; needs the 64 hexadecimal digits of a SHA-256")
        data = self._read(sha256)
        if data is None:
            raise StoreError(f"{self.snapshot_url(sha256)} is missing; restore it, or check LOOPCAST_ARTIFACTS_URL")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StoreError(f"{self.snapshot_url(sha256)}: {_changed(data)}; restore it from a backup")
        return cast(DataFrame[Panel], pq.ParquetFile(BytesIO(data)).read().to_pandas())

    def snapshot_url(self, sha256: str) -> str:
        """Where a snapshot lies, as a path or URL that pandas can read."""
        return f"{self.root.rstrip('/')}/snapshots/{sha256}.parquet"

    @cached_property
    def _place(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """The file system, with its driver loaded, and the folder of the snapshots in it."""
        try:
            files, path = fsspec.core.url_to_fs(self.root)
        except (ValueError, ImportError) as exc:
            raise StoreError(f"LOOPCAST_ARTIFACTS_URL {self.root}: {exc}; needs a folder or an fsspec URL") from exc
        return files, f"{path.rstrip('/')}/snapshots"

    def _read(self, sha256: str) -> bytes | None:
        files, folder = self._place
        try:
            return cast(bytes, files.cat_file(f"{folder}/{sha256}.parquet"))
        except FileNotFoundError:
            return None
        except store_errors() as exc:
            raise StoreError(
                f"{self.snapshot_url(sha256)} cannot be read: {exc}; check LOOPCAST_ARTIFACTS_URL and the rights on it"
            ) from exc

    def _write(self, sha256: str, data: bytes) -> None:
        files, folder = self._place
        try:
            if isinstance(files, LocalFileSystem):
                _write_file(Path(folder) / f"{sha256}.parquet", data)
            else:
                files.pipe_file(f"{folder}/{sha256}.parquet", data)  # buckets show an object whole or not at all
        except store_errors() as exc:
            raise StoreError(f"{self.snapshot_url(sha256)} cannot be written: {exc}; check space and rights") from exc


def encode_panel(panel: pd.DataFrame) -> bytes:
    """Parquet bytes that depend on the panel's values alone, not on its index, column order or pandas' own notes.

    They do depend on the version of pyarrow, which writes its name into the file and chooses the encodings: after an
    upgrade the same panel gets a new snapshot beside the old one, and the old one still reads.

    Raises:
        StoreError: A column holds something else than its type in `contracts.Panel`.
    """
    names = [*(name for name in ARROW_TYPES if name in panel), *sorted(panel.columns.difference(list(ARROW_TYPES)))]
    schema = pa.schema([(name, ARROW_TYPES.get(name, pa.float64())) for name in names])
    try:
        table = pa.Table.from_pandas(panel, schema=schema, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as exc:
        raise StoreError(f"not a panel: {exc}; validate it against contracts.Panel first") from exc
    sink = BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=3, row_group_size=2**20, store_schema=False)
    return sink.getvalue()


def record_snapshot(database: Database, problem: str, sha256: str, url: str, panel: pd.DataFrame) -> None:
    """Remember that a problem uses a snapshot; once, however often it is told."""
    times = panel["timestamp_utc"]
    row = [sha256, problem, url, len(panel), panel["series_id"].nunique(), times.min(), times.max()]
    with database.connect() as connection:
        connection.execute(INSERT, row)


def newest_snapshots(database: Database) -> dict[str, str]:
    """The snapshot of each problem that was recorded last, by problem."""
    with database.connect() as connection:
        return {str(problem): str(sha256) for problem, sha256 in connection.execute(SELECT_NEWEST)}


def _write_file(path: Path, data: bytes) -> None:
    """Write a file that appears under its name only when all of it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)  # whoever came first wrote the same bytes
    finally:
        draft.unlink(missing_ok=True)


def _changed(data: bytes) -> str:
    return f"found {len(data)} bytes with SHA-256 {hashlib.sha256(data).hexdigest()}, which is not its name"
