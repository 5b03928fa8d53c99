"""What people uploaded for their queries: a row each, and the bytes in the artifact store under `uploads/<id>`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import BinaryIO, Final, Protocol
from uuid import UUID, uuid4

from psycopg.rows import dict_row
from pydantic import BaseModel, Field

from loopcast.errors import LoopcastError
from loopcast.evidence.record import RECORD, Moment
from loopcast.stores.database import Database
from loopcast.stores.files import FileStore

MEGABYTE: Final = 10**6


class UploadsFullError(LoopcastError):
    """Its owner has uploaded as much as one may keep."""


class Upload(BaseModel):
    """A file that somebody uploaded: a row of `loopcast.uploads`."""

    model_config = RECORD

    id: UUID = Field(default_factory=uuid4)
    owner: str
    n_bytes: int
    sha256: str
    uploaded_at_utc: Moment = Field(default_factory=lambda: datetime.now(UTC))


NAMES: Final = ", ".join(Upload.model_fields)
INSERT: Final = f"INSERT INTO loopcast.uploads ({NAMES}) VALUES ({', '.join(f'%({n})s' for n in Upload.model_fields)})"  # noqa: S608
SELECT: Final = f"SELECT {NAMES} FROM loopcast.uploads WHERE id = %s AND owner = %s"  # noqa: S608
SELECT_OWN: Final = f"SELECT {NAMES} FROM loopcast.uploads WHERE owner = %s ORDER BY uploaded_at_utc DESC, id"  # noqa: S608
SUM_OWN: Final = "SELECT coalesce(sum(n_bytes), 0) FROM loopcast.uploads WHERE owner = %s"
DELETE: Final = "DELETE FROM loopcast.uploads WHERE id = %s AND owner = %s RETURNING id"
FORGET: Final = "DELETE FROM loopcast.uploads WHERE uploaded_at_utc < %s RETURNING id"
SELECT_IDS: Final = "SELECT id::text FROM loopcast.uploads"
FOLDER: Final = "uploads"


class Uploads(Protocol):
    """Where uploads are kept; whoever asks sees those of one owner only."""

    def keep(self, upload: Upload, source: BinaryIO, max_bytes: int) -> None:
        """Keep an upload, whole or not at all.

        Args:
            max_bytes: That its owner may keep, all together.

        Raises:
            UploadsFullError: It would be more.
        """

    def find(self, upload_id: UUID, owner: str) -> Upload | None:
        """The upload of an owner, None for none."""

    def list_own(self, owner: str) -> list[Upload]:
        """All uploads of an owner, the latest first."""

    def open(self, upload: Upload) -> BinaryIO:
        """Its bytes, for the caller to read and close."""

    def delete(self, upload_id: UUID, owner: str) -> bool:
        """Delete the upload of an owner; False where there is none."""

    def forget(self, before_utc: datetime) -> int:
        """Delete what was uploaded before a moment, and return how many they were."""


@dataclass(frozen=True)
class UploadStore:
    """`Uploads` in PostgreSQL and the artifact store."""

    database: Database
    files: FileStore

    def keep(self, upload: Upload, source: BinaryIO, max_bytes: int) -> None:
        """See `Uploads`; the bytes come first, so that a row never leads to nothing."""
        self.files.put(_key(upload.id), source)
        try:
            with self.database.locked(f"uploads/{upload.owner}") as connection:
                [(n_bytes,)] = connection.execute(SUM_OWN, [upload.owner])
                check_space(int(n_bytes), upload.n_bytes, max_bytes)
                connection.execute(INSERT, upload.model_dump())
        except LoopcastError:
            self.files.delete(_key(upload.id))
            raise

    def find(self, upload_id: UUID, owner: str) -> Upload | None:
        """See `Uploads`."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(SELECT, [upload_id, owner]).fetchone()
        return None if row is None else Upload.model_validate(row)

    def list_own(self, owner: str) -> list[Upload]:
        """See `Uploads`."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [Upload.model_validate(row) for row in cursor.execute(SELECT_OWN, [owner])]

    def open(self, upload: Upload) -> BinaryIO:
        """See `Uploads`."""
        return self.files.open(_key(upload.id))

    def delete(self, upload_id: UUID, owner: str) -> bool:
        """See `Uploads`."""
        return self._delete(DELETE, [upload_id, owner]) > 0

    def forget(self, before_utc: datetime) -> int:
        """See `Uploads`; also bytes to which no row came, because the process that was to write it was killed."""
        n_forgotten = self._delete(FORGET, [before_utc])
        left = set(self.files.list_names(FOLDER, before_utc))
        with self.database.connect() as connection:
            left -= {upload_id for (upload_id,) in connection.execute(SELECT_IDS)}
        for name in left:
            self.files.delete(f"{FOLDER}/{name}")
        return n_forgotten

    def _delete(self, delete: str, given: list[object]) -> int:
        """Files go in the transaction of their rows, so that what cannot be deleted is found again."""
        with self.database.connect() as connection:
            ids = [upload_id for (upload_id,) in connection.execute(delete, given)]
            for upload_id in ids:
                self.files.delete(_key(upload_id))
        return len(ids)


@dataclass(frozen=True)
class MemoryUploadStore:
    """`Uploads` of this process, for tests and trials without a database."""

    kept: dict[UUID, tuple[Upload, bytes]] = field(default_factory=dict)

    def keep(self, upload: Upload, source: BinaryIO, max_bytes: int) -> None:
        """See `Uploads`."""
        check_space(sum(each.n_bytes for each in self.list_own(upload.owner)), upload.n_bytes, max_bytes)
        self.kept[upload.id] = (upload, source.read())

    def find(self, upload_id: UUID, owner: str) -> Upload | None:
        """See `Uploads`."""
        return next((each for each in self.list_own(owner) if each.id == upload_id), None)

    def list_own(self, owner: str) -> list[Upload]:
        """See `Uploads`."""
        own = [upload for upload, _ in self.kept.values() if upload.owner == owner]
        return sorted(own, key=lambda upload: upload.uploaded_at_utc, reverse=True)

    def open(self, upload: Upload) -> BinaryIO:
        """See `Uploads`."""
        return BytesIO(self.kept[upload.id][1])

    def delete(self, upload_id: UUID, owner: str) -> bool:
        """See `Uploads`."""
        return self._delete(lambda upload: (upload.id, upload.owner) == (upload_id, owner)) > 0

    def forget(self, before_utc: datetime) -> int:
        """See `Uploads`."""
        return self._delete(lambda upload: upload.uploaded_at_utc < before_utc)

    def _delete(self, is_meant: Callable[[Upload], bool]) -> int:
        ids = [upload.id for upload, _ in self.kept.values() if is_meant(upload)]
        for upload_id in ids:
            del self.kept[upload_id]
        return len(ids)


def check_space(n_kept: int, n_more: int, max_bytes: int) -> None:
    """Return where an owner may keep so many bytes more.

    Raises:
        UploadsFullError: They may not.
    """
    if n_kept + n_more > max_bytes:
        raise UploadsFullError(
            f"found {n_kept / MEGABYTE:.1f} MB of your uploads kept, and {n_more / MEGABYTE:.1f} MB more to come; "
            f"needs at most {max_bytes / MEGABYTE:.0f} MB together; delete uploads that you need no more"
        )


def _key(upload_id: UUID) -> str:
    return f"{FOLDER}/{upload_id}"
