"""What those who watch are told."""

from dataclasses import replace

import numpy as np

from app.api import create_app
from loopcast.stores.champions import FixedChampions
from tests.app.client import API, Client, code_of


def test_a_service_with_champions_is_alive_and_ready(client):
    """Each problem's model has computed a forecast."""
    assert client.get("/livez").json() == {"is_alive": True}
    assert client.get("/readyz").json() == {"is_ready": True, "reasons": []}


def test_a_service_without_champions_is_alive_and_not_ready(make_parts):
    """503 with the reason; forecasts are refused for now."""
    client = Client(create_app(make_parts(champions=FixedChampions({}))))

    readiness = client.get("/readyz")
    forecast = client.post(f"{API}/problems/google/forecasts", {"series": [{"series_id": "GOOG"}]})

    assert client.get("/livez").status_code == 200
    assert readiness.status_code == 503
    assert readiness.json() == {"is_ready": False, "reasons": ["no champion is in service yet"]}
    assert code_of(forecast) == (503, "unavailable")
    assert forecast.headers["retry-after"] == "5"


def test_a_model_that_answers_no_numbers_is_not_ready(make_parts, google, prices):
    """The reason names problem and version."""
    broken = replace(google, design=replace(google.design, level=np.full_like(google.design.level, np.nan)))
    client = Client(create_app(make_parts(champions=FixedChampions({"google": broken, "prices": prices}))))

    readiness = client.get("/readyz")

    assert readiness.status_code == 503
    assert readiness.json()["reasons"] == ["google: version 7 answers no numbers"]
