"""The Forecast page, as somebody uses it who never saw it before."""

import csv
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from loopcast.client import Client
from tests.e2e.browser import Person, read_picture, settle
from tests.e2e.desk.conftest import NewPerson

GOOG = "/forecast?problem=google&series=GOOG"


def read_table(page: Page) -> list[list[str]]:
    """The table of the forecast's usual levels, cell by cell."""
    table = page.get_by_role("region", name="In figures").get_by_role("table").first
    return [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]


def test_a_newcomer_picks_a_series_and_reads_its_fan(ada: Person):
    """From the bare address to the forecast of a stock, drawn and in figures."""
    page = ada.open("/")
    page.get_by_label("Series").select_option("AAPL")
    expect(page).to_have_url(re.compile("series=AAPL"))
    settle(page)

    expect(page.get_by_role("heading", level=1)).to_have_text("AAPL")

    chart = page.get_by_role("img", name=re.compile("the next 5"))
    expect(chart).to_be_visible()
    assert len(read_picture(chart)) > 4, "the chart has a past, a median and bands, each in a colour of its own"
    rows = read_table(page)
    assert len(rows) == 5
    for _, *levels in rows:
        values = [float(value.replace(",", "")) for value in levels]
        assert values == sorted(values)


def test_everybody_who_looks_sees_one_and_the_same_forecast(meet: NewPerson, client: Client):
    """It is made once, and stored under the id that each of them can save."""
    ids = set()
    for someone in (meet(), meet()):
        page = someone.open(GOOG)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download CSV").click()
        with Path(download.value.path()).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        ids |= {row["forecast_id"] for row in rows}

    [forecast_id] = ids
    stored = client.stored_forecast(forecast_id)
    assert [float(row["quantile_0.5"]) for row in rows] == list(stored.quantiles["0.5"])
    assert [row["target_utc"] for row in rows] == [f"{each:%Y-%m-%dT%H:%M:%SZ}" for each in stored.target_utc]
    assert download.value.suggested_filename == "google-GOOG-2013-03-01.csv"


def test_the_picture_is_a_png_of_the_chart(ada: Person):
    """Not an empty one."""
    page = ada.open(GOOG)

    with page.expect_download() as download:
        page.get_by_role("button", name="Save picture").click()

    picture = Path(download.value.path()).read_bytes()
    assert download.value.suggested_filename == "google-GOOG.png"
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(picture) > 5_000


def test_the_explanation_says_in_words_what_the_api_says_in_figures(ada: Person, client: Client):
    """A bar for volatility itself, and one for each group of features."""
    explained = client.explain("google", "GOOG")

    page = ada.open(GOOG)
    bars = page.get_by_role("region", name="Why it is so wide").get_by_role("listitem")

    expect(bars).to_have_count(1 + len(explained.contributions))
    greatest = explained.contributions[0]
    bar = bars.filter(has_text=greatest.group)
    expect(bar).to_contain_text(f"{abs(greatest.width_ratio - 1):.1%}".removesuffix("%"))
    expect(bar).to_contain_text("wider" if greatest.width_ratio > 1 else "narrower")


def test_a_forecast_leads_back_to_its_training(ada: Person, client: Client):
    """Commit and snapshot stand on the page."""
    model = client.model("google")

    page = ada.open(GOOG)
    page.get_by_text("Lineage", exact=True).click()

    section = page.get_by_role("region", name="Where it comes from")
    expect(section).to_contain_text(model.lineage.snapshot_sha256[:12])
    expect(section).to_contain_text((model.lineage.git_commit or "")[:7])


def test_times_are_in_the_zone_of_whoever_looks_and_the_zone_is_named(meet: NewPerson):
    """In Zurich another hour is shown than in Tokyo."""
    shown = []
    for zone in ("Europe/Zurich", "Asia/Tokyo"):
        page = meet(timezone_id=zone).open(GOOG)
        expect(page.get_by_role("contentinfo")).to_contain_text(zone)
        shown.append(page.locator("time").first.inner_text())

    assert shown[0] != shown[1]


def test_the_series_is_chosen_and_the_page_read_by_keyboard_alone(ada: Person):
    """The first key leads past the navigation; what has the focus can be seen."""
    page = ada.open(GOOG)

    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Series")).to_be_focused()
    assert page.locator(":focus").evaluate("e => getComputedStyle(e).outlineStyle") != "none"
    page.keyboard.type("MSFT")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("MSFT")


def test_the_menu_of_a_phone_opens_and_closes_by_keyboard(meet: NewPerson):
    """And leads to the other pages."""
    page = meet(width=360).open(GOOG)
    menu = page.get_by_role("button", name="Menu")

    menu.press("Enter")
    expect(page.get_by_role("link", name="Track record").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
    menu.press("Enter")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Health").press("Enter")

    expect(page).to_have_url(re.compile("/health"))


def test_colours_that_were_chosen_stay(ada: Person):
    """Also on the next page, and whatever the system has."""
    page = ada.open(GOOG)
    before = page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor")
    page.get_by_label("Colours").select_option("dark")
    page.reload()

    after = page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor")
    assert (page.get_by_label("Colours").input_value(), after != before) == ("dark", True)


def test_a_series_that_is_not_there_is_answered_with_the_way_to_one_that_is(ada: Person):
    """With a status that programs understand."""
    ada.allowed.append("404")

    page = ada.open("/forecast?problem=google&series=%3Cscript%3Ealert(1)%3C/script%3E")

    expect(page.get_by_role("main")).to_contain_text("<script>alert(1)</script>")
    page.get_by_role("main").get_by_role("link", name="Show the first one").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("GOOG")
