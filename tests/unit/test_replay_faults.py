"""What a fault makes of a source, and what of it is known on which day."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from loopcast.errors import ProblemError
from loopcast.replay.faults import Fault, Faults, spoil_source
from tests.panels import make_panel_problem

PROBLEM = make_panel_problem()
RAW = pd.DataFrame(
    {
        "day": ["2015-01-05", "2015-01-06", "2015-01-07", "2015-01-05", "2015-01-06", "2015-01-07"],
        "price": [100.0, 102.0, 104.0, 10.0, 11.0, 12.0],
        "name": ["S0", "S0", "S0", "S1", "S1", "S1"],
    }
)


@pytest.mark.parametrize(
    ("kind", "prices"),
    [
        ("unadjusted_split", [100.0, 51.0, 52.0, 10.0, 11.0, 12.0]),
        ("frozen_feed", [100.0, 100.0, 100.0, 10.0, 11.0, 12.0]),
        ("missing_days", [100.0, 10.0, 11.0, 12.0]),
    ],
)
def test_a_fault_spoils_the_rows_of_its_series_from_its_day_on(kind, prices):
    """Rows before it and other series stay; the source itself is not changed."""
    before = RAW.copy()

    spoilt = spoil_source(RAW, Fault(kind=kind, begin=date(2015, 1, 6)), PROBLEM)

    assert spoilt["price"].tolist() == prices
    pd.testing.assert_frame_equal(RAW, before)


def test_a_fault_may_name_its_series():
    """The others are as they were."""
    spoilt = spoil_source(RAW, Fault(kind="frozen_feed", begin=date(2015, 1, 6), series_id="S1"), PROBLEM)

    assert spoilt["price"].tolist() == [100.0, 102.0, 104.0, 10.0, 10.0, 10.0]


def test_a_fault_of_a_series_that_is_not_there_is_refused():
    """The sentence names those that are."""
    with pytest.raises(ProblemError, match="series S7, which the source lacks; found S0, S1"):
        spoil_source(RAW, Fault(kind="frozen_feed", begin=date(2015, 1, 6), series_id="S7"), PROBLEM)


def test_a_size_that_means_nothing_is_refused():
    """A frozen feed has none; a misspelt key is named."""
    with pytest.raises(ValidationError, match=r"found size: 2\.0 of frozen_feed, which has none; remove it"):
        Fault(kind="frozen_feed", begin=date(2015, 1, 6), size=2.0)
    with pytest.raises(ValidationError, match="did you mean `faults`"):
        Faults.model_validate({"fault": []})


def test_a_split_of_text_cells_is_still_a_split():
    """A CSV's cells come as text."""
    spoilt = spoil_source(RAW.astype({"price": str}), Fault(kind="unadjusted_split", begin=date(2015, 1, 7)), PROBLEM)

    assert np.allclose(spoilt["price"], [100.0, 102.0, 52.0, 10.0, 11.0, 12.0])
