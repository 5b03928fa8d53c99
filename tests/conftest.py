"""How the tests are shared out among workers; what they need stands beside them."""

from pathlib import Path
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

TOGETHER: Final = "tests/e2e/desk"
"""Its files share a machine that takes half a minute to make, and so stay on one worker."""


class Shares(LoadFileScheduling):
    """Each file on one worker, and the desk on one."""

    def _split_scope(self, nodeid: str) -> str:
        scope = super()._split_scope(nodeid)
        return TOGETHER if Path(TOGETHER) in Path(scope).parents else scope


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Shares | None:
    """Ours, where files are to be kept together."""
    return Shares(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let files with a slow test come first, so that none is left for one worker when the others have ended."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
