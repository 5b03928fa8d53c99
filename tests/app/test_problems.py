"""What is told of problems, their series, and the models in service."""

from datetime import UTC, datetime

from app.answers import problems as answers
from tests.app.client import API, code_of

PROBLEMS = f"{API}/problems"


def test_problems_say_what_they_forecast_and_what_a_history_needs(client):
    """Unit, step, horizon and levels; the columns and the length of a history."""
    google, prices = answers.Problems.model_validate(client.get(PROBLEMS).json()).problems

    assert google == answers.Problem(
        problem="google",
        title="Daily price of Google's stock",
        unit="USD",
        frequency="B",
        time_zone="America/New_York",
        horizon=5,
        quantiles=[0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975],
        history_columns=["timestamp", "target", "open", "high", "low", "close", "covariates.volume"],
        history_min_rows=67,
        history_full_rows=150,
        model_version=7,
    )
    assert prices.history_columns == ["timestamp", "target"]
    assert client.get(f"{PROBLEMS}/google").json() == google.model_dump(mode="json")


def test_series_are_listed_page_by_page(client):
    """In alphabetical order, with the step from which each is forecast; the last page says that it is."""
    first = client.get(f"{PROBLEMS}/prices/series", params={"limit": 1}).json()
    second = client.get(f"{PROBLEMS}/prices/series", params={"limit": 1, "after": first["next_after"]}).json()

    assert first == {
        "problem": "prices",
        "series": [{"series_id": "S0", "origin_utc": "2016-12-02T00:00:00Z"}],
        "next_after": "S0",
    }
    assert [each["series_id"] for each in second["series"]] == ["S1"]
    assert second["next_after"] is None


def test_series_that_are_only_pooled_are_not_listed(client):
    """Google's problem forecasts GOOG alone."""
    assert [each["series_id"] for each in client.get(f"{PROBLEMS}/google/series").json()["series"]] == ["GOOG"]


def test_the_model_tells_its_figures_and_where_it_comes_from(client, google):
    """A figure that could not be known is null."""
    model = answers.Model.model_validate(client.get(f"{PROBLEMS}/google/model").json())

    assert (model.model_version, model.candidate) == (7, "lstm")
    assert model.metrics == {"skill_ratio": 0.031, "coverage_80_ratio": 0.79, "mase": None}
    assert model.trained_until_utc == datetime(2013, 3, 1, 5, tzinfo=UTC)
    assert model.lineage.weights_sha256 == google.model.weights_sha256
    assert model.lineage.git_commit == "c0ffee"


def test_an_unknown_problem_is_not_found_anywhere(client):
    """On every path below it."""
    for path in ("", "/series", "/model"):
        assert code_of(client.get(f"{PROBLEMS}/nothing{path}")) == (404, "not_found")
