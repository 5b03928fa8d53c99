"""Forecasts come back as they were written, each once; the logs in memory and in PostgreSQL keep one contract."""

import math
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest

from loopcast.errors import StoreError
from loopcast.forecasts import ForecastSource
from loopcast.stores import partitions
from loopcast.stores.forecast_rows import encode_forecasts, insert_rows
from loopcast.stores.forecasts import ForecastLog, ForecastStore, MemoryForecastStore
from loopcast.stores.stored_forecast import ForecastLineage, StoredForecast
from tests.forecast_factory import ISSUED_AT_UTC, make_answered, make_stored


@pytest.fixture(params=["memory", "postgresql"])
def log(request) -> ForecastLog:
    """A log of forecasts."""
    return MemoryForecastStore() if request.param == "memory" else ForecastStore(request.getfixturevalue("database"))


@pytest.fixture
def store(database) -> ForecastStore:
    """The one in PostgreSQL."""
    return ForecastStore(database)


def ids_of(forecasts) -> list[UUID]:
    """The ids as the database shows them."""
    return [UUID(bytes=each.tobytes()) for each in forecasts.ids]


def test_a_forecast_comes_back_as_it_was_written(log, name):
    """To the last bit and the microsecond, with nothing known yet of what comes true."""
    origin_utc = np.array(["2024-03-07T20:59:59.123456"], dtype="datetime64[us]")
    forecasts = make_stored(
        problem=name,
        series=('Zürich, 1st "œ"',),
        origin_utc=origin_utc,
        target_utc=origin_utc[:, None] + np.array([[1, 3]]) * np.timedelta64(1, "D"),
        origin_value=np.array([1 / 3]),
        quantiles=np.array([[[-1e300, 0.1, 5e-324], [1.0, 2.0, math.pi]]]),
        issued_at_utc=datetime(2024, 3, 8, 22, 0, 0, 1, tzinfo=UTC),
    )

    assert log.write(forecasts) == 1

    [written] = ids_of(forecasts)
    assert log.find(written) == StoredForecast(
        id=written,
        problem=name,
        series_id='Zürich, 1st "œ"',
        origin_utc=datetime(2024, 3, 7, 20, 59, 59, 123456, tzinfo=UTC),
        model_version=3,
        source=ForecastSource.BATCH,
        origin_value=1 / 3,
        ewma_deviation=0.015,
        target_utc=(
            datetime(2024, 3, 8, 20, 59, 59, 123456, tzinfo=UTC),
            datetime(2024, 3, 10, 20, 59, 59, 123456, tzinfo=UTC),
        ),
        quantiles=((-1e300, 0.1, 5e-324), (1.0, 2.0, math.pi)),
        features_digest=forecasts.features_digest[0].tobytes().hex(),
        request_id="run-1",
        issued_at_utc=datetime(2024, 3, 8, 22, 0, 0, 1, tzinfo=UTC),
        actual=(None, None),
    )
    assert log.find(uuid4()) is None


def test_many_series_with_names_of_every_length_come_back(log, name):
    """Each row keeps what is its own, in whatever order rows are sent."""
    series = ("A", "", "BB", "C", "é", "DDD", "日本")
    forecasts = make_stored(3, problem=name, series=series, horizon=1, n_quantiles=1, request_id="")

    assert log.write(forecasts) == len(forecasts) == 21

    found = {each.id: each for each in log.read(name)}
    assert [found[each].series_id for each in ids_of(forecasts)] == forecasts.series_ids.tolist()
    assert [found[each].origin_value for each in ids_of(forecasts)] == forecasts.origin_value.tolist()
    assert [found[each].quantiles for each in ids_of(forecasts)] == [((q,),) for q in forecasts.quantiles.ravel()]


def test_what_is_written_again_is_kept_once_as_it_was(log, name):
    """A run that is repeated stores what is missing, and changes nothing."""
    first = make_stored(2, problem=name)
    again = make_stored(3, problem=name, seed=1, issued_at_utc=ISSUED_AT_UTC + timedelta(days=1))

    assert log.write(first) == 2
    assert log.write(again) == 1
    assert log.write(again) == 0

    assert log.count(name) == 3
    assert log.find(ids_of(first)[0]).origin_value == first.origin_value[0]


def test_forecasts_of_different_versions_and_sources_are_different_ones(log, name):
    """Also at the same origin of the same series."""
    for changes in ({}, {"model_version": 4}, {"source": ForecastSource.REPLAY}, {"source": ForecastSource.ONLINE}):
        assert log.write(make_stored(problem=name, **changes)) == 1

    assert log.count(name) == 4


def test_nothing_is_written_of_no_forecasts(log, name):
    """A part of a run may be empty."""
    assert log.write(make_stored(0, problem=name)) == 0
    assert log.count(name) == 0


def test_the_latest_origin_is_read_first(log, name):
    """And of one origin the last made; each condition leaves others out."""
    log.write(make_stored(3, problem=name, series=("A", "B"), start="2024-01-30"))
    log.write(make_stored(1, problem=name, start="2024-02-01", series=("A",), model_version=4,
                          issued_at_utc=ISSUED_AT_UTC + timedelta(hours=1)))  # fmt: skip
    log.write(make_stored(1, problem=f"{name}x", start="2024-02-01", series=("A",)))

    def read(**conditions):
        return [(each.series_id, each.origin_utc.date(), each.model_version) for each in log.read(name, **conditions)]

    january, february = date(2024, 1, 30), date(2024, 2, 1)
    assert read(series_id="A") == [
        ("A", february, 4), ("A", february, 3), ("A", date(2024, 1, 31), 3), ("A", january, 3)
    ]  # fmt: skip
    assert read(series_id="A", limit=1) == [("A", february, 4)]
    assert read(model_version=4) == [("A", february, 4)]
    assert read(until_utc=datetime(2024, 1, 30, tzinfo=UTC), series_id="B") == [("B", january, 3)]
    assert read(since_utc=datetime(2024, 2, 1, tzinfo=UTC), series_id="B") == [("B", february, 3)]
    assert len(read(source=ForecastSource.BATCH)) == 7
    assert read(source=ForecastSource.ONLINE) == read(series_id="C") == []


def test_a_run_that_was_stopped_learns_what_is_stored(log, name):
    """Forecast by forecast, and only of its own version and source."""
    wanted = make_stored(4, problem=name, series=("A", "BB"))
    log.write(make_stored(2, problem=name, series=("BB", "C")))
    log.write(make_stored(4, problem=name, series=("A",), model_version=4))

    def are_stored(version, source=ForecastSource.BATCH):
        return log.are_stored(source, name, version, wanted.series_ids, wanted.origin_utc).tolist()

    assert are_stored(3) == [False] * 4 + [True, True, False, False]
    assert are_stored(4) == [True] * 4 + [False] * 4
    assert are_stored(3, ForecastSource.REPLAY) == [False] * 8
    assert log.are_stored(ForecastSource.BATCH, name, 3, wanted.series_ids[:0], wanted.origin_utc[:0]).tolist() == []


def test_the_lineage_of_a_forecast_whose_version_is_unknown_says_so(log, name):
    """All that the forecast itself knows, and None for the rest."""
    forecasts = make_answered(problem=name, model_version=99)
    log.write(forecasts)

    [written] = ids_of(forecasts)
    assert log.lineage(written) == ForecastLineage(
        id=written,
        problem=name,
        series_id="GOOG",
        origin_utc=datetime(2024, 3, 7, tzinfo=UTC),
        source=ForecastSource.ONLINE,
        request_id=forecasts.request_id,
        issued_at_utc=ISSUED_AT_UTC,
        features_digest=forecasts.features_digest[0].tobytes().hex(),
        model_version=99,
    )
    assert log.lineage(uuid4()) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"quantiles": np.full((1, 2, 3), np.nan)}, "quantiles of GOOG at 2024-03-07T00:00:00.000000 is not finite"),
        ({"origin_value": np.array([np.inf])}, "origin_value of GOOG at .* is not finite"),
        ({"target_utc": np.full((1, 2), np.datetime64("NaT", "us"))}, "target_utc of GOOG at .* is not finite"),
        ({"series": ("GO\0OG",)}, r"found a name of 5 bytes, b'GO\\x00OG'; .* at most 1000 bytes, without NUL"),
        ({"series": ("é" * 501,)}, "found a name of 1002 bytes"),
        ({"request_id": "r" * 1001}, "found a name of 1001 bytes"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_stored_is_refused_before_anything_is(log, name, changes, sentence):
    """With the value that stands in the way."""
    forecasts = make_stored(problem=name, **changes)

    with pytest.raises(StoreError, match=sentence):
        log.write(forecasts)

    assert log.count(name) == 0


def test_a_month_is_forgotten_when_all_its_forecasts_are_old(log, name):
    """Others stay, however old their origins are; what is forgotten can be written again."""
    made_utc = datetime(1981, 3, 8, 21, 30, tzinfo=UTC)
    old = make_stored(10, problem=name, start="1981-01-27", issued_at_utc=made_utc)
    log.write(old)
    log.write(
        make_stored(1, problem=name, series=("B",), start="1981-02-03", issued_at_utc=made_utc.replace(year=1985))
    )

    assert log.forget(made_utc) == 0
    assert log.forget(made_utc + timedelta(microseconds=1)) == 5

    assert log.count(name) == 6
    assert log.find(ids_of(old)[0]) is None
    assert log.find(ids_of(old)[-1]) is not None
    assert log.write(old) == 5


def months_of(database) -> set[str]:
    """The partitions that there are."""
    with database.connect() as connection:
        found = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'loopcast.forecasts'::regclass"
        )
        return {name.removeprefix("loopcast.forecasts_") for (name,) in found}


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_months_are_those_of_utc(database, name, zone):
    """Whatever zone the server thinks in, a month ends at midnight in Greenwich."""
    year = 1990 + len(zone)
    elsewhere = replace(database, url=f"{database.url}&options=-ctimezone%3D{zone.replace('/', '%2F')}")
    ends = make_stored(2, problem=name, start=f"{year}-03-31T23:59:59")
    ends = replace(ends, origin_utc=ends.origin_utc - np.array([0, 86_399], dtype="timedelta64[s]"))

    assert ForecastStore(elsewhere).write(ends) == 2
    assert ForecastStore(database).write(ends) == 0

    assert {month for month in months_of(database) if month.startswith(str(year))} == {f"{year}_03", f"{year}_04"}


def test_origins_of_other_centuries_make_no_partitions(store, database, name):
    """They are kept all the same, and forgotten one by one."""
    before = months_of(database)
    made_utc = datetime(1971, 1, 1, tzinfo=UTC)
    for start in ("1520-05-06", "1969-12-31", "2100-01-01", "2999-12-31"):
        store.write(make_stored(problem=name, start=start, issued_at_utc=made_utc))
    store.write(make_stored(problem=name, start="2999-12-30"))

    assert months_of(database) == before
    assert store.count(name) == 5
    assert store.forget(made_utc + timedelta(seconds=1)) == 4
    assert [each.origin_utc.date() for each in store.read(name)] == [date(2999, 12, 30)]


def test_writers_that_meet_at_a_new_month_all_succeed(store, name):
    """The partition is made once, by whoever comes first."""
    forecasts = [make_stored(problem=name, start="1975-05-05", model_version=version) for version in range(8)]
    written = []
    threads = [threading.Thread(target=lambda each=each: written.append(store.write(each))) for each in forecasts]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert written == [1] * 8
    assert store.count(name) == 8


def test_the_same_forecasts_written_at_once_are_kept_once(store, name):
    """As when a task is started again that still runs."""
    forecasts = make_stored(500, problem=name)
    written = []
    threads = [threading.Thread(target=lambda: written.append(store.write(forecasts))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(written) == store.count(name) == 500


def test_a_month_that_is_written_is_not_dropped_under_the_writer(store, database, name):
    """Forgetting waits for the writer, and then finds that the month is in use."""
    made_utc = datetime(1974, 1, 1, tzinfo=UTC)
    store.write(make_stored(problem=name, start="1974-06-01", issued_at_utc=made_utc))
    lately = make_stored(problem=name, start="1974-06-02", issued_at_utc=made_utc.replace(year=1980))
    forgotten = []
    forgetting = threading.Thread(target=lambda: forgotten.append(store.forget(made_utc.replace(year=1975))))

    with database.connect() as connection:
        insert_rows(database, connection, [encode_forecasts(lately)])
        forgetting.start()
        forgetting.join(0.5)
        assert forgetting.is_alive()
    forgetting.join()

    assert forgotten == [0]
    assert store.count(name) == 2


def test_a_long_query_postpones_forgetting(store, database, name, monkeypatch):
    """Who writes and reads is not made to wait behind it."""
    monkeypatch.setattr(partitions, "MAX_WAIT", "100ms")
    made_utc = datetime(1972, 1, 1, tzinfo=UTC)
    store.write(make_stored(problem=name, start="1972-06-01", issued_at_utc=made_utc))

    with database.connect() as connection:
        connection.execute("SELECT count(*) FROM loopcast.forecasts")
        with pytest.raises(StoreError, match=r"^loopcast\.forecasts_1972_06 was in use for 100ms, needs a moment"):
            store.forget(made_utc.replace(year=1973))

    assert store.forget(made_utc.replace(year=1973)) == 1


def test_what_the_table_does_not_take_changes_nothing(store, name):
    """A batch is written as a whole."""
    forecasts = replace(make_stored(2, problem=name), source="nobody")

    with pytest.raises(psycopg.errors.CheckViolation):
        store.write(forecasts)

    assert store.count(name) == 0
