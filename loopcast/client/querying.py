"""Asking what takes longer than a request may: ask, go away, come back for the answer."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic_core import to_jsonable_python

from loopcast.client.answers.queries import Query, QueryPage, QuerySummary, Upload, Uploads
from loopcast.client.errors import QueryNotDoneError
from loopcast.client.transport import Transport

FIRST_LOOK_S: Final = 0.1
LOOK_EVERY_S: Final = 2.0
"""Between two looks, once a query has run for a while; up to then they come the more often, the shorter it has run."""
DONE: Final = "done"

OnProgress = Callable[[float, str], object]
"""Is told how far a query is, as a share of 1 and in a sentence."""


class Querying(Transport):
    """Long queries, their files, and uploads; all are one's own."""

    def submit(self, problem: str, kind: str, /, *, idempotency_key: str | None = None, **request: object) -> Query:
        """A new query, queued; a worker answers it.

        Args:
            kind: `explanation`, `backtest`, `what_if`, `bulk_forecast`; for operators `promotion`, `rollback` and
                `training`.
            idempotency_key: With the same one, the same query is returned and none is made; default: a new one.
            request: What queries of this kind ask, as /openapi.json says.
        """
        body = {"kind": kind, "request": to_jsonable_python(request)}
        return self._post(Query, "problems", problem, "queries", body=body, headers=_name(idempotency_key))

    def query(self, query_id: UUID | str) -> Query:
        """A query as it is now, with its result once it is done."""
        return self._get(Query, "queries", query_id)

    def queries(self, problem: str | None = None) -> Iterator[QuerySummary]:
        """One's own queries, the latest first; pages are fetched as they are read."""
        page = self._get(QueryPage, "queries", problem=problem)
        yield from page.queries
        while page.next_after is not None:
            page = self._get(QueryPage, "queries", problem=problem, after=page.next_after)
            yield from page.queries

    def wait(
        self, query_id: UUID | str, timeout_s: float | None = None, on_progress: OnProgress | None = None
    ) -> Query:
        """A query that has ended, whichever way; until then it is looked at again and again.

        Args:
            timeout_s: Longest wait; default: as long as it takes. The query goes on after it.

        Raises:
            QueryNotDoneError: It has not ended in time.
        """
        begun_s, told = time.monotonic(), (-1.0, "")
        while True:
            query = self.query(query_id)
            if on_progress is not None and (now := (query.progress_ratio, query.progress)) != told:
                on_progress(*now)
                told = now
            if query.ended_at_utc is not None:
                return query
            waited_s = time.monotonic() - begun_s
            if timeout_s is not None and waited_s >= timeout_s:
                what = f"query {query_id} is {query.state} after {waited_s:.0f} s ({query.progress}); wait again later"
                raise QueryNotDoneError(what)
            pause_s = min(max(FIRST_LOOK_S, waited_s / 4), LOOK_EVERY_S)
            time.sleep(pause_s if timeout_s is None else min(pause_s, timeout_s - waited_s))

    def answer(
        self, query_id: UUID | str, timeout_s: float | None = None, on_progress: OnProgress | None = None
    ) -> dict[str, Any]:
        """The result of a query, which is waited for as `wait` does.

        Raises:
            QueryNotDoneError: It failed, was cancelled, or has not ended in time.
        """
        query = self.wait(query_id, timeout_s, on_progress)
        if query.state != DONE or query.result is None:
            raise QueryNotDoneError(f"query {query_id} is {query.state}: {query.reason}")
        return dict(query.result)

    def cancel(self, query_id: UUID | str) -> Query:
        """Ask for a stop: at once while it waits, within seconds while it runs."""
        return self._post(Query, "queries", query_id, "cancellation")

    def retry(self, query_id: UUID | str, *, idempotency_key: str | None = None) -> Query:
        """A new query that asks again what failed or was cancelled."""
        return self._post(Query, "queries", query_id, "retry", headers=_name(idempotency_key))

    def download(self, query_id: UUID | str, name: str, to: Path | str) -> Path:
        """Where a file of a query now lies.

        Args:
            name: One of `query.files`.
            to: The file to write, or a folder to write it to under its own name.
        """
        given = Path(to)
        return self._save(("queries", query_id, "files", name), given / name if given.is_dir() else given)

    def upload(self, path: Path | str) -> Upload:
        """A file that is kept for one's queries: a CSV; sent piece by piece, and once only."""
        with Path(path).open("rb") as file:
            headers = {"Content-Type": "text/csv"}
            return self._ask(Upload, "POST", ("uploads",), is_repeatable=False, content=file, headers=headers)

    def uploads(self) -> tuple[Upload, ...]:
        """One's own uploads, the latest first."""
        return self._get(Uploads, "uploads").uploads

    def delete_upload(self, upload_id: UUID | str) -> None:
        """Delete an upload of one's own; a query that still needs it fails."""
        self._delete("uploads", upload_id)


def _name(idempotency_key: str | None) -> Mapping[str, str]:
    """With a key, a request that is repeated because the answer was lost makes nothing twice."""
    return {"Idempotency-Key": idempotency_key or uuid4().hex}
