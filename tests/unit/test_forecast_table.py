"""What a batch run prints can be read: a line a step, a count of what is not shown, a reason for what is left out."""

from datetime import UTC, datetime
from typing import Any

from loopcast.evidence.forecast_table import ForecastStep, summarize_batch
from loopcast.model.batch import BatchOutcome
from tests.panels import make_panel_problem

FRIDAY, MONDAY, TUESDAY = (datetime(2024, 3, day, tzinfo=UTC) for day in (8, 11, 12))
STEPS = [
    ForecastStep("S0", FRIDAY, MONDAY, 101.2, 98.7, 1040.5),
    ForecastStep("S0", FRIDAY, TUESDAY, 101.3, 97.9, 1050.5),
    ForecastStep("S1", FRIDAY, MONDAY, 5.0, 4.5, 5.5),
]


def make_outcome(**changes: Any) -> BatchOutcome:
    """A run over two series."""
    fields = {
        "problem": "prices", "version": 3, "n_series": 2, "n_forecasts": 2, "n_new": 2, "first_origin_utc": FRIDAY,
        "last_origin_utc": FRIDAY, "n_actuals_new": 2, "n_actuals_corrected": 0, "left_out": (),
    }  # fmt: skip
    return BatchOutcome.model_validate(fields | changes)


def test_a_run_is_told_step_by_step():
    """Series and origin stand on the first line of each forecast."""
    told = summarize_batch(make_outcome(), STEPS, ["3 jumps look odd"], make_panel_problem())

    assert told.splitlines() == [
        "Simulated prices",
        "",
        "series      origin      target  median, USD  80 % from     to",
        "S0      2024-03-08  2024-03-11        101.2      98.70  1,040",
        "                    2024-03-12        101.3      97.90  1,050",
        "S1      2024-03-08  2024-03-11        5.000      4.500  5.500",
        "",
        "- 2 forecasts of 2 series by version 3, 2 new; origins from 2024-03-08 to 2024-03-08",
        "- 2 new actuals, 0 corrected",
        "- 3 jumps look odd",
    ]


def test_one_forecast_is_told_in_the_singular():
    """As in the first run of a problem that forecasts one series."""
    told = summarize_batch(make_outcome(n_series=1, n_forecasts=1, n_new=1), STEPS[:2], [], make_panel_problem())

    assert "- 1 forecast of 1 series by version 3, 1 new;" in told


def test_what_is_not_shown_is_counted_and_what_is_left_out_is_named():
    """A thousand series, or a thousand reasons, do not bury what there is to say."""
    left_out = tuple(f"X{i}: too short" for i in range(25))

    told = summarize_batch(make_outcome(n_series=1002, left_out=left_out), STEPS, [], make_panel_problem())

    assert "- 1,000 more series are not shown" in told
    assert told.count("left out: X") == 20
    assert told.endswith("- left out: 5 more")
