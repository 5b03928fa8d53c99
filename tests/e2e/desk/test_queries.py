"""Long queries from the pages: asked, watched, stopped, asked again, and their answers taken away."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.champion import CONFIG
from loopcast.client import Client
from loopcast.client.answers.queries import Query
from loopcast.config import load_problem
from loopcast.stores.sources import read_source
from tests.e2e.browser import WIDTHS, Person, find_barriers, find_breaks, settle, take_screenshot
from tests.e2e.desk.conftest import NewPerson

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("worker")]

GOOG = "/forecast?problem=google&series=GOOG"
ANSWER_MS = 30_000
"""For a query that takes seconds, on a machine that does other things as well."""
QUERY = re.compile(r"/queries/([0-9a-f-]{36})$")
ASKED = {
    "explanation": {"series_id": "GOOG"},
    "backtest": {"series_id": "GOOG", "since": "2012-07-02"},
    "what_if": {
        "series_id": "GOOG",
        "changes": [{"column": "volume", "operation": "multiply", "value": 3, "last_n_steps": 2}],
    },
}
"""Questions whose answers are shown in every width and colour."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as people have it: the last half year of two stocks, as their source says it."""
    source = read_source(load_problem(CONFIG))
    file = tmp_path_factory.mktemp("files") / "stocks.csv"
    source[source["ticker"].isin(["GOOG", "IBM"]) & (source["date"] >= "2012-07-01")].to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def answered(desk, worker) -> Iterator[dict[str, Query]]:
    """The same questions by the client, answered."""
    with Client(desk.url) as client:
        asked = {kind: client.submit("google", kind, **request).query_id for kind, request in ASKED.items()}
        yield {kind: client.wait(query_id, timeout_s=60) for kind, query_id in asked.items()}


def expect_answer(page: Page) -> str:
    """The id of the query on whose page one is, once it is answered; without touching the page."""
    expect(page).to_have_url(QUERY, timeout=ANSWER_MS)
    expect(page.locator("main")).to_contain_text("Done", timeout=ANSWER_MS)
    settle(page)
    found = QUERY.search(page.url)
    assert found is not None
    return found[1]


def test_an_explanation_in_detail_is_one_click_away(ada: Person):
    """The answer comes onto the page by itself."""
    page = ada.open(GOOG)
    page.get_by_role("button", name="Explain it in detail").click()

    expect_answer(page)
    expect(page.get_by_role("heading", name="Feature by feature, and how long ago")).to_be_visible()


def test_a_test_on_the_past_gives_what_came_true_as_a_file(ada: Person, client: Client):
    """For the days that were asked for."""
    page = ada.open(GOOG)
    page.get_by_role("button", name="Test it on the past").click()
    page.get_by_label("From", exact=True).fill("2012-10-01")
    page.get_by_label("To", exact=True).fill("2012-12-31")
    page.get_by_role("button", name="Test", exact=True).click()

    query = client.query(expect_answer(page))
    assert query.request == {"series_id": "GOOG", "since": "2012-10-01", "until": "2012-12-31"}
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile(r"Download .*\.csv")).first.click()
    with Path(download.value.path()).open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) >= 60


def test_what_if_compares_two_forecasts(ada: Person):
    """With as many changes as one likes; one that was added by mistake is left out again."""
    page = ada.open(GOOG)
    page.get_by_role("button", name="What if …").click()
    dialog = page.get_by_role("dialog", name="What if …")
    dialog.get_by_label("Column").select_option("volume")
    dialog.get_by_label("Value").fill("3")
    dialog.get_by_role("button", name="Add another change").click()
    dialog.get_by_role("button", name="Leave this change out").click()
    dialog.get_by_role("button", name="Forecast it").click()

    expect_answer(page)
    expect(page.get_by_role("heading", name="As it is, and as if")).to_be_visible()


def test_a_file_is_forecast_series_by_series(ada: Person, rows: Path):
    """Sent by the page, answered as a file that a spreadsheet opens."""
    page = ada.open(GOOG)
    page.get_by_role("button", name="Forecast a file").click()
    page.get_by_label("File", exact=True).set_input_files(rows)
    page.get_by_role("button", name="Send and forecast").click()

    expect_answer(page)
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("Download")).first.click()
    with Path(download.value.path()).open(newline="", encoding="utf-8") as file:
        assert {row["series_id"] for row in csv.DictReader(file)} == {"GOOG", "IBM"}


def test_a_file_that_cannot_be_forecast_fails_alone_and_says_why(ada: Person, tmp_path: Path):
    """And can be asked again, by which it fails again."""
    (tmp_path / "letter.csv").write_text("dear,sir\n1,2\n", encoding="utf-8")
    page = ada.open(GOOG)
    page.get_by_role("button", name="Forecast a file").click()
    page.get_by_label("File", exact=True).set_input_files(tmp_path / "letter.csv")
    page.get_by_role("button", name="Send and forecast").click()

    expect(page.get_by_role("alert")).to_contain_text("ticker", timeout=ANSWER_MS)
    first = page.url
    page.get_by_role("button", name="Ask again").click()
    expect(page).not_to_have_url(first)
    expect(page.get_by_role("alert")).to_contain_text("ticker", timeout=ANSWER_MS)


def test_a_training_is_watched_and_stopped(ada: Person, client: Client):
    """Its progress comes by itself; once it was stopped, nothing of it is decided, and it can be asked again."""
    n_versions = len(client.models("google").versions)
    page = ada.open("/models?problem=google")
    page.get_by_role("button", name="Train a new version…").click()
    dialog = page.get_by_role("dialog", name="Train a new version?")
    dialog.get_by_label("Why").fill("The test trains one")
    dialog.get_by_role("button", name="Train").click()

    expect(page).to_have_url(QUERY)
    progress = page.get_by_role("region", name="How far it is")
    expect(progress).to_contain_text("Running", timeout=ANSWER_MS)
    page.get_by_role("button", name="Stop it").click()
    expect(page.locator("main")).to_contain_text("Stopped", timeout=ANSWER_MS)
    expect(page.get_by_role("button", name="Ask again")).to_be_visible(timeout=ANSWER_MS)
    assert len(client.models("google").versions) == n_versions


def test_the_list_has_every_query_with_its_state(ada: Person, answered: dict[str, Query]):
    """And leads to each."""
    page = ada.open("/queries")
    link = page.locator(f"a[href='/queries/{answered['what_if'].query_id}']")

    expect(page.locator("tr", has=link)).to_contain_text("Done")
    link.click()
    expect(page.get_by_role("heading", name="As it is, and as if")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", ASKED)
def test_an_answer_is_whole_and_without_barriers(meet: NewPerson, answered: dict[str, Query], kind: str, width: int):
    """However wide it is shown."""
    assert answered[kind].state == "done", answered[kind].reason
    page = meet(width=width).open(f"/queries/{answered[kind].query_id}")
    take_screenshot(page, f"query-{kind}-{width}")

    assert find_breaks(page) == []
    assert find_barriers(page) == []
