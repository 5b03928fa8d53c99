"""`POST …/explanations`: which groups of features make intervals wide."""

import math

import pytest

from app.answers import forecasts as answers
from tests.app.client import API, code_of

EXPLANATIONS = f"{API}/problems/google/explanations"


def test_the_groups_lead_from_the_expected_width_to_the_found_one(client):
    """Exact values add up: the ratios of the groups times the expected ratio is the found one."""
    answer = client.post(EXPLANATIONS, {"series": {"series_id": "GOOG"}})

    found = answers.Explanation.model_validate(answer.json())
    product = math.prod(each.width_ratio for each in found.contributions)
    sizes = [abs(each.log_stretch) for each in found.contributions]
    assert (found.series_id, found.model_version) == ("GOOG", 7)
    assert found.expected_width_ratio * product == pytest.approx(found.found_width_ratio, rel=1e-6)
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) > 0


def test_a_formula_explains_itself(client):
    """409, in words."""
    answer = client.post(f"{API}/problems/prices/explanations", {"series": {"series_id": "S0"}})

    assert code_of(answer) == (409, "not_explained")


def test_a_history_that_is_sent_is_explained(client, google_history):
    """The series need not be known; its last row is explained."""
    answer = client.post(EXPLANATIONS, {"series": {"series_id": "a new one", "history": google_history}})

    found = answers.Explanation.model_validate(answer.json())
    assert found.series_id == "a new one"
    assert found.origin_utc.isoformat() == "2013-03-01T05:00:00+00:00"


def test_an_unknown_series_is_refused(client):
    """As for a forecast."""
    assert code_of(client.post(EXPLANATIONS, {"series": {"series_id": "AAPL"}})) == (422, "unknown_series")
