"""Stored forecasts by their id, over real PostgreSQL: with what came true, and where they come from."""

from uuid import uuid4

import pytest

from app.answers import forecasts as answers
from app.api import create_app
from loopcast.stores.database import Database
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.model_versions import ModelVersionStore
from loopcast.stores.tokens import Role
from tests.app.client import API, Client, code_of, signed

FORECASTS = f"{API}/forecasts"


def forecast(client, **part):
    """Ask for a forecast of GOOG; the answer to it."""
    answer = client.post(f"{API}/problems/google/forecasts", {"series": [{"series_id": "GOOG"}]} | part)
    return answer.json()


def test_a_forecast_that_was_just_answered_is_found_whole(kept):
    """With all steps and quantiles, whatever part was asked for; nobody needs to wait for the journal."""
    client = Client(create_app(kept))
    whole = forecast(client)["forecasts"][0]

    part = forecast(client, horizon=1, quantiles=[0.5])
    answer = client.get(f"{FORECASTS}/{part['forecasts'][0]['forecast_id']}")

    found = answers.StoredForecast.model_validate(answer.json())
    assert answer.status_code == 200
    assert answer.json()["quantiles"] == whole["quantiles"]
    assert answer.json()["target_utc"] == whole["target_utc"]
    assert (found.problem, found.series_id, found.model_version, found.source) == ("google", "GOOG", 7, "online")
    assert found.request_id == part["request_id"]
    assert found.origin_value == pytest.approx(404.343169)
    assert found.actual == [None] * 5


def test_what_came_true_stands_beside_the_forecast(kept, database):
    """Where it is known; null elsewhere."""
    client = Client(create_app(kept))
    made = forecast(client)["forecasts"][0]
    client.get(f"{FORECASTS}/{made['forecast_id']}")
    with database.connect() as connection:
        for day, actual in (("2013-03-01 05:00Z", 404.343169), ("2013-03-04 05:00Z", 411.16)):
            connection.execute(
                "INSERT INTO loopcast.actuals (problem, series_id, timestamp_utc, actual) VALUES (%s, %s, %s, %s)",
                ["google", "GOOG", day, actual],
            )

    found = client.get(f"{FORECASTS}/{made['forecast_id']}").json()

    assert found["actual"] == [pytest.approx(411.16), None, None, None, None]


def test_a_forecast_leads_back_to_code_and_data(kept, google):
    """Version, weights, training, execution, commit and snapshot, in one answer."""
    client = Client(create_app(kept))
    made = forecast(client)

    answer = client.get(f"{FORECASTS}/{made['forecasts'][0]['forecast_id']}/lineage")

    found = answers.Lineage.model_validate(answer.json())
    assert (found.model_version, found.candidate, found.request_id) == (7, "lstm", made["request_id"])
    assert (found.run_id, found.execution_id, found.git_commit) == ("4f6c", "a1b2c3", "c0ffee")
    assert (found.snapshot_sha256, found.weights_sha256) == ("5a" * 32, google.model.weights_sha256)
    assert len(found.features_digest) == 32


@pytest.mark.parametrize("path", ["", "/lineage"])
def test_an_id_of_nothing_is_not_found(kept, path):
    """At once, where nothing waits in the journal."""
    answer = Client(create_app(kept)).get(f"{FORECASTS}/{uuid4()}{path}")

    assert code_of(answer) == (404, "not_found")


def test_a_forecast_of_another_problem_is_not_found(kept, make_parts, store, tokens):
    """A token for prices learns nothing of Google's, by id either."""
    made = forecast(Client(create_app(kept)))
    _, secret = store.create("prices only", "anna", Role.VIEWER, ("prices",))
    tokens.refresh()
    client = signed(create_app(make_parts(tokens=tokens, forecasts=kept.forecasts, versions=kept.versions)), secret)

    for path in ("", "/lineage"):
        forecast_id = made["forecasts"][0]["forecast_id"]
        assert code_of(client.get(f"{FORECASTS}/{forecast_id}{path}")) == (404, "not_found")


def test_a_database_that_is_away_is_said_to_be(make_parts):
    """503, when to ask again, and nothing of where it lies."""
    away = Database("postgresql://127.0.0.1:1/forecasts")
    client = Client(create_app(make_parts(forecasts=ForecastStore(away), versions=ModelVersionStore(away))))

    answer = client.get(f"{FORECASTS}/{uuid4()}")

    assert code_of(answer) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"
    assert "127.0.0.1" not in answer.text
