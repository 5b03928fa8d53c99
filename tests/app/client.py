"""A client that asks an app in this process, with no server between."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from httpx import ASGITransport, AsyncClient, Response

API = "/api/v1"


@dataclass(frozen=True)
class Client:
    """Asks an app over ASGI, one request at a time.

    Attributes:
        app: What is asked.
        headers: Of every request.
    """

    app: Any
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **options: Any) -> Response:
        """The answer to a GET."""
        return self.ask("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Response:
        """The answer to a POST of a JSON body."""
        return self.ask("POST", path, **({} if body is None else {"json": body}), **options)

    def ask(self, method: str, path: str, **options: Any) -> Response:
        """The answer to any request."""
        headers = self.headers | options.pop("headers", {})
        return asyncio.run(self._ask(method, path, headers=headers, **options))

    async def _ask(self, method: str, path: str, **options: Any) -> Response:
        async with AsyncClient(transport=ASGITransport(self.app), base_url="http://localhost") as client:
            return await client.request(method, path, **options)


def signed(app: Any, secret: str) -> Client:
    """A client with a token."""
    return Client(app, {"Authorization": f"Bearer {secret}"})


def code_of(response: Response) -> tuple[int, str]:
    """Status and code of a refusal, whose shape is checked on the way."""
    error = response.json()["error"]
    assert error["request_id"] == response.headers["x-request-id"]
    assert error["message"]
    return response.status_code, error["code"]
