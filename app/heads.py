"""What is answered to a HEAD, which monitors and `curl -I` send: what a GET is, without its body."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAnswers:
    """Lets the app answer a HEAD as a GET; so it stands in the log and in the metrics, too.

    Source: RFC 9110, section 9.3.2.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})  # at once: what streams learns that nobody listens

        await self.app({**scope, "method": "GET"}, receive, send_head)
