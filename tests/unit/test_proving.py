"""What a Bento is asked for in its proof: histories that its problem takes, and a difference that is told."""

import numpy as np
import pytest

from app.histories import design_sent
from app.requests import ForecastBody
from bento.proving import compare_answers, make_history, read_end
from loopcast.errors import PackagingError
from loopcast.model.served import latest_origins
from tests.panels import make_panel, make_panel_problem


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"ohlc": {"open": "o", "high": "h", "low": "l", "close": "c"}},
        {"covariates": [{"column": "traffic"}]},
    ],
)
def test_a_history_made_from_a_panel_can_be_forecast(columns):
    """With prices and covariates where the problem has them, gaps in a covariate too; filled steps are left out."""
    names = {"timestamp": "day", "target": "price", "series_id": "name"}
    problem = make_panel_problem(columns=names | columns)
    panel = make_panel().assign(covariate_traffic=np.nan)
    panel.loc[10, "is_filled"] = True

    history = make_history(panel, "S0", problem)

    body = ForecastBody.model_validate({"series": [{"series_id": "S0", "history": history}]})
    design = design_sent(body.series, problem)
    assert latest_origins(design, problem) == {"S0": len(design.target) - 1}
    assert history["timestamp"][-1] == panel["timestamp_utc"].max().isoformat()


@pytest.mark.parametrize("found", [{"0.5": [1.0, np.nextafter(2.0, 3.0)]}, {}, {"0.5": [1.0, 2.0], "0.9": [3.0, 4.0]}])
def test_one_other_bit_is_a_difference(found):
    """So is a level that is missing, or one too many."""
    with pytest.raises(PackagingError, match="loopcast:x: found other quantiles than the model gives here"):
        compare_answers(found, {"0.5": [1.0, 2.0]}, "loopcast:x")


def test_equal_answers_pass():
    """Floats that went through JSON are the same floats."""
    compare_answers({"0.5": [0.1 + 0.2]}, {"0.5": [0.30000000000000004]}, "loopcast:x")


def test_the_end_of_an_output_says_why_a_command_failed():
    """Five lines, whatever bytes they are of."""
    assert read_end(b"1\n2\n3\n4\n5\n\xff6\n\n") == "2\n3\n4\n5\n\ufffd6"
