"""The batch workflows run in process on real stores: what a table holds after an evening, a holiday, and a backfill."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from loopcast.config import Problem, Source
from loopcast.errors import LoopcastError, StoreError
from loopcast.forecasts import ForecastSource
from loopcast.stores.actuals import ActualStore
from loopcast.stores.conditions import AlertState
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.opened import Stores
from loopcast.stores.promotion import promote
from tests.integration.models import LINEAGE, prefer_higher
from tests.networks import save_network
from tests.panels import make_panel, make_panel_problem
from workflows.forecasting import backfill, forecasting

pytestmark = pytest.mark.slow

PANEL = make_panel(n_series=2, n_steps=360)
LAST_UTC = PANEL["timestamp_utc"].max().to_pydatetime()
"""Of the first day on which the source is read; the steps behind it come later."""


@pytest.fixture
def problem(tmp_path: Path, request: pytest.FixtureRequest) -> Problem:
    """A problem of a test's own, of three series of which one is too short, S9 is not there, and S1 is only pooled."""
    name = request.node.name.removeprefix("test_")[:40].strip("_")
    problem = make_panel_problem(
        name=name, source=Source(uri=str(tmp_path / "prices.csv")), forecast_series=["S0", "S2", "S9"]
    )
    short = PANEL[(PANEL["series_id"] == "S1")].tail(30).assign(series_id="S2")
    publish(problem, pd.concat([PANEL, short]))
    return problem


@pytest.fixture
def register(stores: Stores, problem: Problem, tmp_path: Path) -> Callable[[int], None]:
    """Makes a champion of the problem, a network with weights of chance."""

    def register_champion(seed: int) -> None:
        folder = tmp_path / f"model-{seed}"
        save_network(folder, PANEL, problem, seed=seed)
        run = stores.registry.start_run(problem, LINEAGE)
        version = stores.registry.register(run, folder, PANEL, LAST_UTC).version
        run.finish()
        promote(stores.registry, problem.name, version, prefer_higher(version), actor="ada")

    return register_champion


def publish(problem: Problem, panel: pd.DataFrame) -> None:
    """Write the source that the problem names."""
    names = {"timestamp_utc": "day", "target": "price", "series_id": "name"}
    panel.rename(columns=names)[list(names.values())].to_csv(problem.source.uri, index=False)


def read_origins(stores: Stores, problem: Problem) -> list[tuple[str, datetime, int]]:
    """Series, origin and version of each stored forecast, the latest first."""
    stored = ForecastStore(stores.database).read(problem.name, limit=1000)
    assert {each.source for each in stored} == {ForecastSource.BATCH}
    return [(each.series_id, each.origin_utc, each.model_version) for each in stored]


def read_alerts(stores: Stores, problem: Problem) -> dict[str, AlertState]:
    """Where the alert of each workflow stands."""
    return {each.alert.subject: each.alert.state for each in stores.alerts.history(problem.name)}


def test_an_evening_forecasts_what_is_ready_and_names_the_rest(stores, problem, register, capsys):
    """One row for the series that is forecast; the short and the absent one are named, and stop nothing."""
    register(1)

    outcome = forecasting(config=problem)

    printed = capsys.readouterr().out
    [stored] = ForecastStore(stores.database).read(problem.name)
    assert read_origins(stores, problem) == [("S0", LAST_UTC, 1)]
    assert (outcome.version, outcome.n_forecasts, outcome.n_new) == (1, 1, 1)
    assert (outcome.first_origin_utc, outcome.last_origin_utc) == (LAST_UTC, LAST_UTC)
    assert [each.partition(":")[0] for each in outcome.left_out] == ["S2", "S9"]
    assert outcome.n_actuals_new == len(PANEL)
    assert stored.target_utc[0] == LAST_UTC + timedelta(days=3), "Friday's first target is Monday"
    assert f"S0      {LAST_UTC:%Y-%m-%d}  {stored.target_utc[0]:%Y-%m-%d}" in printed
    assert "- left out: S9: too short or absent in the source\n- 1 series left out: S2: 30 rows" in printed


def test_runs_that_fail_are_told_until_one_of_their_kind_succeeds(stores, problem, register):
    """An evening without a champion is over with the next one that forecasts; a backfill's mistake is its own."""
    with pytest.raises(StoreError, match="has no champion"):
        forecasting(config=problem)
    register(1)
    with pytest.raises(LoopcastError, match="needs an end that is not before the start"):
        backfill(config=problem, start="2016-05-06", end="2016-05-02")

    told = read_alerts(stores, problem)
    forecasting(config=problem)

    assert told == {"forecasting": AlertState.RAISED, "backfill": AlertState.RAISED}
    assert read_alerts(stores, problem) == {"forecasting": AlertState.RECOVERED, "backfill": AlertState.RAISED}
    backfill(config=problem, start="2016-05-02", end="2016-05-06")
    assert set(read_alerts(stores, problem).values()) == {AlertState.RECOVERED}


def test_a_holiday_adds_nothing_and_a_new_day_one_row(stores, problem, register):
    """On a day without a new step the same forecast is found; the next step is a new origin, and an actual."""
    register(1)
    publish(problem, PANEL[PANEL["timestamp_utc"] < LAST_UTC])
    forecasting(config=problem)

    holiday = forecasting(config=problem)
    publish(problem, PANEL)
    new_day = forecasting(config=problem)

    assert (holiday.n_forecasts, holiday.n_new, holiday.n_actuals_new) == (1, 0, 0)
    assert (new_day.n_forecasts, new_day.n_new, new_day.n_actuals_new) == (1, 1, 2)
    assert [origin for _, origin, _ in read_origins(stores, problem)] == [LAST_UTC, LAST_UTC - timedelta(days=1)]


def test_a_corrected_value_is_an_actual_anew(stores, problem, register):
    """The source changed its mind about a day: the actual follows, and the run says so."""
    register(1)
    forecasting(config=problem)
    corrected = PANEL.copy()
    corrected.loc[100, "target"] *= 1.01
    publish(problem, corrected)

    outcome = forecasting(config=problem)

    assert (outcome.n_actuals_new, outcome.n_actuals_corrected) == (0, 1)
    assert corrected.loc[100, "target"] in set(ActualStore(stores.database).read(problem.name)["actual"])


def test_a_backfill_forecasts_each_step_of_its_days_once(stores, problem, register):
    """A wider backfill adds what is missing; one by another version adds its own forecasts from the same steps."""
    register(1)
    first = backfill(config=problem, start="2016-05-02", end="2016-05-06")
    register(2)

    wider = backfill(config=problem, start="2016-04-29", end="2016-05-06", version=1)
    second = backfill(config=problem, start="2016-05-06", end="2016-05-06")

    monday = datetime(2016, 5, 2, tzinfo=UTC)
    assert (first.version, first.n_forecasts, first.n_new) == (1, 5, 5)
    assert (first.first_origin_utc, first.last_origin_utc) == (monday, monday + timedelta(days=4))
    assert (wider.version, wider.n_forecasts, wider.n_new) == (1, 6, 1)
    assert (second.version, second.n_forecasts, second.n_new) == (2, 1, 1)
    assert sorted(read_origins(stores, problem)) == sorted(
        [("S0", monday + timedelta(days=day), 1) for day in (-3, 0, 1, 2, 3, 4)]
        + [("S0", monday + timedelta(days=4), 2)]
    )


def test_without_a_champion_the_run_says_how_to_get_one(stores, problem):
    """What was observed is stored all the same."""
    with pytest.raises(StoreError, match="has no champion, needs one to forecast; train one"):
        forecasting(config=problem)

    assert len(ActualStore(stores.database).read(problem.name)) == len(PANEL)


def test_a_backfill_by_a_version_that_is_not_there_names_those_that_are(stores, problem, register):
    """A slip of the finger makes no forecasts."""
    register(1)

    with pytest.raises(StoreError, match=r"has no version 7; needs one of \[1\]"):
        backfill(config=problem, start="2016-05-02", end="2016-05-06", version=7)
