"""What pages are judged by finds what it is there to find."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from benchmarks.chromium import open_browser
from tests.e2e.browser import find_barriers, find_breaks, person

ORIGIN = "http://127.0.0.1:9"
"""Nothing listens there; pages are set by the tests."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with open_browser() as browser:
        yield browser


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<button>A</button> <button>B</button>", []),
        ("<div class=wide>x</div>", ["is 900 px wide, and has 360"]),
        ("<div class=box><button class=wide>A</button></div>", []),
        ("<div class=hide><button class=wide>A</button></div>", ["<button> A is cut off"]),
        ("<button class=over>A</button><button class=over>B</button>", ["<button> A lies over <button> B"]),
        (
            "<button class=clipped>Download everything</button>",
            ["<button> Download everything does not show all of its text"],
        ),
        ("<dialog class=over><button>A</button></dialog><button class=over>B</button>", []),
    ],
)
def test_a_broken_layout_is_found(browser: Browser, body: str, found: list[str]):
    """Too wide, cut off, or one over the other; what scrolls in a box of its own, or is not shown, is none."""
    style = """body { margin: 0 } .wide { width: 900px } .box { overflow-x: auto } .hide { overflow: hidden }
        .over { position: absolute; top: 40px; left: 40px }
        .clipped { width: 40px; overflow: hidden; white-space: nowrap }"""
    with person(browser, ORIGIN, width=360) as someone:
        page = someone.context.new_page()
        page.set_content(f"<!doctype html><title>t</title><style>{style}</style>{body}")

        assert [each.partition(": ")[2] for each in find_breaks(page)] == found


def test_a_barrier_is_found(browser: Browser):
    """A picture without words, grey on grey."""
    with person(browser, ORIGIN) as someone:
        page = someone.context.new_page()
        page.set_content(
            "<!doctype html><html lang=en><title>t</title><img src='data:,'><p style='color:#999'>grey</p>"
        )

        assert {each.split(": ")[1] for each in find_barriers(page)} == {"image-alt", "color-contrast"}


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("console.error('broken')", "error: broken"),
        ("setTimeout(() => { throw new Error('lost') })", "lost"),
        ("fetch('http://elsewhere.example/').catch(() => {})", "left the service: http://elsewhere.example/"),
    ],
)
def test_a_fault_on_a_page_fails_the_walk(browser: Browser, script: str, fault: str):
    """Whatever the page shows."""
    with pytest.raises(AssertionError, match=fault), person(browser, ORIGIN) as someone:
        someone.context.new_page().evaluate(f"async () => {{ {script}; await new Promise(r => setTimeout(r, 100)) }}")
