"""People with a browser, pages that note what must not happen on them, and what a page is judged by."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from tests.e2e.conftest import ROOT

SCREENSHOTS: Final = ROOT / "build" / "screenshots"
WIDTHS: Final = (360, 1280)
HEIGHT: Final = 800
TIMEOUT_MS: Final = 15_000
expect.set_options(timeout=TIMEOUT_MS)
WCAG: Final = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
GRAVE: Final = frozenset(["serious", "critical"])
COUNT_COLOURS: Final = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const counts = {};
  for (let k = 0; k < data.length; k += 4) {
    if (data[k + 3]) { const key = data.slice(k, k + 4).join(","); counts[key] = (counts[key] ?? 0) + 1; }
  }
  return Object.fromEntries(Object.entries(counts).filter(([, n]) => n > 50));
}"""
FIND_BREAKS: Final = (Path(__file__).parent / "find_breaks.js").read_text(encoding="utf-8")


@dataclass
class Person:
    """Somebody with a browser of their own, which notes what must not happen.

    Attributes:
        origin: Of the service.
        context: Cookies and storage of this person.
        faults: Errors in the console, broken policies, and requests that left the service.
        allowed: Parts of faults that a test expects.
    """

    origin: str
    context: BrowserContext
    faults: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.set_default_timeout(TIMEOUT_MS)
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda error: self.faults.append(f"uncaught: {error.error}"))
        self.context.on("request", self._see)

    def open(self, path: str) -> Page:
        """A new page at a path of the service, loaded to the end."""
        page = self.context.new_page()
        page.goto(f"{self.origin}{path}", wait_until="load")
        settle(page)
        return page

    def found_faults(self) -> list[str]:
        """Those that nobody expected."""
        return [each for each in self.faults if not any(part in each for part in self.allowed)]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(f"{message.page.url if message.page else '?'}: {message.type}: {message.text}")

    def _see(self, request: Request) -> None:
        """What a page of the service asks for elsewhere; what pages of others do is theirs."""
        if request.frame.url.startswith((self.origin, "about:")) and not is_within(request.url, self.origin):
            self.faults.append(f"left the service: {request.url}")


def is_within(url: str, origin: str) -> bool:
    """Whether an address is one of an origin, or holds what it means itself."""
    scheme, host, *_ = urlsplit(url)
    return scheme in {"data", "blob"} or f"{scheme}://{host}" == origin


def settle(page: Page) -> None:
    """Return when the parts of a page have come that it fetches after itself."""
    page.wait_for_load_state("load")
    expect(page.locator(".htmx-request, [hx-trigger=load]:has(.loading:visible)")).to_have_count(0)


@contextmanager
def person(browser: Browser, origin: str, width: int = 1280, **options: Any) -> Iterator[Person]:
    """A person who walks through the desk without a fault.

    Args:
        options: As Playwright's `new_context` takes them.
    """
    options = {"viewport": {"width": width, "height": HEIGHT}, "timezone_id": "Europe/Zurich", **options}
    context = browser.new_context(**options)
    try:
        someone = Person(origin, context)
        yield someone
        found = someone.found_faults()
        assert not found, "\n".join(found)
    finally:
        context.close()


def find_barriers(page: Page) -> list[str]:
    """What keeps people from using a page: rules of WCAG 2.2 AA that axe finds seriously broken, and where."""
    found = Axe().run(page, options=WCAG).response["violations"]
    return [
        f"{page.url}: {each['id']}: {node['html'][:120]}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]


def find_breaks(page: Page) -> list[str]:
    """Where the layout of a page is broken: it scrolls sideways, or controls are cut off or lie over each other."""
    found: list[str] = page.evaluate(FIND_BREAKS)
    return [f"{page.url}: {each}" for each in found]


def take_screenshot(page: Page, name: str) -> Path:
    """Keep what is seen, for people."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    file, before = SCREENSHOTS / f"{name}.png", page.viewport_size
    assert before is not None
    height: int = page.evaluate("() => document.documentElement.scrollHeight")
    page.set_viewport_size({"width": before["width"], "height": height})  # what sticks to its edges is as tall
    page.screenshot(path=file, animations="disabled")
    page.set_viewport_size(before)
    return file


def read_picture(chart: Locator) -> dict[str, int]:
    """How many pixels of each colour are drawn in a chart; rare ones, as between two colours, are left out."""
    found: dict[str, int] = chart.locator("canvas").evaluate(COUNT_COLOURS)
    return found
