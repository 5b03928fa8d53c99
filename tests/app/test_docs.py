"""The documentation: what it says can be sent is answered, and what it says is counted is."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

from app.api import create_app
from app.parts import ServiceParts
from app.tokens import ActiveTokens
from tests.app.client import Client

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
POSTS = [shlex.split(block) for block in re.findall(r"```sh\n(curl [^`]*? -d [^`]*?)```", PAGE)]


def test_every_body_of_the_page_is_answered(client: Client):
    """Each curl that sends something, as it stands."""
    for words in POSTS:
        path, body = words[2].removeprefix("localhost:3000"), words[words.index("-d") + 1]
        assert client.post(path, json.loads(body)).status_code == 200, words

    assert len(POSTS) == 2


def test_the_page_names_the_metrics_that_there_are(kept: ServiceParts, tokens: ActiveTokens):
    """Each of ours, and no other; but for one that only a service has that follows a registry."""
    named = set(re.findall(r"`(loopcast_\w+)", PAGE)) - {"loopcast_registry_checked_ago_seconds"}
    client = Client(create_app(replace(kept, tokens=tokens)))

    text = client.get("/metrics").text

    assert set(re.findall(r"^# TYPE (loopcast_\w+?)(?<!_created) ", text, flags=re.MULTILINE)) == named
