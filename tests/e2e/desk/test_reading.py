"""Track record, health and audit: what the pages say is what the API says, and filters do what they say."""

import re

from playwright.sync_api import expect

from loopcast.client import Client
from tests.e2e.browser import Person, read_picture, settle

TRACK_RECORD = "/track-record?problem=google&series=GOOG"


def test_the_track_record_says_what_came_true(ada: Person, client: Client):
    """As many steps as the API counts, the intervals that held, and a picture of both."""
    overall = client.track_record("google", series="GOOG").overall

    page = ada.open(TRACK_RECORD)

    expect(page.locator("main")).to_contain_text(f"{overall.n_judged:,}")
    expect(page.locator("main")).to_contain_text(re.compile(rf"{100 * (overall.coverage_80_ratio or 0):.1f}\s*%"))
    assert len(read_picture(page.get_by_role("img", name=re.compile("what came true as dots")))) > 3


def test_filters_narrow_the_track_record_and_stay_in_the_address(ada: Person, client: Client):
    """One horizon of one version; the page can be sent to somebody as it is."""
    chosen = client.track_record("google", series="AAPL", horizon=5, version=2)

    page = ada.open(TRACK_RECORD)
    for label, value, part in (
        ("Series", "AAPL", "series=AAPL"),
        ("Steps ahead", "5", "horizon=5"),
        ("Model version", "2", "version=2"),
    ):
        page.get_by_label(label, exact=True).select_option(value)
        expect(page).to_have_url(re.compile(part))
        settle(page)
    again = ada.open(page.url.removeprefix(ada.origin))

    for each in (page, again):
        expect(each.locator("main")).to_contain_text(f"{chosen.overall.n_judged:,}")
        expect(each.get_by_role("heading", name=re.compile("AAPL: forecast 5 business days ahead"))).to_be_visible()


def test_health_tells_an_alert_that_came_and_went(ada: Person, client: Client):
    """On the time line, beside the decisions."""
    assert client.health("google").open_alerts == ()

    page = ada.open("/health?problem=google")

    expect(page.locator("main")).to_contain_text("All is well")
    events = page.get_by_role("region", name="What happened")
    expect(events).to_contain_text("no row in the last 60 steps")
    expect(events).to_contain_text("Version 2")
