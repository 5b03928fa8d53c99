"""Asking who one is, and for tokens."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from loopcast.client.answers.access import Audit, AuditEntry, Me, NewToken, Tokens, TokenState
from loopcast.client.transport import Transport


class Access(Transport):
    """Oneself, tokens, and the audit."""

    def me(self) -> Me:
        """Who asks, as the service sees it."""
        return self._get(Me, "me")

    def tokens(self) -> tuple[TokenState, ...]:
        """One's own tokens, without their secrets."""
        return self._get(Tokens, "tokens").tokens

    def create_token(
        self, name: str, *, role: str = "viewer", problems: Sequence[str] = (), expires_in_days: int | None = None
    ) -> NewToken:
        """A new token, whose secret is told this once; asked for once, because a second time would make another.

        Args:
            role: At most one's own.
            problems: Default: all that one may use oneself.
            expires_in_days: Default: never.
        """
        body = {"name": name, "role": role, "problems": list(problems), "expires_in_days": expires_in_days}
        return self._post(NewToken, "tokens", body=body, is_repeatable=False)

    def revoke_token(self, token_id: UUID | str) -> None:
        """End a token of one's own, or as an admin any."""
        self._delete("tokens", token_id)

    def audit(self) -> Iterator[AuditEntry]:
        """Who changed what, the latest first; pages are fetched as they are read. For admins."""
        page = self._get(Audit, "audit")
        yield from page.entries
        while page.next_before is not None:
            page = self._get(Audit, "audit", before=page.next_before)
            yield from page.entries
