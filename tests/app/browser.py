"""A browser as far as signing in goes: it keeps cookies and follows whoever sends it on."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

PAGE = {"Accept": "text/html,application/xhtml+xml"}


@dataclass
class Browser:
    """Asks an app in this process and providers on their own ports.

    Attributes:
        app: The service.
        origin: Where the browser believes it to be.
        cookies: That it keeps.
    """

    app: Any
    origin: str = "http://localhost"
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """The answer to a person who opens an address."""
        return self.ask("GET", path, headers=PAGE | options.pop("headers", {}), **options)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer to any request."""
        return asyncio.run(self._ask(method, path, **options))

    def keep(self, name: str, value: str) -> None:
        """Have a cookie as somebody planted it, in place of what was kept under its name."""
        self.cookies = httpx.Cookies(self.cookies)
        self.cookies.set(name, value, domain="localhost.local")  # as a jar calls a host without a dot

    def visit_provider(self, path: str = "/") -> str:
        """Where the provider sends the browser back to, from the way in to a path."""
        begun = self.get("/sign-in", params={"next": path})
        assert begun.status_code == 303, begun.text
        return httpx.get(begun.headers["location"]).headers["location"]

    def return_to(self, address: str) -> httpx.Response:
        """The answer to the way back."""
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}" == self.origin
        return self.get(f"{parts.path}?{parts.query}", headers={"Sec-Fetch-Site": "cross-site"} | NAVIGATION)

    def sign_in(self, path: str = "/") -> httpx.Response:
        """The answer to a person who has signed in at the provider."""
        return self.return_to(self.visit_provider(path))

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=self.origin, cookies=self.cookies) as client:
            answer = await client.request(method, path, **options)
        self.cookies = client.cookies
        return answer


NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
"""What a browser says when a person follows a link."""
