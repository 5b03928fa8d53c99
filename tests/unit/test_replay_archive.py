"""What is known on which day: the head of a source, revealed, is what an ingest of that day would have made."""

from datetime import date

import numpy as np
import pandas as pd

from loopcast.features import build_design
from loopcast.panel import build_panel
from loopcast.replay.archive import Archive
from loopcast.replay.faults import Fault, Faults
from tests.panels import make_panel, make_panel_problem

PROBLEM = make_panel_problem(quality={"min_rows": 120})
START, END = date(2016, 1, 4), date(2016, 3, 31)


def make_raw(seed: int = 0) -> pd.DataFrame:
    """A source of two series, the second of which begins later and is too short until the middle of the walk."""
    panel = make_panel(n_series=2, n_steps=340, seed=seed)
    is_late = (panel["series_id"] == "S1") & (panel["timestamp_utc"] < pd.Timestamp("2015-09-01", tz="UTC"))
    rows = panel[~is_late].rename(columns={"timestamp_utc": "day", "target": "price", "series_id": "name"})
    return rows[["day", "price", "name"]].assign(day=rows["day"].dt.strftime("%Y-%m-%d")).reset_index(drop=True)


def test_what_is_revealed_is_what_an_ingest_of_that_day_would_have_made():
    """Panel and design, to the last bit, also before and after a series is long enough to be taken."""
    raw = make_raw()
    archive = Archive(raw, PROBLEM, Faults(), START, END)
    n_series = []

    for view in list(archive.views())[::12]:
        panel = build_panel(raw[raw["day"] <= view.day.isoformat()], PROBLEM).panel
        design, whole = build_design(panel, PROBLEM), archive.design(view.key)
        heads = np.isin(whole.timestamp_utc, design.timestamp_utc)
        pd.testing.assert_frame_equal(view.panel, panel)
        np.testing.assert_array_equal(whole.inputs[heads], design.inputs)
        np.testing.assert_array_equal(whole.ewma_deviation[heads], design.ewma_deviation)
        n_series.append(panel["series_id"].nunique())

    assert sorted(set(n_series)) == [1, 2]


def test_a_day_brings_its_own_rows():
    """Two series, a row each; the first day of the walk no more than any other."""
    archive = Archive(make_raw(), PROBLEM, Faults(), START, END)

    assert {view.intake.n_rows for view in archive.views()} == {2}


def test_an_unadjusted_split_is_refused_on_its_day_and_accepted_when_it_is_put_right():
    """What the ingest of that evening would have said."""
    fault = Fault(kind="unadjusted_split", begin=date(2016, 2, 1), days=3)
    archive = Archive(make_raw(), PROBLEM, Faults(faults=(fault,)), START, END)
    refused = {view.day: view.refusal for view in archive.views() if view.refusal}

    assert list(refused) == [date(2016, 2, 1), date(2016, 2, 2), date(2016, 2, 3)]
    assert "S0 on 2016-02-01 by 2" in refused[date(2016, 2, 1)]


def test_a_fault_that_does_not_begin_in_the_replay_is_left_out():
    """It must neither happen on another day nor be counted as one that nobody noticed."""
    before, within, after = (
        Fault(kind="frozen_feed", begin=day, days=5) for day in (date(2015, 12, 31), START, date(2016, 4, 1))
    )
    archive = Archive(make_raw(), PROBLEM, Faults(faults=(after, before, within)), START, END)

    assert archive.faults == (within,)
    assert archive.left_out == (before, after)


def test_actuals_are_known_from_their_day_on():
    """And not before; those of a fault are others."""
    fault = Fault(kind="frozen_feed", begin=date(2016, 2, 1), days=5)
    archive = Archive(make_raw(), PROBLEM, Faults(faults=(fault,)), START, END)
    views = {view.day: view for view in archive.views()}
    times = np.array(["2016-01-29", "2016-02-02"], dtype="datetime64[us]")

    def known(day: date) -> list[float]:
        known = views[day].known
        return archive.edition(known.faults).look_up("S0", times, known.until).tolist()

    before, during, after = known(date(2016, 2, 1)), known(date(2016, 2, 2)), known(date(2016, 2, 8))
    assert np.isnan(before[1])
    assert during[0] == during[1] == before[0]
    assert after[1] != during[1]
