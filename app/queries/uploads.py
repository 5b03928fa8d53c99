"""`/api/v1/uploads`: files for queries come in as they are, counted on the way and never whole in memory."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final
from uuid import UUID

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, FastAPI
from starlette.requests import ClientDisconnect, Request

from app.bodies import UPLOADS_PATH
from app.documentation import READING, refusals
from app.errors import ErrorCode, Refusal
from app.parts import read_asked
from app.queries import shapes
from app.store_threads import READERS
from loopcast.errors import StoreError
from loopcast.stores.audit import Act
from loopcast.stores.files import PIECE_BYTES
from loopcast.stores.uploads import MEGABYTE, Upload, check_space

MAX_RECEIVING_S: Final = 600.0
"""For one upload: a hundred megabytes at 1.4 Mbit/s."""
MAX_AT_ONCE: Final = 2
"""Uploads of one owner that come in at once, in one worker of a service."""
WRITERS: Final = anyio.CapacityLimiter(4)
"""Threads that write what comes in, so that many uploads take none from those who read."""
CONTENT_TYPE: Final = "text/csv"
FILE_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary", "minLength": 1}}},
    }
}

router = APIRouter()


def add_uploads(app: FastAPI) -> None:
    """Let an app take uploads."""
    app.state.receiving = Counter()
    app.include_router(router, responses=refusals(*READING))


@router.post(
    UPLOADS_PATH,
    operation_id="upload_file",
    status_code=201,
    openapi_extra=FILE_BODY,
    responses=refusals(408, 413, 415),
)
async def upload_file(request: Request) -> shapes.Upload:
    """Upload a CSV for a query; the body is the file, as it is."""
    asked = read_asked(request)
    settings, owner = asked.parts.settings, asked.record.asker.id
    max_bytes = settings.upload_max_mb * MEGABYTE
    _check_head(request, max_bytes)
    kept = await READERS.ask(asked.parts.uploads.list_own, owner)
    max_own_bytes = settings.uploads_max_mb_per_owner * MEGABYTE
    check_space(sum(each.n_bytes for each in kept), _told_bytes(request), max_own_bytes)
    folder = settings.home_path / "uploads"
    with _count_receiving(request.app.state.receiving, owner), _open_draft(folder) as draft:
        try:
            with anyio.fail_after(MAX_RECEIVING_S):
                n_bytes, sha256 = await _receive(request, draft, max_bytes)
        except TimeoutError:
            what = f"the file did not come within {MAX_RECEIVING_S:.0f} s; send it over a faster line, or in parts"
            raise Refusal(408, ErrorCode.INVALID_REQUEST, what) from None
        upload = Upload(owner=owner, n_bytes=n_bytes, sha256=sha256)
        await run_sync(asked.parts.uploads.keep, upload, draft, max_own_bytes, limiter=WRITERS)
    await asked.audit(Act.UPLOAD_RECEIVED, str(upload.id), n_bytes=str(n_bytes), sha256=sha256)
    return _describe(upload)


@router.get(UPLOADS_PATH, operation_id="list_uploads")
async def list_uploads(request: Request) -> shapes.Uploads:
    """One's own uploads, the latest first."""
    asked = read_asked(request)
    found = await READERS.ask(asked.parts.uploads.list_own, asked.record.asker.id)
    return shapes.Uploads(uploads=[_describe(upload) for upload in found])


@router.delete(f"{UPLOADS_PATH}/{{upload_id}}", operation_id="delete_upload", status_code=204)
async def delete_upload(upload_id: UUID, request: Request) -> None:
    """Delete an upload of one's own; a query that still needs it fails."""
    asked = read_asked(request)
    if not await READERS.ask(asked.parts.uploads.delete, upload_id, asked.record.asker.id):
        raise Refusal(
            404, ErrorCode.NOT_FOUND, "you have no such upload; GET /api/v1/uploads lists those that you have"
        )
    await asked.audit(Act.UPLOAD_DELETED, str(upload_id))


def _check_head(request: Request, max_bytes: int) -> None:
    """Return where the headers tell of a body that can be taken.

    Raises:
        Refusal: They do not.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != CONTENT_TYPE:
        what = f"the body needs `Content-Type: {CONTENT_TYPE}`, and to be the file alone, not a form"
        raise Refusal(415, ErrorCode.WRONG_CONTENT_TYPE, what)
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        what = (
            "a compressed body is not taken, for nobody knows how large it gets; send the CSV without Content-Encoding"
        )
        raise Refusal(415, ErrorCode.WRONG_CONTENT_TYPE, what)
    if _told_bytes(request) > max_bytes:
        raise _refuse_size(max_bytes)


def _told_bytes(request: Request) -> int:
    told = request.headers.get("content-length", "")
    return int(told) if told.isascii() and told.isdigit() else 0


async def _receive(request: Request, draft: BinaryIO, max_bytes: int) -> tuple[int, str]:
    """Bytes and SHA-256 of the body, which is in the draft by then."""
    digest, pieces = hashlib.sha256(), bytearray()
    n_bytes = 0

    def write() -> None:
        digest.update(pieces)
        draft.write(pieces)
        pieces.clear()

    try:
        async for piece in request.stream():
            n_bytes += len(piece)
            if n_bytes > max_bytes:
                if n_bytes > 2 * max_bytes:
                    break
                continue  # who has sent all is told why it is refused; who is cut off may never read it
            pieces += piece
            if len(pieces) >= PIECE_BYTES:
                await run_sync(write, limiter=WRITERS)
        if n_bytes > max_bytes:
            raise _refuse_size(max_bytes)
        await run_sync(write, limiter=WRITERS)
        draft.seek(0)
    except ClientDisconnect as exc:
        raise Refusal(400, ErrorCode.INVALID_REQUEST, "the file did not come whole; send it again") from exc
    except OSError as exc:
        raise StoreError(f"an upload cannot be written: {exc}; make space") from exc
    if n_bytes == 0:
        raise Refusal(422, ErrorCode.INVALID_REQUEST, "the file is empty; send a CSV with a header and rows")
    return n_bytes, digest.hexdigest()


@contextmanager
def _count_receiving(receiving: Counter[str], owner: str) -> Iterator[None]:
    if receiving[owner] >= MAX_AT_ONCE:
        what = f"{MAX_AT_ONCE} of your uploads come in already; send this one after them"
        raise Refusal(429, ErrorCode.TOO_MANY, what, headers={"Retry-After": "10"})
    receiving[owner] += 1
    try:
        yield
    finally:
        receiving[owner] -= 1


@contextmanager
def _open_draft(folder: Any) -> Iterator[BinaryIO]:
    """A file without a name, which is gone however this process ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  it is closed below
    except OSError as exc:
        raise StoreError(f"no upload can be written in {folder}: {exc}; check space and rights") from exc
    with draft:
        yield draft


def _describe(upload: Upload) -> shapes.Upload:
    return shapes.Upload(
        upload_id=upload.id, n_bytes=upload.n_bytes, sha256=upload.sha256, uploaded_at_utc=upload.uploaded_at_utc
    )


def _refuse_size(max_bytes: int) -> Refusal:
    what = f"the file is larger than {max_bytes / MEGABYTE:.0f} MB; send it in parts"
    return Refusal(413, ErrorCode.BODY_TOO_LARGE, what)
