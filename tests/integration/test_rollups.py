"""Roll-ups equal those from scratch, whatever came when, and say what the forecasts say."""

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from loopcast.config import Problem
from loopcast.health.histogram import Bins, count_values
from loopcast.health.steps import ISSUED, WATCHED, Column, Steps, measure_columns
from loopcast.health.sums import sum_steps
from loopcast.health.watched import split_tracks
from loopcast.stores import step_rows
from loopcast.stores.actuals import ActualStore
from loopcast.stores.forecast_rows import encode_forecasts, insert_rows
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.rollups import RollUpStore
from tests.forecast_factory import make_answered, make_stored

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
EDGES = {column: Bins(-4.0, 4.0) for column in Column}
ALWAYS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
TABLES = ("rollups", "step_sums", "step_tracks")


@pytest.fixture
def problem(name) -> Problem:
    """A problem of daily prices."""
    return make_problem(name)


@pytest.fixture
def store(database) -> RollUpStore:
    """The store under test."""
    return RollUpStore(database)


def make_problem(name: str, **changes) -> Problem:
    """A problem whose forecasts hold five quantiles of two horizons."""
    return Problem.model_validate(
        {
            "name": name,
            "title": "Stocks",
            "unit": "USD",
            "source": {"uri": "none.csv"},
            "columns": {"timestamp": "time", "target": "value", "series_id": "name"},
            "frequency": "D",
            "horizon": 2,
            "transform": "log",
            "quantiles": list(LEVELS),
        }
        | changes
    )


def make_panel(series: tuple[str, ...] = ("GOOG",), n: int = 10, start: str = "2024-03-01", scale: float = 1.0):
    """Observed prices near 100."""
    rng = np.random.default_rng(5)
    days = pd.date_range(start, periods=n, tz="UTC").astype("datetime64[us, UTC]")
    return pd.DataFrame(
        {
            "series_id": np.repeat(series, n),
            "timestamp_utc": np.tile(days, len(series)),
            "target": scale * (100 + rng.standard_normal(n * len(series))),
            "is_filled": False,
        }
    )


def make(name: str, n_origins: int = 5, **changes):
    """Forecasts of the problem."""
    make_one = make_answered if changes.pop("is_answered", False) else make_stored
    return make_one(n_origins=n_origins, problem=name, n_quantiles=len(LEVELS), **changes)


def dump(database, problem: str) -> dict[str, pd.DataFrame]:
    """All that is rolled up of a problem, in order."""
    tables = {}
    with database.connect() as connection:
        for table in TABLES:
            cursor = connection.execute(f"SELECT * FROM loopcast.{table} WHERE problem = %s", [problem])
            frame = pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description])
            tables[table] = frame.sort_values(list(frame.columns[:5])).reset_index(drop=True)
    return tables


def from_scratch(database, store, problem) -> dict[str, pd.DataFrame]:
    """What a roll-up of everything gives."""
    with database.connect() as connection:
        for table in (*TABLES, "rollup_marks"):
            connection.execute(f"DELETE FROM loopcast.{table} WHERE problem = %s", [problem.name])
        connection.execute(
            "INSERT INTO loopcast.rollup_days_due SELECT DISTINCT problem, date_bin('1 day', step, 'epoch') "
            "FROM loopcast.forecasts, unnest(origin_utc || target_utc) AS step WHERE problem = %s",
            [problem.name],
        )
    store.roll_up_new(problem, edges_of)
    return dump(database, problem.name)


def edges_of(version: int) -> dict[Column, Bins]:
    """The same for all."""
    return EDGES


def assert_same(found: dict[str, pd.DataFrame], wanted: dict[str, pd.DataFrame]) -> None:
    """Counts to the last, sums to rounding."""
    for table in TABLES:
        assert len(wanted[table])
        pd.testing.assert_frame_equal(found[table], wanted[table], rtol=1e-12, check_dtype=False)


def steps_of(database, problem: Problem) -> Steps:
    """The steps as the view shows them."""
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT series_id, model_version, origin_utc, target_utc, horizon, origin_value, ewma_deviation, "
            "quantiles, actual FROM loopcast.forecast_steps WHERE problem = %s",
            [problem.name],
        ).fetchall()
    columns = list(zip(*rows, strict=True))
    names, codes = np.unique(columns[0], return_inverse=True)
    moments = [np.array([each.replace(tzinfo=None) for each in columns[k]], dtype="datetime64[us]") for k in (2, 3)]
    return Steps(
        tuple(names.tolist()), codes, np.array(columns[1]), *moments, np.array(columns[4]), np.array(columns[5]),
        np.array(columns[6]), np.array([np.ravel(each) for each in columns[7]]), np.array(columns[8], dtype=float),
    )  # fmt: skip


def test_roll_ups_say_what_the_steps_say(store, database, problem):
    """Histograms, sums and tracks are those of the view's steps, rescaled actuals and all."""
    ForecastStore(database).write(make(problem.name, series=("GOOG", "A", "日本"), start="2024-03-02"))
    ForecastStore(database).write(make(problem.name, 1, is_answered=True, start="2024-03-02"))
    ActualStore(database).record(problem.name, make_panel(("GOOG", "A", "日本"), 5, scale=3.0))

    assert store.roll_up_new(problem, edges_of) == (8, 16)

    steps = steps_of(database, problem)
    values = measure_columns(steps, problem)
    window = store.read_window(problem.name, *ALWAYS)
    assert window.keys() == {(3, column) for column in Column}
    for column in Column:
        found, wanted = window[3, column], count_values(values[column][np.isfinite(values[column])], EDGES[column])
        np.testing.assert_array_equal(found.counts, wanted.counts)
        assert (found.minimum, found.maximum) == (wanted.minimum, wanted.maximum)
        assert (found.total, found.squares) == pytest.approx((wanted.total, wanted.squares))
    sums = store.read_sums(problem.name, 3, *ALWAYS)
    pd.testing.assert_frame_equal(sums.sort_values(list(sums.columns[:4])).reset_index(drop=True),
                                  sum_steps(steps, problem), check_exact=False)  # fmt: skip
    tracks, wanted_tracks = store.read_tracks(problem.name, 3, *ALWAYS), split_tracks(steps, values)
    assert tracks.keys() == wanted_tracks.keys() == {"GOOG", "A", "日本"}
    for name, track in tracks.items():
        np.testing.assert_array_equal(track.origin_utc, wanted_tracks[name].origin_utc)
        for column in WATCHED:
            np.testing.assert_allclose(track.values[column], wanted_tracks[name].values[column])


def test_what_comes_bit_by_bit_equals_a_roll_up_from_scratch(store, database, problem):
    """Late forecasts, late and corrected actuals, and a history that is rescaled are all as if they had been there."""
    forecasts, actuals = ForecastStore(database), ActualStore(database)
    for write in (
        lambda: forecasts.write(make(problem.name, 3, series=("GOOG", "A"), start="2024-03-01")),
        lambda: actuals.record(problem.name, make_panel(("GOOG",), 3)),
        lambda: forecasts.write(make(problem.name, 5, series=("GOOG", "A"), start="2024-03-01")),
        lambda: actuals.record(problem.name, make_panel(("GOOG", "A"), 7)),
        lambda: forecasts.write(make(problem.name, 1, is_answered=True, start="2024-03-01T13:05")),
        lambda: actuals.record(problem.name, make_panel(("GOOG", "A"), 7, scale=0.5)),
        lambda: forecasts.write(make(problem.name, 2, model_version=4, start="2024-03-02")),
    ):
        write()
        assert store.roll_up_new(problem, edges_of).n_days > 0

    assert store.roll_up_new(problem, edges_of) == (0, 0)
    assert_same(dump(database, problem.name), from_scratch(database, store, problem))


def test_many_forecasts_are_rolled_up_in_parts(store, database, problem, monkeypatch):
    """However few are held at once, and whatever version each part is of."""
    monkeypatch.setattr(step_rows, "AT_ONCE", 3)
    for version in (3, 4):
        ForecastStore(database).write(make(problem.name, 9, series=("GOOG", "A"), model_version=version))
    ActualStore(database).record(problem.name, make_panel(("GOOG", "A"), 12))

    assert store.roll_up_new(problem, edges_of).n_days == 17

    monkeypatch.undo()
    assert_same(dump(database, problem.name), from_scratch(database, store, problem))


def test_a_forecast_that_commits_late_is_not_missed(store, database, problem):
    """It was begun before the last roll-up and is there after it."""
    ForecastStore(database).write(make(problem.name, 2))
    with database.connect() as connection:
        insert_rows(database, connection, [encode_forecasts(make(problem.name, 3, series=("LATE",)))])
        assert store.roll_up_new(problem, edges_of).n_forecasts == 2

    assert store.roll_up_new(problem, edges_of).n_forecasts == 5
    assert_same(dump(database, problem.name), from_scratch(database, store, problem))


def test_a_roll_up_that_is_interrupted_is_done_again(store, database, problem):
    """Nothing is lost and nothing counted twice."""
    ForecastStore(database).write(make(problem.name, 40, start="2024-01-01"))
    asked = []

    def fail_once(version):
        asked.append(version)
        if len(asked) == 1:
            raise RuntimeError("killed")
        return EDGES

    with pytest.raises(RuntimeError, match="killed"):
        store.roll_up_new(problem, fail_once)
    assert dump(database, problem.name)["rollups"].empty
    store.roll_up_new(problem, fail_once)

    assert asked == [3, 3]
    assert_same(dump(database, problem.name), from_scratch(database, store, problem))


def test_roll_ups_at_once_take_turns(store, database, problem):
    """While forecasts are written."""
    failures = []

    def work(k):
        try:
            ForecastStore(database).write(make(problem.name, 6, series=(f"S{k}",)))
            store.roll_up_new(problem, edges_of)
        except BaseException as exc:  # noqa: BLE001  the boundary of a thread
            failures.append(exc)

    threads = [threading.Thread(target=work, args=[k]) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.roll_up_new(problem, edges_of)

    assert failures == []
    found = dump(database, problem.name)
    assert found["rollups"].loc[found["rollups"]["column_name"] == "log_deviation", "n"].sum() == 36
    assert_same(found, from_scratch(database, store, problem))


def test_edges_are_those_of_the_first_roll_up(store, database, problem):
    """Of each version its own, also after the profile has changed."""
    forecasts = ForecastStore(database)
    forecasts.write(make(problem.name, 1))
    store.roll_up_new(problem, lambda version: {Column.INTERVAL_WIDTH: Bins(0.0, version)})
    forecasts.write(make(problem.name, 2))
    forecasts.write(make(problem.name, 2, model_version=4))
    store.roll_up_new(problem, lambda version: {Column.INTERVAL_WIDTH: Bins(-1.0, version)})

    window = store.read_window(problem.name, *ALWAYS)

    assert {key: (each.bins, each.n) for key, each in window.items()} == {
        (3, Column.INTERVAL_WIDTH): (Bins(0.0, 3.0), 2),
        (4, Column.INTERVAL_WIDTH): (Bins(-1.0, 4.0), 2),
    }
    assert store.read_sums(problem.name, 4, *ALWAYS)["n_steps"].sum() == 4


def test_what_was_forgotten_stays_rolled_up(store, database, problem):
    """A correction after that moves only days of which every forecast is still there."""
    forecasts, actuals = ForecastStore(database), ActualStore(database)
    made_utc = datetime(1991, 1, 1, tzinfo=UTC)
    forecasts.write(make(problem.name, 3, start="1991-04-28", issued_at_utc=made_utc))
    forecasts.write(make(problem.name, 2, start="1991-05-01"))
    actuals.record(problem.name, make_panel(n=10, start="1991-04-25"))
    store.roll_up_new(problem, edges_of)
    before = dump(database, problem.name)

    forecasts.forget(made_utc + timedelta(days=1))
    actuals.record(problem.name, make_panel(n=10, start="1991-04-25").assign(target=50.0))
    store.roll_up_new(problem, edges_of)

    after = dump(database, problem.name)
    assert forecasts.count(problem.name) == 2
    assert len(after["step_sums"]) == len(before["step_sums"])
    is_changed = (after["step_sums"]["loss"] != before["step_sums"]["loss"]).to_numpy()
    assert after["step_sums"]["day_utc"][is_changed].dt.date.astype(str).unique().tolist() == [
        "1991-05-03",
        "1991-05-04",
    ]


def test_forecasts_that_answer_another_question_are_passed_over(store, database, problem):
    """As those of a model of other quantiles; the others of the day are rolled up."""
    ForecastStore(database).write(make(problem.name, 2))
    ForecastStore(database).write(make_stored(2, problem=problem.name, n_quantiles=3, model_version=2))

    assert store.roll_up_new(problem, edges_of).n_forecasts == 4

    assert {version for version, _ in store.read_window(problem.name, *ALWAYS)} == {3}


def test_a_window_takes_its_first_hour_and_not_its_last(store, database, problem):
    """Issued columns by the hour of the origin, judged ones by that of the target."""
    ForecastStore(database).write(make(problem.name, 4, start="2024-02-29T20:00"))
    ActualStore(database).record(problem.name, make_panel(n=9, start="2024-02-29T20:00"))
    store.roll_up_new(problem, edges_of)

    since = datetime(2024, 3, 2, 20, tzinfo=UTC)
    window = store.read_window(problem.name, since, since + timedelta(days=1))

    on_next_step_alone = (*ISSUED, Column.STANDARDISED_CHANGE)
    assert {column: each.n for (_, column), each in window.items()} == {
        column: 1 if column in on_next_step_alone else 2 for column in Column
    }
    assert store.read_window(problem.name, since + timedelta(days=90), ALWAYS[1]) == {}


def test_of_a_problem_without_forecasts_everything_is_empty(store, database, problem):
    """And nothing fails."""
    ActualStore(database).record(problem.name, make_panel())

    assert store.roll_up_new(problem, edges_of) == (10, 0)

    assert store.read_window(problem.name, *ALWAYS) == {}
    assert store.read_sums(problem.name, 1, *ALWAYS).empty
    assert store.read_tracks(problem.name, 1, *ALWAYS) == {}
