"""What a machine remembers of the active tokens, so that a service that asks for them starts without the database.

A file that its owner alone may read, with the digests of secrets and never the secrets.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from loopcast.errors import StoreError
from loopcast.stores.tokens import Token

FILE: Final = "tokens.json"
"""Below the work folder."""
REMEMBERED_S: Final = 86_400
"""Seconds for which what was read counts: for as long a token that was revoked meanwhile could open a service that is
started while the database is away."""


def read_tokens(read: Callable[[], Sequence[Token]], path: Path, *, may_recall: bool = True) -> Sequence[Token]:
    """The active tokens as a store has them, or as they were read here last while it is away.

    Args:
        read: Asks the store.
        path: Of the file that remembers.
        may_recall: Whether what it remembers counts.

    Raises:
        StoreError: The store is away, and nothing is remembered.
    """
    try:
        found = read()
    except StoreError:
        remembered = _recall(path) if may_recall else []
        if not remembered:
            raise
        return remembered
    remember_tokens(found, path)
    return found


def remember_tokens(tokens: Sequence[Token], path: Path) -> None:
    """Keep tokens in a file; where it cannot be written, nothing is remembered."""
    content = json.dumps(
        [
            token.model_dump(mode="json", exclude={"secret_sha256"}) | {"secret_sha256": token.secret_sha256.hex()}
            for token in tokens
        ]
    )
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_bytes() == content.encode():
            path.touch()
            return
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
        draft.replace(path)


def _recall(path: Path) -> list[Token]:
    """What the file remembers; nothing where it is too old, or none of ours."""
    try:
        if time.time() - path.stat().st_mtime > REMEMBERED_S:
            return []
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [Token.model_validate(row | {"secret_sha256": bytes.fromhex(row["secret_sha256"])}) for row in rows]
    except (OSError, ValueError, TypeError, KeyError):
        return []
