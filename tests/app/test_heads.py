"""What a HEAD is answered: all that a GET is, but the body."""

import asyncio

import pytest

from app.heads import HeadAnswers
from tests.app.client import API, code_of

PATHS = ["/livez", "/readyz", "/openapi.json", f"{API}/problems", f"{API}/problems/nothing", "/forecast", "/nothing"]


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
@pytest.mark.parametrize("path", PATHS)
def test_a_head_is_answered_as_a_get_without_its_body(client, path, accept):
    """Status and headers too, of answers, of pages and of refusals."""
    found, asked = (
        client.ask(method, path, headers={"Accept": accept, "Accept-Encoding": "identity"})
        for method in ("HEAD", "GET")
    )

    assert found.content == b""
    assert found.status_code == asked.status_code
    assert told_in(found) == told_in(asked)


def told_in(response):
    """Its headers, but for the one that names the request."""
    return {name: value for name, value in response.headers.items() if name != "x-request-id"}


def test_what_only_a_post_may_do_no_head_does(client):
    """It is refused as a GET is."""
    refused = client.ask("HEAD", f"{API}/problems/google/forecasts")

    assert refused.status_code == code_of(client.get(f"{API}/problems/google/forecasts"))[0] == 405


def test_a_stream_without_end_is_ended_by_its_head():
    """Whoever asks for a HEAD waits for no body, and what streams is told that nobody listens."""
    is_over = asyncio.Event()

    async def stream(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not is_over.is_set():
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})

    sent = []

    async def send(message):
        sent.append(message)
        if message["type"] == "http.response.body":
            is_over.set()

    asyncio.run(HeadAnswers(stream)({"type": "http", "method": "HEAD"}, None, send))

    assert sent == [{"type": "http.response.start", "status": 200, "headers": []}, {"type": "http.response.body"}]
