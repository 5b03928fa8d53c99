"""`POST /api/v1/problems/{problem}/forecasts`: what is answered is what the model says, and what was stored."""

from datetime import UTC, datetime

import numpy as np
import pytest

from app.answers.forecasts import ForecastAnswer
from app.api import create_app
from loopcast.forecasts import ForecastSource
from loopcast.model.served import make_forecasts
from tests.app.client import API, Client, code_of

GOOGLE = f"{API}/problems/google/forecasts"
PRICES = f"{API}/problems/prices/forecasts"


def expect(served, design, rows):
    """What the model says of rows, past the API."""
    return make_forecasts(
        served.model,
        design,
        np.asarray(rows),
        version=served.version,
        source=ForecastSource.ONLINE,
        request_id="",
        issued_at_utc=datetime.now(UTC),
    )


def test_a_series_is_forecast_by_name(client, google):
    """The answer holds every quantile and step of the problem, as the model computes them to the last bit."""
    answer = client.post(GOOGLE, {"series": [{"series_id": "GOOG"}]})

    expected = expect(google, google.design, [google.latest["GOOG"]])
    found = ForecastAnswer.model_validate(answer.json())
    assert answer.status_code == 200
    assert (found.problem, found.unit, found.model_version) == ("google", "USD", 7)
    [forecast] = found.forecasts
    assert forecast.series_id == "GOOG"
    assert forecast.origin_utc == datetime(2013, 3, 1, 5, tzinfo=UTC)
    assert [step.day for step in forecast.target_utc] == [4, 5, 6, 7, 8]
    assert list(forecast.quantiles) == [str(level) for level in google.model.problem.quantiles]
    assert np.array_equal(np.array(list(forecast.quantiles.values())).T, expected.quantiles[0])
    assert np.all(np.diff(list(forecast.quantiles.values()), axis=0) >= 0)


def test_a_part_of_a_forecast_can_be_asked_for(client):
    """Fewer steps and fewer quantiles are the same numbers as in the whole, in ascending levels."""
    whole = client.post(GOOGLE, {"series": [{"series_id": "GOOG"}]}).json()["forecasts"][0]
    part = client.post(GOOGLE, {"series": [{"series_id": "GOOG"}], "horizon": 2, "quantiles": [0.9, 0.1]}).json()

    [forecast] = part["forecasts"]
    assert forecast["target_utc"] == whole["target_utc"][:2]
    assert forecast["quantiles"] == {level: whole["quantiles"][level][:2] for level in ("0.1", "0.9")}
    assert list(forecast["quantiles"]) == ["0.1", "0.9"]


def test_a_history_that_is_sent_gives_the_same_forecast(client, prices):
    """All rows of both series, sent with dates alone, give what the stored history gives, to the last bit."""
    series = [{"series_id": name, "history": read_history(prices, name)} for name in ("S1", "S0")]

    sent = client.post(PRICES, {"series": series}).json()
    named = client.post(PRICES, {"series": [{"series_id": "S1"}, {"series_id": "S0"}]}).json()

    assert [each["series_id"] for each in sent["forecasts"]] == ["S1", "S0"]
    for found, expected in zip(sent["forecasts"], named["forecasts"], strict=True):
        assert found | {"forecast_id": None} == expected | {"forecast_id": None}


def test_named_and_sent_series_are_answered_in_the_order_of_the_request(client, prices):
    """A name and a history may stand in one request; a history may be of a series that nobody knows."""
    new = {"series_id": "a new one", "history": read_history(prices, "S0")}

    answer = client.post(PRICES, {"series": [new, {"series_id": "S1"}]}).json()

    assert [each["series_id"] for each in answer["forecasts"]] == ["a new one", "S1"]


def test_many_long_histories_are_answered_too(client, prices):
    """Those that take too long to keep others waiting, each in its place."""
    history = read_history(prices, "S0")
    names = [f"new {i}" for i in range(20, 0, -1)]

    answer = client.post(PRICES, {"series": [{"series_id": name, "history": history} for name in names]}).json()

    assert [each["series_id"] for each in answer["forecasts"]] == names
    assert len({each["forecast_id"] for each in answer["forecasts"]}) == 20
    assert len({str(each["quantiles"]) for each in answer["forecasts"]}) == 1


def test_a_full_journal_refuses_forecasts(make_parts, full_journal):
    """What cannot be stored is not answered: 503, and when to ask again."""
    client = Client(create_app(make_parts(journal=full_journal)))

    answer = client.post(GOOGLE, {"series": [{"series_id": "GOOG"}]})

    assert code_of(answer) == (503, "unavailable")
    assert "journal is full" in answer.json()["error"]["message"]
    assert answer.headers["retry-after"] == "5"
    assert "loopcast_journal_full_total 1.0" in client.get("/metrics").text


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "body.series"),
        ({"series": []}, "body.series"),
        ({"series": [{"series_id": "GOOG"}] * 2}, "body.series"),
        ({"series": [{"series_id": f"S{i}"} for i in range(101)]}, "body.series"),
        ({"series": [{"series_id": ""}]}, "body.series[0].series_id"),
        ({"series": [{"series_id": "a\x00b"}]}, "body.series[0].series_id"),
        ({"series": [{"series_id": "GOOG", "model": 3}]}, "body.series[0]"),
        ({"series": [{"series_id": "GOOG"}], "horizon": 0}, "body.horizon"),
        ({"series": [{"series_id": "GOOG"}], "horizon": True}, "body.horizon"),
        ({"series": [{"series_id": "GOOG"}], "horizon": 1.5}, "body.horizon"),
        ({"series": [{"series_id": "GOOG"}], "quantiles": ["0.5"]}, "body.quantiles[0]"),
        ({"series": [{"series_id": "GOOG", "history": {"timestamp": [], "target": []}}]}, "body.series[0].history"),
        (
            {"series": [{"series_id": "GOOG", "history": {"timestamp": ["2024-01-01"], "target": [None]}}]},
            "body.series[0].history.target[0]",
        ),
        (
            {"series": [{"series_id": "GOOG", "history": {"timestamp": ["2024-01-01"], "target": [1.0, 2.0]}}]},
            "body.series[0].history",
        ),
        (
            {"series": [{"series_id": "G", "history": {"timestamp": ["2024-01-01"], "target": [1.0], "open": [1.0]}}]},
            "body.series[0].history",
        ),
    ],
)
def test_a_body_that_breaks_its_shape_is_refused_where_it_does(client, body, where):
    """The refusal names the place, and what was found and needed."""
    answer = client.post(GOOGLE, body)

    assert code_of(answer) == (422, "invalid_request")
    assert any(detail["where"].startswith(where) for detail in answer.json()["error"]["details"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"horizon": 6}, "horizon: found 6, needs at most 5"),
        ({"quantiles": [0.5, 0.42]}, "quantiles: found 0.42, needs levels of 0.025, 0.05, 0.1"),
    ],
)
def test_more_than_the_problem_has_is_refused(client, changes, sentence):
    """The refusal says what there is."""
    answer = client.post(GOOGLE, {"series": [{"series_id": "GOOG"}]} | changes)

    assert code_of(answer) == (422, "invalid_request")
    assert answer.json()["error"]["message"].startswith(sentence)


def test_a_series_without_a_history_refuses_the_whole_request(client, parts):
    """AAPL is pooled and not forecast: nothing is answered, nothing stored, and the refusal names it."""
    answer = client.post(GOOGLE, {"series": [{"series_id": "GOOG"}, {"series_id": "AAPL"}]})

    assert code_of(answer) == (422, "unknown_series")
    assert "AAPL" in answer.json()["error"]["message"]
    assert parts.journal.size_bytes == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda history: history["target"].__setitem__(3, -1.0),
        lambda history: history["timestamp"].__setitem__(3, history["timestamp"][4]),
        lambda history: history["timestamp"].__setitem__(3, "2015-01-10"),
        lambda history: history["timestamp"].__setitem__(3, "2915-01-08"),
        lambda history: history["timestamp"].__setitem__(3, "yesterday!"),
        lambda history: [history[name].__delitem__(slice(20, None)) for name in ("timestamp", "target")],
        lambda history: [history[name].__delitem__(slice(430, 460)) for name in ("timestamp", "target")],
        lambda history: history["target"].__setitem__(-1, 1e308),
        lambda history: history.update(covariates={"volume": history["target"]}),
        lambda history: history.update(dict.fromkeys(("open", "high", "low", "close"), history["target"])),
    ],
    ids=[
        "negative price",
        "duplicate",
        "weekend",
        "future",
        "no time",
        "too short",
        "gap before the end",
        "overflow",
        "unread covariate",
        "unread prices",
    ],
)
def test_a_history_that_a_source_could_not_have_is_refused(client, prices, spoil):
    """The refusal names the series; nothing is answered."""
    history = read_history(prices, "S0")
    spoil(history)

    answer = client.post(PRICES, {"series": [{"series_id": "S0", "history": history}]})

    assert code_of(answer) == (422, "data_refused")
    assert "S0" in answer.json()["error"]["message"]


def test_an_unknown_problem_is_not_found(client):
    """The refusal names no problem that there is."""
    answer = client.post(f"{API}/problems/nothing/forecasts", {"series": [{"series_id": "GOOG"}]})

    assert code_of(answer) == (404, "not_found")
    assert "google" not in answer.text


def read_history(served, name):
    """The whole history of a series as a body has it, with dates."""
    design = served.design
    rows = design.series == design.series_ids.index(name)
    return {
        "timestamp": [str(day)[:10] for day in design.timestamp_utc[rows]],
        "target": design.target[rows].tolist(),
    }
