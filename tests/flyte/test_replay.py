"""The replay workflow run in process: what it prints, writes and returns, and what it leaves alone."""

from pathlib import Path

import pytest

from loopcast.errors import ProblemError
from loopcast.replay.faults import Faults
from loopcast.sections.data import Source
from loopcast.stores.conditions import AlertState
from loopcast.stores.opened import Stores
from tests.panels import make_panel, make_panel_problem
from workflows.replay import replay

pytestmark = pytest.mark.slow

FAULTS = Faults.model_validate({"faults": [{"kind": "missing_days", "begin": "2016-11-01", "days": 7}]})


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    """One that trains in a second."""
    rows = tmp_path_factory.mktemp("data") / "prices.csv"
    panel = make_panel(n_series=1, n_steps=520)
    panel.rename(columns={"timestamp_utc": "day", "target": "price", "series_id": "name"})[
        ["day", "price", "name"]
    ].to_csv(rows, index=False)
    training = {"n_seeds": 1, "max_epochs": 1, "validation_steps": 100}
    gate = {"min_dates": 60}
    return make_panel_problem(source=Source(uri=str(rows)), training=training, gate=gate)


def test_a_replay_is_told_and_drawn_and_leaves_the_stores_alone(stores: Stores, problem, capsys):
    """A table in the terminal, a page and a picture in the work folder; no version, no decision, no forecast."""
    outcome = replay(config=problem, start="2016-10-17", end="2016-11-30", faults=FAULTS)

    printed = capsys.readouterr().out
    assert "missing days" in printed
    assert outcome.n_days == 33
    assert Path(outcome.page).is_relative_to(stores.settings.home_path)
    assert "<svg" in Path(outcome.page).read_text(encoding="utf-8")
    assert Path(outcome.picture).read_bytes().startswith(b"\x89PNG")
    assert stores.decisions.history(problem.name) == []


def test_a_replay_that_fails_is_told_until_one_succeeds(stores: Stores, problem):
    """A date that is none is refused with what was found and what is needed; the next replay ends the alert."""
    with pytest.raises(ProblemError, match="found `autumn`, needs a date such as 2008-09-15"):
        replay(config=problem, start="autumn", end="2016-11-30")
    [failed] = stores.alerts.history(problem.name)

    replay(config=problem, start="2016-10-17", end="2016-11-30")

    [over] = stores.alerts.history(problem.name)
    assert (failed.alert.state, over.alert.state) == (AlertState.RAISED, AlertState.RECOVERED)
