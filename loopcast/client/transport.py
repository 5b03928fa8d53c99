"""How the service is asked: one connection pool, the token, time limits, and waits that the service asks for."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from loopcast import __version__
from loopcast.client.errors import LoopcastClientError, UnreachableError, UnreadableAnswerError, read_refusal

PREFIX: Final = "/api/v1"
TIMEOUT_S: Final = 10.0
"""Twice as long as the service itself takes before it gives a request up."""
N_RETRIES: Final = 3
WAITED_FOR: Final = (429, 503)
"""Statuses with which nothing was done, and after which the service names a wait."""
DEFAULT_WAIT_S: Final = 1
"""Where a proxy names none."""
MAX_WAIT_S: Final = 30
"""Beyond, the caller is told instead: a program that stands still for longer looks dead."""

Answer = TypeVar("Answer", bound=BaseModel)


class _Nothing(BaseModel):
    """An answer that says nothing."""


class Transport:
    """Asks the service; what it is asked stands in the classes below.

    Args:
        url: Of the service, such as `http://127.0.0.1:3000`.
        token: `lc_...`; none where the service asks for none.
        timeout_s: For connecting, and between two parts of an answer.
        n_retries: How often a request is repeated that the service had no room for, after the wait that it names.
            Only what may be repeated is: nothing that would happen twice.
    """

    def __init__(
        self, url: str, token: str | None = None, *, timeout_s: float = TIMEOUT_S, n_retries: int = N_RETRIES
    ) -> None:
        headers = {"Accept": "application/json", "User-Agent": f"loopcast-client/{__version__}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise LoopcastClientError(f"url: found {url!r}, needs the service's, such as http://127.0.0.1:3000")
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s)
        self._n_retries = n_retries

    @classmethod
    def from_environment(cls) -> Self:
        """A client of the service that `LOOPCAST_URL` names, with the token in `LOOPCAST_TOKEN` if there is one.

        Raises:
            LoopcastClientError: There is no address.
        """
        url = os.environ.get("LOOPCAST_URL")
        if not url:
            what = "found nothing, needs the service's address, such as http://127.0.0.1:3000"
            raise LoopcastClientError(f"LOOPCAST_URL: {what}")
        return cls(url, os.environ.get("LOOPCAST_TOKEN"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _get(self, answer: type[Answer], *segments: object, **parameters: object) -> Answer:
        """What a GET answers; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._ask(answer, "GET", segments, params=given)

    def _post(
        self,
        answer: type[Answer],
        *segments: object,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        is_repeatable: bool = True,
    ) -> Answer:
        """What a POST of JSON answers."""
        return self._ask(answer, "POST", segments, is_repeatable=is_repeatable, json=body or {}, headers=headers)

    def _delete(self, *segments: object) -> None:
        """End something; a second time changes nothing."""
        self._ask(_Nothing, "DELETE", segments)

    def _ask(
        self,
        answer: type[Answer],
        method: str,
        segments: tuple[object, ...],
        is_repeatable: bool = True,
        **options: Any,
    ) -> Answer:
        """What a request answers.

        Raises:
            LoopcastClientError: It is refused, not answered, or answered by something else.
        """
        path = write_path(segments)
        n_left = self._n_retries if is_repeatable else 0
        while True:
            with self._open(method, path, **options) as response:
                response.read()
            if response.is_success:
                return _read_answer(response, answer)
            wait_s = read_wait_s(response.headers)
            if n_left == 0 or response.status_code not in WAITED_FOR or wait_s > MAX_WAIT_S:
                raise read_refusal(response.status_code, _read_json(response), f"{method} {path}")
            n_left -= 1
            time.sleep(wait_s)

    def _save(self, segments: tuple[object, ...], to: Path) -> Path:
        """Write what a GET answers into a file, which is there whole or not at all."""
        path, part = write_path(segments), to.with_name(f"{to.name}.part")
        try:
            with self._open("GET", path) as response:
                if not response.is_success:
                    response.read()
                    raise read_refusal(response.status_code, _read_json(response), f"GET {path}")
                with part.open("wb") as file:
                    for piece in response.iter_bytes():
                        file.write(piece)
            return part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def _open(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        try:
            with self._http.stream(method, path, **options) as response:
                yield response
        except httpx.TransportError as exc:
            why = f"{exc}" or type(exc).__name__
            what = f"{self.url}: {method} {path} was not answered ({why}); check that the service runs there"
            raise UnreachableError(what) from exc


def write_path(segments: tuple[object, ...]) -> str:
    """The path below the API's own, with each segment quoted.

    >>> write_path(("problems", "a/b", "series"))
    '/api/v1/problems/a%2Fb/series'
    """
    return "/".join([PREFIX, *(quote(str(segment), safe="") for segment in segments)])


def read_wait_s(headers: Mapping[str, str]) -> int:
    """Seconds after which a refusal says to ask again.

    >>> read_wait_s({"Retry-After": "5"})
    5
    """
    given = headers.get("Retry-After", "")
    return int(given) if given.isdecimal() else DEFAULT_WAIT_S


def _read_json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:  # no JSON, or not in UTF-8
        return None


def _read_answer(response: httpx.Response, answer: type[Answer]) -> Answer:
    try:
        return answer.model_validate_json(response.content or b"{}")
    except ValidationError as exc:
        [first, *_] = exc.errors(include_url=False, include_input=False)
        where = ".".join(map(str, first["loc"])) or "the whole"
        what = f"{response.request.url.path}: {where}: {first['msg']}; needs a service and a client of one version"
        raise UnreadableAnswerError(
            what, request_id=response.headers.get("X-Request-ID", ""), status=response.status_code
        ) from exc
