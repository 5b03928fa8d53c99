"""The pages of long queries: one's own list, how far each is, and what it found, kind by kind."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from app.api import create_app
from app.pages.results import view_explanation
from app.parts import ServiceParts
from app.queries.acts import ActDone
from loopcast.queries import requests
from loopcast.queries.backtest import backtest_series
from loopcast.queries.bulk_forecast import BulkForecast, RefusedRow
from loopcast.queries.champion import Champion
from loopcast.queries.explanation import explain_latest
from loopcast.queries.kinds import QueryKind
from loopcast.queries.what_if import ask_what_if
from loopcast.refusals import Reason
from loopcast.stores.champions import FixedChampions
from loopcast.stores.decisions import Decision, DecisionKind
from loopcast.stores.query import Query, QueryState
from tests.app.client import Client, code_of
from tests.queried import hear_nothing, make_champion

HTML = {"Accept": "text/html"}
EXPLAIN = requests.ExplanationRequest(series_id="S1")


@pytest.fixture(scope="module")
def champion(tmp_path_factory) -> Champion:
    """A network of simulated prices."""
    return make_champion(tmp_path_factory.mktemp("model"))


@pytest.fixture
def browser(parts: ServiceParts) -> Client:
    """Asks a service on loopback for pages."""
    return Client(create_app(parts), HTML)


def submit(
    parts: ServiceParts, kind: QueryKind = QueryKind.EXPLANATION, request: BaseModel = EXPLAIN, owner: str = "local"
) -> Query:
    """A new query of one's own."""
    asked = request.model_dump(mode="json")
    query = Query(problem="prices", kind=kind, owner=owner, request=asked, submitted_at_utc=datetime.now(UTC))
    return parts.queries.submit(query, max_open=10)


def end(parts: ServiceParts, query: Query, state: QueryState, **how: Any) -> None:
    """Let a worker have answered it."""
    begun = parts.queries.begin(query.id, query.job_id)
    assert begun is not None
    parts.queries.end(query.id, begun.job_id, state, **how)


def show_answered(browser: Client, parts: ServiceParts, kind: QueryKind, request: BaseModel, result: BaseModel) -> str:
    """The page of a query with this result."""
    query = submit(parts, kind, request)
    end(parts, query, QueryState.DONE, result=result.model_dump(mode="json"), files=("forecasts.csv",))
    page = browser.get(f"/queries/{query.id}")
    assert page.status_code == 200
    assert f"/api/v1/queries/{query.id}/files/forecasts.csv" in page.text
    return page.text


def test_who_asked_nothing_is_told_what_can_be_asked(browser):
    """The empty list says what it is for."""
    assert "Nothing asked yet" in browser.get("/queries").text


def test_the_list_shows_ones_own_queries_and_where_they_are(browser, parts):
    """The latest first; those of others are not there, on no page."""
    mine, others = submit(parts), submit(parts, owner="eve")
    end(parts, submit(parts), QueryState.FAILED, reason="the file has no header")

    page = browser.get("/queries").text

    assert page.index("Failed") < page.index("Waiting")
    assert f"/queries/{mine.id}" in page
    assert str(others.id) not in page
    for path in ("", "/progress"):
        assert code_of(Client(browser.app).get(f"/queries/{others.id}{path}")) == (404, "not_found")


def test_waiting_without_a_worker_is_explained(browser, parts):
    """Only while something waits: who has no open question needs no worker."""
    query = submit(parts)
    waiting = browser.get("/queries").text
    end(parts, query, QueryState.CANCELLED, reason="stopped by its owner")

    assert "No worker is running" in waiting
    assert "every 3s" in waiting
    assert "No worker is running" not in browser.get("/queries").text


def test_a_long_list_goes_on(browser, parts):
    """Thirty on a page, and a way to those before them."""
    for _ in range(31):
        end(parts, submit(parts), QueryState.DONE, result={})

    first = browser.get("/queries").text
    [older] = re.findall(r'href="(/queries\?after=[^"]+)"', first)

    assert browser.get(older).text.count("Explanation in detail") == 1


def test_an_open_query_is_followed_until_it_ends(browser, parts):
    """It says how far it is and can be stopped; once it has ended, the page is loaded anew."""
    query = submit(parts)
    begun = parts.queries.begin(query.id, query.job_id)
    parts.queries.move(query.id, begun.job_id, 0.42, "420 of 1,000 orders")

    page, part = browser.get(f"/queries/{query.id}").text, browser.get(f"/queries/{query.id}/progress")
    parts.queries.end(query.id, begun.job_id, QueryState.DONE, result={})
    ended = browser.get(f"/queries/{query.id}/progress")

    assert f'data-events="/api/v1/queries/{query.id}/events"' in page
    for text in (page, part.text):
        assert "420 of 1,000 orders." in text
        assert "42\u202f%" in text
        assert f"POST /api/v1/queries/{query.id}/cancellation" in text
    assert "hx-refresh" not in part.headers
    assert ended.headers["hx-refresh"] == "true"


def test_a_failed_query_says_why_and_can_be_asked_again(browser, parts):
    """With the reason as the worker had it."""
    query = submit(parts)
    end(parts, query, QueryState.FAILED, reason="row 3: the price is <missing>")

    page = browser.get(f"/queries/{query.id}").text

    assert "Row 3: the price is &lt;missing&gt;." in page
    assert f"POST /api/v1/queries/{query.id}/retry" in page


def test_an_explanation_is_a_table_of_features_and_how_long_ago(browser, parts, champion):
    """The cells are the Shapley values, the largest the darkest, and the sentences stand above them."""
    found = explain_latest(EXPLAIN, champion, hear_nothing)
    page = show_answered(browser, parts, QueryKind.EXPLANATION, EXPLAIN, found)
    view = view_explanation(found.model_dump(mode="json"), None)

    shades = {cell.shade for _, cells in view["rows"] for cell in cells} | {cell.shade for cell in view["ahead"]}
    assert shades & {"more-5", "less-5"}
    assert [len(cells) for _, cells in view["rows"]] == [len(view["lags"])] * len(view["rows"])
    assert view["lags"][0] == "0"
    assert all(sentence in page for sentence in found.sentences)
    assert "Volatility of all series, 1 step" in page


def test_a_backtest_is_told_by_what_is_evidence_first(browser, parts, champion, tmp_path):
    """What the model was trained on comes last, and is called no evidence."""
    request = requests.BacktestRequest(series_id="S1", since=date(2015, 9, 1))
    found = backtest_series(request, champion, tmp_path, hear_nothing)

    page = show_answered(browser, parts, QueryKind.BACKTEST, request, found)

    assert page.index("After its training") < page.index("Within its training data")
    assert "no evidence of its skill" in page
    assert "S1, from 1 Sep 2015" in page


def test_a_what_if_shows_both_fans_and_their_difference(browser, parts, champion):
    """In a chart and step by step."""
    change = {"column": "price", "operation": "multiply", "value": 0.9, "last_n_steps": 1}
    request = requests.WhatIfRequest.model_validate({"series_id": "S1", "changes": [change]})
    found = ask_what_if(request, champion, hear_nothing)

    page = show_answered(browser, parts, QueryKind.WHAT_IF, request, found)

    assert "S1: price times 0.9 over the last 1 step" in page
    assert '"label":"As if, median"' in page
    assert "2016-12-05" not in page
    assert "5 Dec 2016" in page


def test_a_forecast_of_a_file_says_what_became_of_its_rows(browser, parts):
    """Counts, reasons, and which series have no forecast and why."""
    day = datetime(2016, 12, 2, tzinfo=UTC)
    reason = next(iter(Reason))
    found = BulkForecast(
        model_version=2, unit="USD", horizon=3, n_rows=1200, n_refused=7, refused_by_reason={reason: 7},
        refused_examples=(RefusedRow(row_number=17, series_id="A", reason=reason),), n_series=3, n_forecast=2,
        n_left_out=1, left_out_examples=("C: needs 70 rows",), first_origin_utc=day, last_origin_utc=day, notes=(),
    )  # fmt: skip
    request = requests.BulkForecastRequest(upload_id="00000000-0000-4000-8000-000000000000")

    page = show_answered(browser, parts, QueryKind.BULK_FORECAST, request, found)

    assert "of 3 in the file" in page
    assert f"Row 17, A: {reason.replace('_', ' ')}" in page
    assert "C: needs 70 rows" in page


def test_an_act_tells_what_came_of_it(browser, parts):
    """In a sentence, with the reasons of the decision and the way to the version."""
    decision = Decision(
        problem="prices", kind=DecisionKind.PROMOTION, model_version="3", champion_before="2", champion_after="3",
        rule="by_hand", reasons=("it did better in March",), figures={}, actor="ada",
    )  # fmt: skip
    query = submit(parts, QueryKind.PROMOTION, requests.PromotionRequest(version=3, reason="It did better in March"))
    done = ActDone(sentence="Version 3 is in service in the place of 2", decision=decision)
    end(parts, query, QueryState.DONE, result=done.model_dump(mode="json"))

    page = browser.get(f"/queries/{query.id}").text

    assert "Version 3 is in service in the place of 2." in page
    assert "It did better in March." in page
    assert 'href="/models/3?problem=prices"' in page


def test_a_training_that_runs_elsewhere_is_led_to(browser, parts):
    """The gate has not decided yet, and the execution says how far it is; an address that is none is no link."""
    for address, is_link in (("https://flyte.example.org/a1", True), ("javascript:alert(1)", False)):
        query = submit(parts, QueryKind.TRAINING, requests.TrainingRequest(reason="New data"))
        done = ActDone(sentence="Flyte trains it as a1", execution_id="a1", execution_url=address)
        end(parts, query, QueryState.DONE, result=done.model_dump(mode="json"))

        page = browser.get(f"/queries/{query.id}").text

        assert "Flyte trains it as a1." in page
        assert (f'href="{address}"' in page) is is_link


def test_a_result_outlives_its_problem(browser, parts, champion):
    """It is shown in UTC where the problem is not served any more."""
    query = submit(parts)
    found = explain_latest(EXPLAIN, champion, hear_nothing)
    end(parts, query, QueryState.DONE, result=found.model_dump(mode="json"))
    browser.app.state.parts = replace(parts, champions=FixedChampions())

    assert "Why it is so wide" in browser.get(f"/queries/{query.id}").text
