"""What pages load, all of it shipped with the package: read and compressed once, at addresses that change with it."""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

PREFIX: Final = "/static"
"""Of every asset; open to all, because the page to sign in needs them too."""
FOLDER: Final = Path(__file__).parent / "static"
MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}
FOREVER: Final = "public, max-age=31536000, immutable"
"""At an address that names the content; at any other the browser asks again."""
DIGEST_CHARACTERS: Final = 12
NO_WEIGHT: Final = re.compile(r"\s*q=0(\.0*)?\s*")
"""RFC 9110, section 12.4.2."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Asset:
    """One file.

    Attributes:
        address: Where it is served.
        media_type: Of the content.
        content: As it is.
        compressed: By gzip.
    """

    address: str
    media_type: str
    content: bytes
    compressed: bytes


@cache
def read_assets() -> Mapping[str, Asset]:
    """Every asset by its name."""
    return {path.name: _read_asset(path) for path in sorted(FOLDER.iterdir())}


def locate_asset(name: str) -> str:
    """The address of an asset."""
    return read_assets()[name].address


@router.get(PREFIX + "/{digest}/{name}")
async def get_asset(digest: str, name: str, request: Request) -> Response:
    """An asset; one of another release is answered as it is now, and not kept."""
    asset = read_assets().get(name)
    if asset is None:
        raise HTTPException(404)
    is_compressed = takes_gzip(request.headers.get("accept-encoding", ""))
    headers = {
        "cache-control": FOREVER if request.url.path == asset.address else "no-cache",
        "vary": "accept-encoding",
    }
    if is_compressed:
        headers["content-encoding"] = "gzip"
    return Response(asset.compressed if is_compressed else asset.content, 200, headers, asset.media_type)


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a header names gzip as what may be answered; a weight of 0 says that it may not.

    >>> [takes_gzip(header) for header in ("br, gzip", "gzip;q=0.5", "gzip; q=0, br", "GZIP;Q=0.0", "identity", "")]
    [True, True, False, False, False, False]
    """
    for each in accept_encoding.lower().split(","):
        name, _, weight = each.partition(";")
        if name.strip() == "gzip":
            return not NO_WEIGHT.fullmatch(weight)
    return False


def _read_asset(path: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]
    return Asset(
        address=f"{PREFIX}/{digest}/{path.name}",
        media_type=MEDIA_TYPES[path.suffix],
        content=content,
        compressed=gzip.compress(content, mtime=0),
    )
