"""Headless Chromium, for the benchmark of the desk and for the tests of its pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, sync_playwright

OPTIONS: Final = (
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str:
    """The program: CHROMIUM_PATH, or Debian's.

    Raises:
        AssertionError: There is none; says how to install one.
    """
    found = os.environ.get("CHROMIUM_PATH") or shutil.which("chromium")
    assert found, "found no Chromium; install it by `apt-get install chromium`, or let CHROMIUM_PATH name the program"
    return found


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser while the block runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()
