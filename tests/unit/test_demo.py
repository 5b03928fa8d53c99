"""What the demo prints of a forecast that the service answered."""

from tests.panels import make_panel_problem
from tools.demo import tell_forecast


def test_the_demo_names_a_day_as_the_report_above_it_does():
    """East of Greenwich a day begins on the evening before in UTC; people are told their own date."""
    answer = {
        "unit": "pieces",
        "model_version": 1,
        "forecasts": [
            {
                "series_id": "bern",
                "target_utc": ["2024-01-05T23:00:00Z"],
                "quantiles": {"0.1": [58.951], "0.5": [1106.22], "0.9": [2154.98]},
            }
        ],
    }

    assert list(tell_forecast(answer, make_panel_problem(time_zone="Europe/Zurich", frequency="D"))) == [
        "  bern in pieces, by version 1:",
        "  2024-01-06  median 1,106, with 80 % between 58.95 and 2,155",
    ]
