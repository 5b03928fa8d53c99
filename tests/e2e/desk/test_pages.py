"""Every page, as anybody sees it who opens it: whole at any width, in both colours, without barriers or faults."""

from pathlib import Path

import pytest

from loopcast.client import Client
from tests.e2e.browser import find_barriers, find_breaks, take_screenshot
from tests.e2e.desk.conftest import NewPerson

PAGES = {
    "forecast": "/forecast?problem=google&series=GOOG",
    "track-record": "/track-record?problem=google&series=GOOG",
    "health": "/health?problem=google",
    "models": "/models?problem=google",
    "model": "/models/1?problem=google",
    "queries": "/queries",
    "tokens": "/tokens",
    "audit": "/audit",
}
LOOKS = ((360, "dark"), (1280, "light"))
"""Width and colours: what breaks a layout is not the colour, and what is hard to read not the width."""


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_without_barriers(meet: NewPerson, name: str, width: int, scheme: str):
    """Nothing is cut off or lies over something else, and axe finds nothing serious; a picture is kept."""
    someone = meet(width=width, color_scheme=scheme)

    page = someone.open(PAGES[name])
    take_screenshot(page, f"{name}-{width}-{scheme}")

    assert find_breaks(page) == []
    assert find_barriers(page) == []


def test_what_is_open_is_whole_too(meet: NewPerson):
    """Dialogs, the menu, and all that is folded, on a phone."""
    page = meet(width=360).open(PAGES["forecast"])
    for details in page.locator("main details").all():
        details.locator("summary").click()
    for name in ("Test it on the past", "What if …", "Forecast a file"):
        page.get_by_role("button", name=name).click()
        assert find_breaks(page) == []
        assert find_barriers(page) == []
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Menu").click()

    assert find_breaks(page) == []
    assert find_barriers(page) == []


def test_the_audit_of_an_upload_stays_readable(meet: NewPerson, client: Client, tmp_path: Path):
    """Digests of 64 letters stand in their own column, and take no room from the ids beside them."""
    (tmp_path / "prices.csv").write_text("ticker,date\nGOOG,2013-03-01\n")
    client.upload(tmp_path / "prices.csv")

    page = meet().open(PAGES["audit"])
    subject, frame = page.locator("td.subject").first.bounding_box(), page.locator(".table-frame").first

    assert subject["width"] > 160
    assert frame.evaluate("frame => frame.scrollWidth <= frame.clientWidth")


def test_events_do_not_lie_over_each_other_on_the_narrowest_phone(meet: NewPerson):
    """A badge and its moment share a line; neither is written over the other."""
    page = meet(width=320).open(PAGES["model"])
    badge = page.locator(".events .badge").first.bounding_box()
    moment = page.locator(".events .when").first.bounding_box()

    assert badge["x"] + badge["width"] <= moment["x"]


def test_without_scripts_nothing_is_waited_for(meet: NewPerson):
    """What a script would bring says so, and what the chart would show is told in a sentence."""
    page = meet(java_script_enabled=False).open(PAGES["forecast"])

    assert page.locator(".loading:visible, .plot:visible").count() == 0
    told = page.locator("#fan noscript p")
    assert told.is_visible()
    assert "the next 5: at the last one the median is" in told.inner_text()


def test_a_page_that_is_not_there_leads_back(meet: NewPerson):
    """As a page, and without barriers."""
    someone = meet()
    someone.allowed.append("404")

    page = someone.open("/nothing")

    assert find_barriers(page) == []
    assert page.get_by_role("link", name="Forecast").first.is_visible()
