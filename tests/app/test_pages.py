"""The pages' ground: what every page has, the Forecast page, what is shipped with them, and refusals as pages."""

import csv
import gzip
import hashlib
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.api import create_app
from app.pages.answered import Answered
from app.pages.assets import FOLDER, read_assets
from app.pages.fan import draw_fan
from app.pages.trust import count_steps_ago, tell_trust
from app.parts import ServiceParts
from loopcast.stores.champions import FixedChampions, ServedProblem
from loopcast.stores.tokens import Role
from tests.app.client import API, Client, code_of, signed

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGES = ("/forecast", "/forecast?problem=prices&series=S1", "/queries")
STYLE_OR_SCRIPT = re.compile(
    r"""\sstyle=|\son[a-z]+=|<style|<script(?![^>]*(?:src=|type="application/json"))|javascript:"""
)
CROOKED = '</script><img src=x onerror="alert(1)">'


@pytest.fixture
def browser(parts: ServiceParts) -> Client:
    """Asks a service on loopback for pages."""
    return Client(create_app(parts), HTML)


def read_chart(page: str) -> dict:
    """What the first chart of a page is drawn from."""
    found = re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found, "no chart"
    return json.loads(found[1])


def test_the_first_page_is_the_forecast(browser):
    """Of the first problem, without a question."""
    home = browser.get("/")

    assert (home.status_code, home.headers["location"]) == (303, "/forecast")
    assert "<h1>GOOG</h1>" in browser.get("/forecast").text


@pytest.mark.parametrize("path", PAGES)
def test_a_page_allows_no_inline_code_and_has_none(browser, path):
    """Its policy lets scripts and styles of the service in alone; what breaks it would not work."""
    page = browser.get(path)

    policy = page.headers["content-security-policy"]
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not STYLE_OR_SCRIPT.findall(page.text)


def test_the_forecast_is_the_one_that_was_stored(browser, google, kept):
    """All who look at one state see one forecast, under one id, which leads to where it comes from."""
    browser = Client(create_app(kept), HTML)
    csvs = [list(csv.DictReader(io.StringIO(browser.get("/forecast.csv").text))) for _ in range(3)]
    forecast_id = csvs[0][0]["forecast_id"]

    stored = browser.get(f"{API}/forecasts/{forecast_id}").json()
    lineage = browser.get("/forecast/lineage", params={"forecast_id": forecast_id}).text

    assert csvs[0] == csvs[1] == csvs[2]
    assert forecast_id in browser.get("/forecast").text
    assert [float(row["quantile_0.5"]) for row in csvs[0]] == stored["quantiles"]["0.5"]
    assert google.model.weights_sha256 in lineage
    assert "c0ffee" in lineage


def test_a_new_history_makes_a_new_forecast(make_parts, google):
    """What is shown belongs to a version and a history, and does not outlive them."""
    parts = make_parts(champions=FixedChampions({"google": google}))
    app = create_app(parts)
    before = Client(app).get("/forecast.csv").text
    newer = replace(google, history_sha256="7b" * 32)
    app.state.parts = replace(parts, champions=FixedChampions({"google": newer}))

    assert Client(app).get("/forecast.csv").text != before


def test_dates_are_those_of_the_problem_and_not_of_who_looks(browser):
    """Midnight in New York is not the evening before: neither in the table, nor in the chart, nor in the file."""
    page = browser.get("/forecast").text
    rows = list(csv.DictReader(io.StringIO(browser.get("/forecast.csv").text)))
    chart = read_chart(page)

    assert "Mon 4 Mar" in page
    assert "New York (America/New_York)" in page
    assert chart["clock"] == "date"
    assert datetime.fromtimestamp(chart["times"][-5], UTC) == datetime(2013, 3, 4, tzinfo=UTC)
    assert (rows[0]["target_date"], rows[0]["target_utc"]) == ("2013-03-04", "2013-03-04T05:00:00Z")


def test_the_chart_goes_on_from_the_last_value(browser, google):
    """Half a year of history, then both bands around the median, all from the last observed value on."""
    chart = read_chart(browser.get("/forecast").text)
    lines = {line["label"]: line["values"] for line in chart["lines"]}
    origin = float(google.design.target[google.latest["GOOG"]])

    assert len(chart["times"]) == 126 + 5
    assert lines["Observed"][-6] == lines["Median"][-6] == lines["95\u202f% from"][-6] == pytest.approx(origin)
    assert lines["Observed"][-5:] == [None] * 5
    assert lines["95\u202f% from"][-1] < lines["80\u202f% from"][-1] < lines["Median"][-1] < lines["80\u202f% to"][-1]


def test_a_cut_in_the_history_is_a_gap_in_the_line(google, parts):
    """Nothing is drawn where nothing is known."""
    problem = google.model.problem
    times = google.design.timestamp_utc[-4:]
    found = Answered(
        id=None, series_id="GOOG", issued_at_utc=None, origin_utc=None, origin_value=4.0,
        target_utc=times[-1:] + 10**9, quantiles=google.design.target[-13:][None],
        past_utc=times, past=google.design.target[-4:] * [1, float("nan"), 1, 1],
    )  # fmt: skip

    assert [each is None for each in draw_fan(found, problem, "cut").lines[0].values] == [
        False,
        True,
        False,
        False,
        True,
    ]


def test_an_old_history_is_said(browser, google, parts):
    """Google's prices end in 2013; whoever looks at the next day's forecast in 2026 must not take it for tomorrow's."""
    assert "The history of GOOG ends on 1 Mar 2013" in browser.get("/forecast").text
    found = Answered(
        id=None, series_id="GOOG", issued_at_utc=None, origin_utc=None, origin_value=1.0, quantiles=None, past=None,
        target_utc=google.design.timestamp_utc[-1:] + 5 * 86_400_000_000, past_utc=google.design.timestamp_utc[-1:],
    )  # fmt: skip
    last = found.past_utc[0].astype(datetime).replace(tzinfo=UTC)

    assert count_steps_ago(found, google, last) is None
    assert count_steps_ago(found, google, last.replace(year=2015)) == "520 business days"


@pytest.mark.parametrize(
    ("metrics", "point", "worth"),
    [
        ({"mae_ratio": 1.002, "skill_ratio": 0.031}, "no better than the last value", "3.1\u202f% below"),
        ({"mae_ratio": 0.8, "skill_ratio": -0.02}, "20.0\u202f% below that of the last value", "no skill"),
        ({}, "", ""),
    ],
)
def test_trust_is_told_as_it_was_measured(google, metrics, point, worth):
    """Coverage, skill and the point forecast as the backtest has them; what is not known is not said."""
    coverage = {"coverage_80_ratio": 0.79, "coverage_95_ratio": 0.94}

    told = tell_trust(replace(google, metrics=coverage | metrics))

    assert told is not None
    assert "79.0\u202f%" in told.coverage
    assert point in told.point
    assert worth in told.worth
    assert bool(told.point) == bool(point)


def test_a_version_without_a_backtest_says_so(make_parts, google):
    """Rather than nothing."""
    parts = make_parts(champions=FixedChampions({"google": replace(google, metrics={})}))

    assert "No figures of a backtest are known for version 7" in Client(create_app(parts)).get("/forecast").text


def test_the_width_is_explained_in_words(browser):
    """Each group of features says how much wider or narrower it makes the intervals, and all of them add up."""
    part = browser.get("/forecast/explanation?series=GOOG").text

    assert re.search(r"The intervals are (\d+\.\d\u202f% (wider|narrower) than|about as wide as) usual for GOOG", part)
    assert len(re.findall(r"<b>(?:\d+\.\d\u202f% (?:wider|narrower)|no change)</b>", part)) == 9
    assert "volatility of the last 5 steps" in part


def test_a_formula_explains_itself(browser):
    """By its volatility alone, and by a sentence instead of an error."""
    part = browser.get("/forecast/explanation?problem=prices&series=S0")

    assert part.status_code == 200
    assert "a formula of past volatility" in part.text


def test_a_file_cannot_make_a_spreadsheet_compute(make_parts, prices):
    """A series may have any name; at the head of a cell some characters are formulas."""
    parts = make_parts(champions=FixedChampions({"prices": rename_first(prices, '=HYPERLINK("http://x")')}))

    answer = Client(create_app(parts)).get("/forecast.csv", params={"series": '=HYPERLINK("http://x")'})
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert {row["series_id"] for row in rows} == {'\'=HYPERLINK("http://x")'}
    assert answer.headers["content-disposition"] == 'attachment; filename="prices-HYPERLINK-http-x-2016-12-02.csv"'


def test_a_name_cannot_become_a_part_of_the_page(make_parts, prices):
    """It is escaped in texts, in attributes, and in the figures of a chart."""
    parts = make_parts(champions=FixedChampions({"prices": rename_first(prices, CROOKED)}))
    browser = Client(create_app(parts), HTML)

    page = browser.get("/forecast", params={"series": CROOKED}).text
    found = browser.get("/forecast/series", params={"find": "script"}).text

    assert page.count("<img") == found.count("<img") == 0
    assert read_chart(page)["title"] == f"Simulated prices: {CROOKED}"


def rename_first(served: ServedProblem, name: str) -> ServedProblem:
    """The same problem, whose first series has another name."""
    names = (name, *served.design.series_ids[1:])
    latest = {name if old == served.design.series_ids[0] else old: row for old, row in served.latest.items()}
    return replace(served, design=replace(served.design, series_ids=names), latest=latest)


def test_many_series_are_searched_for(make_parts, prices):
    """Thousands do not go into a list; a part of a name finds them, on the page and as a part of it."""
    latest = {f"S{k:04d}": prices.latest["S0"] for k in range(3000)}
    parts = make_parts(champions=FixedChampions({"prices": replace(prices, latest=latest)}))
    browser = Client(create_app(parts), HTML)

    part = browser.get("/forecast/series", params={"find": "s12"}).text
    page = browser.get("/forecast", params={"find": "s0042"}).text

    assert part.count("<li>") == 25
    assert "75 more" in part
    assert "<h1>S0042</h1>" in page
    assert page.count("<option") < 20
    assert "None is called that" in browser.get("/forecast/series", params={"find": "nothing"}).text


def test_an_unknown_series_is_a_page_of_its_own(browser):
    """It says what there is."""
    page = browser.get("/forecast?series=NIX")

    assert page.status_code == 404
    assert "none is called <strong>NIX</strong>" in page.text


@pytest.mark.parametrize("name", ["%0D%0AX-A:%20b", "%20", "a" * 201])
@pytest.mark.parametrize("path", ["/forecast.csv", "/forecast/explanation"])
def test_a_name_that_no_series_can_have_is_not_known(client, path, name):
    """It is a mistake of who asks, and becomes no part of an answer's head."""
    answer = client.get(f"{path}?problem=google&series={name}")

    assert code_of(answer)[0] == 422
    assert "x-a" not in answer.headers


@pytest.mark.parametrize("path", ["/forecast?problem=nothing", "/nowhere", f"/queries/{'0' * 32}"])
def test_a_refusal_is_a_page_for_people_and_json_for_programs(browser, client, path):
    """With the same status, sentence and request id."""
    page, answer = browser.get(path), client.get(path)

    assert code_of(answer) == (404, "not_found")
    assert page.status_code == 404
    assert "<h1>Not found</h1>" in page.text
    assert page.headers["x-request-id"] in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_the_api_answers_json_to_a_browser_too(browser):
    """Whoever opens an address of the API wants to see what a program would."""
    assert code_of(browser.get(f"{API}/problems/nothing")) == (404, "not_found")
    assert code_of(browser.get("/static/0/nothing.js")) == (404, "not_found")


def test_an_error_that_nobody_expected_is_a_page_that_tells_nothing(parts):
    """No trace of the inside, and the id under which it is logged."""
    app = create_app(parts)
    app.state.parts = replace(parts, journal=None)

    page = Client(app, HTML).get("/forecast")

    assert page.status_code == 500
    assert "Something went wrong" in page.text
    assert page.headers["x-request-id"] in page.text
    assert "journal" not in page.text


def test_a_refusal_that_cannot_be_shown_is_still_told(parts):
    """Where the page itself fails the program's answer is better than none."""
    app = create_app(parts)
    app.state.parts = replace(parts, champions=None)

    assert code_of(Client(app, HTML).get("/forecast")) == (500, "internal")


def test_before_the_first_champion_the_page_says_how_to_get_one(make_parts):
    """Instead of an error that nobody understands."""
    page = Client(create_app(make_parts(champions=FixedChampions())), HTML).get("/forecast")

    assert page.status_code == 503
    assert page.headers["retry-after"]
    assert "make demo" in page.text


def test_who_needs_not_sign_in_is_told_so(browser, make_parts, store, tokens):
    """On loopback everybody may do everything; who signed in sees their name instead."""
    _, secret = store.create("ada", "ada", Role.VIEWER, ())
    tokens.refresh()
    page = signed(create_app(make_parts(tokens=tokens)), secret).get("/forecast", headers=HTML).text

    assert "nobody signs in" in browser.get("/forecast").text
    assert "nobody signs in" not in page
    assert ">ada<" in page
    assert "/audit" not in page


def test_assets_are_kept_for_ever_at_an_address_that_changes_with_them(client):
    """Another release's address answers what there is now, and is asked again."""
    asset = read_assets()["desk.css"]

    found = client.get(asset.address, headers={"Accept-Encoding": "gzip"})
    other = client.get("/static/0123456789ab/desk.css", headers={"Accept-Encoding": "identity"})

    assert "immutable" in found.headers["cache-control"]
    assert found.headers["content-encoding"] == "gzip"
    assert other.headers["cache-control"] == "no-cache"
    assert other.content == found.content == (FOLDER / "desk.css").read_bytes()


@pytest.mark.parametrize("path", [read_assets()["desk.css"].address, "/forecast"], ids=["asset", "page"])
def test_who_refuses_gzip_gets_none(browser, path):
    """A weight of 0 is a refusal, also where the word stands there."""
    refused = browser.get(path, headers={"Accept-Encoding": "gzip;q=0"})
    taken = browser.get(path, headers={"Accept-Encoding": "gzip;q=0.1"})

    assert "content-encoding" not in refused.headers
    assert taken.headers["content-encoding"] == "gzip"


def test_assets_need_no_sign_in(make_parts, tokens):
    """The page to sign in is made of them."""
    client = Client(create_app(make_parts(tokens=tokens)))

    assert client.get(read_assets()["desk.css"].address).status_code == 200
    assert code_of(client.get("/forecast")) == (401, "not_signed_in")


def test_what_others_made_is_as_they_made_it():
    """The files, their licences and the table of where they come from belong together."""
    table = (FOLDER / "VERSIONS.md").read_text()
    told = re.findall(r"^\| `(\S+)` \|.*`(\S+\.txt)` \|.*`([0-9a-f]{64})` \|$", table, re.MULTILINE)

    assert {name for name, _, _ in told} == {path.name for path in FOLDER.glob("*.min.*")}
    for name, licence, digest in told:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest
        assert "Permission" in (FOLDER / licence).read_text()


def test_the_forecast_page_is_light(browser):
    """All that a first visit transfers, compressed."""
    page = browser.get("/forecast", headers={"Accept-Encoding": "gzip"})
    named = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
    parts = [browser.get(address, headers={"Accept-Encoding": "gzip"}) for address in named]

    n_bytes = len(gzip.compress(page.content, 5)) + sum(len(gzip.compress(part.content)) for part in parts)

    assert page.headers["content-encoding"] == "gzip"
    assert len(parts) == 8
    assert n_bytes < 100_000


def test_the_history_that_the_page_shows_is_there_for_programs(client, google):
    """What a page does the API does."""
    answer = client.get(f"{API}/problems/google/history", params={"series": "GOOG", "steps": 3}).json()

    assert answer["timestamp_utc"] == ["2013-02-27T05:00:00Z", "2013-02-28T05:00:00Z", "2013-03-01T05:00:00Z"]
    assert answer["value"] == pytest.approx(google.design.target[google.latest["GOOG"] - 2 :][:3])
    assert code_of(client.get(f"{API}/problems/google/history?series=NIX")) == (422, "unknown_series")
    assert [each["series_id"] for each in client.get(f"{API}/problems/prices/series?find=S1").json()["series"]] == [
        "S1"
    ]
