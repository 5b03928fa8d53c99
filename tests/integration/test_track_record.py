"""What a track record is told from, on real roll-ups: sums that say what the steps say, and forecasts as first told."""

from datetime import UTC, datetime, timedelta

import pytest

from loopcast.health.track_record import sum_up_track
from loopcast.stores.track_record import Chosen, TrackRecordStore
from tests.reading_factory import START, Past, make_past

FIRST = datetime.fromisoformat(START).replace(tzinfo=UTC)
ALWAYS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def past(database, name) -> Past:
    """A problem with a version."""
    past = make_past(database, name)
    past.register()
    return past


@pytest.fixture
def store(database) -> TrackRecordStore:
    """The store under test."""
    return TrackRecordStore(database)


def steps_of(past: Past, condition: str = "true") -> list[tuple]:
    """Level errors of the median and of the last value of each judged step, as the view has them."""
    with past.database.connect() as connection:
        return connection.execute(
            "SELECT abs(ln(actual) - ln(quantiles[7])), abs(ln(actual) - ln(origin_value)) "
            f"FROM loopcast.forecast_steps WHERE problem = %s AND actual IS NOT NULL AND {condition}",
            [past.name],
        ).fetchall()


def test_sums_say_what_the_steps_say(past, store):
    """The median's error and persistence's, over all steps and over those of a choice."""
    past.forecast(10, series=("S0", "S1"))
    past.observe(8, series=("S0", "S1"))
    past.roll_up()

    for chosen, condition in (
        (Chosen(past.name, *ALWAYS), "true"),
        (Chosen(past.name, *ALWAYS, series_id="S1", horizon=2), "series_id = 'S1' AND horizon = 2"),
        (Chosen(past.name, FIRST + timedelta(days=3), ALWAYS[1]), "target_utc >= '2024-03-07Z'"),
        (Chosen(past.name, *ALWAYS, model_version=9), "false"),
    ):
        found, steps = sum_up_track(store.read_sums(chosen), 3).overall, steps_of(past, condition)
        assert found.n_judged == len(steps)
        if steps:
            ours, theirs = (sum(column) for column in zip(*steps, strict=True))
            assert found.absolute_error == pytest.approx(ours / len(steps))
            assert found.error_ratio == pytest.approx(ours / theirs)


def test_days_that_a_version_was_trained_on_are_marked(past, store):
    """Up to and with the day on which its data end."""
    past.register(4, trained_until="2024-03-07")
    past.forecast(10, version=4)
    past.observe(12)
    past.roll_up()

    sums = store.read_sums(Chosen(past.name, *ALWAYS))

    assert set(sums.loc[sums["is_trained"], "day_utc"].dt.day) == {5, 6, 7}
    assert set(sums.loc[~sums["is_trained"], "day_utc"].dt.day) == set(range(8, 17))


def test_what_was_not_counted_yet_is_known(past, store):
    """Days wait from the first that a forecast or an actual has touched."""
    assert store.find_rolled(past.name) == (None, None, None, 0)
    past.forecast(3)
    waiting = store.find_rolled(past.name)
    past.roll_up()
    rolled = store.find_rolled(past.name)
    past.observe(2)
    touched = store.find_rolled(past.name)

    assert (waiting.first_day_utc, waiting.waiting_since_utc, waiting.n_waiting_days) == (None, FIRST, 3)
    assert (rolled.first_day_utc, rolled.last_day_utc) == (FIRST + timedelta(days=1), FIRST + timedelta(days=5))
    assert (rolled.waiting_since_utc, rolled.n_waiting_days) == (None, 0)
    assert (touched.waiting_since_utc, touched.n_waiting_days) == (FIRST, 2)


def test_a_day_from_before_persistence_was_counted_is_not_compared(past, store):
    """Its coverage counts, its errors do not, so that none is held against nothing."""
    past.forecast(6)
    past.observe(6)
    past.roll_up()
    with past.database.connect() as connection:
        connection.execute(
            "UPDATE loopcast.step_sums SET persistence_error = NULL WHERE problem = %s AND day_utc < '2024-03-06Z'",
            [past.name],
        )

    found = sum_up_track(store.read_sums(Chosen(past.name, *ALWAYS)), 3).overall

    ours, theirs = (sum(column) for column in zip(*steps_of(past, "target_utc >= '2024-03-06Z'"), strict=True))
    assert found.n_judged == len(steps_of(past))
    assert found.error_ratio == pytest.approx(ours / theirs)


def test_forecasts_are_shown_as_they_were_first_told(past, store):
    """Of several from one origin the first made; what came true stands on its scale, where it is known."""
    past.forecast(4, seed=1, issued_at_utc=datetime(2024, 3, 9, tzinfo=UTC), request_id="late", version=5)
    past.register(5)
    past.forecast(4)
    past.observe(4)

    n_origins, points = store.read_points(Chosen(past.name, *ALWAYS, series_id="S0", horizon=2))

    assert (n_origins, [each.model_version for each in points]) == (4, [3, 3, 3, 3])
    assert [each.target_utc - each.origin_utc for each in points] == [timedelta(days=2)] * 4
    assert all(each.low_95 < each.low_80 < each.median < each.high_80 < each.high_95 for each in points)
    with past.database.connect() as connection:
        actual = connection.execute(
            "SELECT actual FROM loopcast.forecast_steps WHERE problem = %s AND model_version = 3 AND horizon = 2 "
            "ORDER BY origin_utc",
            [past.name],
        ).fetchall()
    assert [(each.actual,) for each in points] == actual
    assert [each.actual is None for each in points] == [False, False, True, True]


def test_a_long_stretch_is_shown_every_so_many(past, store):
    """Evenly, and the last among them; it is said how many there are."""
    past.forecast(25)

    n_origins, points = store.read_points(Chosen(past.name, *ALWAYS, series_id="S0"), n_most=10)

    assert n_origins == 25
    assert [(each.origin_utc - FIRST).days for each in points] == list(range(0, 25, 3))


def test_what_a_version_was_trained_on_is_not_shown(past, store):
    """It knew those targets; nor is a horizon shown that no forecast has."""
    past.register(4, trained_until="2024-03-07")
    past.forecast(5, version=4)

    n_origins, points = store.read_points(Chosen(past.name, *ALWAYS, series_id="S0"))

    assert (n_origins, min(each.target_utc.day for each in points)) == (2, 8)
    assert store.read_points(Chosen(past.name, *ALWAYS, series_id="S0", horizon=40)) == (0, [])
