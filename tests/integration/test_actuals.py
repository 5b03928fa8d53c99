"""What came true is kept once, corrected when it changes, and joined with what was forecast."""

import threading
from datetime import datetime
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from loopcast.stores.actuals import ActualsChange, ActualStore
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.model_versions import ModelVersionStore
from tests.forecast_factory import make_stored
from tests.integration.versions import make_version

DAYS = pd.date_range("2024-03-07", periods=4, tz="UTC").astype("datetime64[us, UTC]")


@pytest.fixture
def actuals(database) -> ActualStore:
    """The shared store."""
    return ActualStore(database)


def make_steps(*targets: float, series: str = "GOOG", first: int = 0, is_filled: bool = False) -> pd.DataFrame:
    """Steps of one series, day after day."""
    return pd.DataFrame(
        {
            "series_id": series,
            "timestamp_utc": DAYS[first : first + len(targets)],
            "target": targets,
            "is_filled": is_filled,
        }
    )


def values_of(actuals: ActualStore, problem: str, *span: datetime) -> dict[tuple[str, str], float]:
    """What is known, by series and day."""
    found = actuals.read(problem, *span)
    return {
        (series_id, f"{day:%m-%d}"): value
        for series_id, day, value in zip(found["series_id"], found["timestamp_utc"], found["actual"], strict=True)
    }


def corrections_of(actuals: ActualStore, problem: str) -> list[tuple[str, datetime, float, float]]:
    """What was corrected, in order."""
    with actuals.database.connect() as connection:
        return connection.execute(
            "SELECT series_id, timestamp_utc, actual_before, actual_after FROM loopcast.actual_corrections "
            "WHERE problem = %s ORDER BY corrected_at_utc, series_id, timestamp_utc",
            [problem],
        ).fetchall()


def test_observed_steps_are_kept_and_filled_ones_are_not(actuals, name):
    """A value that was carried forward never came true."""
    panel = pd.concat([make_steps(1.0, 2.0), make_steps(2.0, first=2, is_filled=True), make_steps(3.0, series="é")])

    assert actuals.record(name, panel) == ActualsChange(n_new=3, n_corrected=0, n_unchanged=0)

    assert values_of(actuals, name) == {("GOOG", "03-07"): 1.0, ("GOOG", "03-08"): 2.0, ("é", "03-07"): 3.0}
    assert values_of(actuals, f"{name}x") == {}


def test_recording_again_changes_nothing(actuals, name):
    """A task that is tried again leaves the same state, and the moment at which a value was first known."""
    panel = make_steps(1.0, 2.0, 3.0)
    actuals.record(name, panel)
    before = actuals.read(name)

    assert actuals.record(name, panel) == ActualsChange(n_new=0, n_corrected=0, n_unchanged=3)

    pd.testing.assert_frame_equal(actuals.read(name), before)
    assert corrections_of(actuals, name) == []


def test_late_and_corrected_values_take_their_place(actuals, name):
    """The value of before is kept, with the moment; what the source no longer has stays."""
    actuals.record(name, make_steps(1.0, 2.0, 3.0))
    first_known = actuals.read(name).set_index("timestamp_utc")["first_known_at_utc"]

    change = actuals.record(name, make_steps(2.5, 3.0, 4.0, first=1))

    assert change == ActualsChange(n_new=1, n_corrected=1, n_unchanged=1)
    assert list(values_of(actuals, name).values()) == [1.0, 2.5, 3.0, 4.0]
    assert corrections_of(actuals, name) == [("GOOG", DAYS[1].to_pydatetime(), 2.0, 2.5)]
    assert actuals.read(name).set_index("timestamp_utc")["first_known_at_utc"].iloc[:3].equals(first_known)

    actuals.record(name, make_steps(2.0, first=1))
    assert [each[2:] for each in corrections_of(actuals, name)] == [(2.0, 2.5), (2.5, 2.0)]


def test_of_several_rows_for_one_step_the_last_counts(actuals, name):
    """Whatever made them; nothing is written twice."""
    panel = pd.concat([make_steps(1.0, 2.0), make_steps(5.0), make_steps(6.0)])

    assert actuals.record(name, panel) == ActualsChange(n_new=2, n_corrected=0, n_unchanged=0)
    assert list(values_of(actuals, name).values()) == [6.0, 2.0]


def test_a_span_is_read_with_both_its_ends(actuals, name):
    """First and last step belong to it."""
    actuals.record(name, make_steps(1.0, 2.0, 3.0, 4.0))

    assert list(values_of(actuals, name, DAYS[1], DAYS[2]).values()) == [2.0, 3.0]
    assert list(values_of(actuals, name, DAYS[3]).values()) == [4.0]


def test_nothing_is_recorded_of_an_empty_panel(actuals, name):
    """And what is read of nothing has its columns."""
    assert actuals.record(name, make_steps()) == ActualsChange(0, 0, 0)

    found = actuals.read(name)
    assert found.dtypes.astype(str).to_dict() == {
        "series_id": "object", "timestamp_utc": "datetime64[us, UTC]", "actual": "float64",
        "first_known_at_utc": "datetime64[us, UTC]",
    }  # fmt: skip


def test_two_that_record_at_once_count_each_step_once(actuals, name):
    """The second waits, and finds what the first has written."""
    changes = []
    panels = [make_steps(1.0, 2.0, 3.0, 4.0), make_steps(9.0, 2.0, 3.0, 4.0)]
    threads = [threading.Thread(target=lambda each=each: changes.append(actuals.record(name, each))) for each in panels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(change.n_new for change in changes) == 4
    assert sum(change.n_corrected for change in changes) == len(corrections_of(actuals, name)) == 1


@pytest.fixture
def judge(database, actuals, name):
    """Forecast two steps from March 7th, record actuals, and tell which of them view and store join with each step."""

    def judge_steps(*actual_sets: pd.DataFrame, transform: str, origin_value: float) -> list[float | None]:
        ModelVersionStore(database).record(make_version(problem=name, version=3, transform=transform))
        forecasts = make_stored(problem=name, origin_value=np.array([origin_value]))
        store = ForecastStore(database)
        store.write(forecasts)
        for each in actual_sets:
            actuals.record(name, each)
        with database.connect() as connection:
            seen = connection.execute(
                "SELECT horizon, target_utc, quantiles, actual FROM loopcast.forecast_steps WHERE problem = %s "
                "ORDER BY horizon",
                [name],
            ).fetchall()
        assert [each[0] for each in seen] == [1, 2]
        assert [each[1] for each in seen] == list(DAYS[1:3])
        assert [each[2] for each in seen] == forecasts.quantiles[0].tolist()
        [found] = store.read(name)
        assert found == store.find(UUID(bytes=forecasts.ids[0].tobytes()))
        assert list(found.actual) == [each[3] for each in seen]
        return [each[3] for each in seen]

    return judge_steps


def test_a_step_that_has_not_come_has_no_actual(judge):
    """Nor has one that is missing."""
    assert judge(make_steps(100.0, 101.0), transform="log", origin_value=100.0) == [101.0, None]


def test_an_actual_that_nothing_rescaled_is_joined_as_it_is(judge):
    """To the last bit."""
    assert judge(make_steps(0.1, 1 / 3, 2 / 3), transform="log", origin_value=0.1) == [1 / 3, 2 / 3]


def test_a_corrected_actual_is_the_one_that_is_joined(judge):
    """As soon as it is known."""
    steps = (make_steps(100.0, 101.0, 102.0), make_steps(99.0, first=2))

    assert judge(*steps, transform="log", origin_value=100.0) == [101.0, 99.0]


def test_actuals_of_a_log_problem_are_put_on_the_scale_of_the_origin(judge):
    """After a split of two for one every price of the past is halved, and the forecast speaks of the old ones."""
    steps = (make_steps(100.0, 101.0, 102.0), make_steps(50.0, 50.5, 51.0))

    assert judge(*steps, transform="log", origin_value=100.0) == [101.0, 102.0]


def test_actuals_of_other_problems_are_never_rescaled(judge):
    """A correction of the origin is none of the target."""
    steps = (make_steps(100.0, 101.0, 102.0), make_steps(50.0))

    assert judge(*steps, transform="none", origin_value=100.0) == [101.0, 102.0]


def test_without_an_actual_at_the_origin_the_target_is_joined_as_it_is(judge):
    """There is nothing to compare with."""
    assert judge(make_steps(101.0, 102.0, first=1), transform="log", origin_value=100.0) == [101.0, 102.0]


@pytest.mark.slow
def test_a_large_panel_is_recorded_in_seconds(actuals, name):
    """A hundred thousand steps, of which one changed, are compared in the database."""
    times = pd.date_range("1980-01-01", periods=10_000, tz="UTC").astype("datetime64[us, UTC]")
    panel = pd.concat(
        [pd.DataFrame({"series_id": f"S{k}", "timestamp_utc": times, "target": 1.0 + k}) for k in range(10)],
        ignore_index=True,
    ).assign(is_filled=False)
    actuals.record(name, panel)

    panel.loc[4711, "target"] = 7.0

    assert actuals.record(name, panel) == ActualsChange(n_new=0, n_corrected=1, n_unchanged=99_999)
