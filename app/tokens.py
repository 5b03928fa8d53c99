"""The active tokens, in memory; they open the service to programs."""

from collections.abc import Sequence
from pathlib import Path

from app.active import REFRESH_S, Active
from loopcast.stores.token_memory import read_tokens
from loopcast.stores.tokens import Token, Tokens


class ActiveTokens(Active[Token]):
    """The active tokens of a store; with a path, what is remembered there counts if it is away at the start."""

    def __init__(self, store: Tokens, refresh_s: float = REFRESH_S, path: Path | None = None) -> None:
        super().__init__("tokens", self._read_store, refresh_s)
        self._store = store
        self._path = path

    def _read_store(self) -> Sequence[Token]:
        if self._path is None:
            return self._store.active()
        return read_tokens(self._store.active, self._path, may_recall=not self._by_digest)
