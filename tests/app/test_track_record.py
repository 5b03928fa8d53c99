"""The track record over HTTP: figures, curve and chart of what was asked for, and nothing of what may not be known."""

from uuid import uuid4

import pytest

from app.answers import track_record as answers
from app.api import create_app
from loopcast.stores.database import Database
from loopcast.stores.tokens import Role
from tests.app.client import API, Client, code_of, signed
from tests.app.past import make_reader


@pytest.fixture
def name() -> str:
    """A problem that no other test uses."""
    return f"p{uuid4().hex}"


@pytest.fixture
def read(make_parts, prices, database, name):
    """A problem's past, and what asks for its track record."""
    past, client = make_reader(make_parts, prices, database, name)

    def ask(**query):
        answer = client.get(f"{API}/problems/{name}/track-record", params=query)
        return answers.TrackRecord.model_validate(answer.json()) if answer.status_code == 200 else answer

    return past, ask


def test_a_track_record_tells_of_all_that_was_judged(read):
    """By day, horizon and version, up to the last target; what has not come true is counted apart."""
    past, ask = read
    past.forecast(40, series=("S0", "S1"))
    past.observe(40, series=("S0", "S1"))
    past.roll_up()

    found = ask()

    assert (found.overall.n_steps, found.overall.n_judged) == (240, 2 * (39 + 38 + 37))
    assert [each.horizon for each in found.by_horizon] == [1, 2, 3]
    assert [(each.model_version, each.candidate, each.n_trained) for each in found.by_version] == [(3, "lstm", 0)]
    assert (str(found.since), str(found.until)) == ("2023-04-16", "2024-04-15")
    assert (found.rolled_up_until_utc.isoformat(), found.n_waiting_days) == ("2024-04-16T00:00:00+00:00", 0)
    assert len(found.curve.day_utc) == len(found.curve.skill_ratio) == 19
    assert found.chart is None


def test_a_part_of_it_can_be_asked_for(read):
    """One series, horizon and stretch, with what was forecast beside what came true."""
    past, ask = read
    past.forecast(30, series=("S0", "S1"))
    past.observe(30, series=("S0", "S1"))
    past.roll_up()

    found = ask(series="S1", horizon=2, since="2024-03-10", until="2024-03-20", version=3)

    assert found.overall.n_steps == 11
    assert (found.chart.series_id, found.chart.horizon, found.chart.n_origins, found.chart.n_shown) == ("S1", 2, 11, 11)
    assert all(actual is not None for actual in found.chart.actual)
    assert ask(version=9).overall.n_steps == 0


def test_what_a_version_was_trained_on_is_left_out_and_counted(read):
    """However well it did there."""
    past, ask = read
    past.register(4, trained_until="2024-03-15")
    past.forecast(20, version=4)
    past.observe(20)
    past.roll_up()

    found = ask(series="S0")

    (version,) = found.by_version
    assert version.n_trained == 11 + 10 + 9
    assert found.overall.n_judged == version.figures.n_judged == 19 + 18 + 17 - 30
    assert min(each.day for each in found.chart.target_utc) == 16


def test_nobody_having_monitored_is_said(read):
    """Nothing is judged, and so many days wait; forecasts are shown beside what came true all the same."""
    past, ask = read
    past.forecast(5)
    past.observe(5)

    found = ask(series="S0", since="2024-03-01", until="2024-04-01")

    assert (found.overall.n_steps, found.rolled_up_until_utc, found.n_waiting_days) == (0, None, 5)
    assert found.chart.n_shown == 5


def test_nothing_at_all_is_no_error(read):
    """Figures that are not known are null."""
    _, ask = read

    found = ask(series="S0")

    assert (found.since, found.until, found.overall.n_judged, found.overall.skill_ratio) == (None, None, 0, None)
    assert (found.by_horizon, found.by_version, found.chart.n_shown) == ([], [], 0)


@pytest.mark.parametrize(
    "query",
    [{"since": "2024-03-02", "until": "2024-03-01"}, {"since": "yesterday"}, {"version": 0}, {"horizon": 0}],
)
def test_what_cannot_be_asked_is_refused(read, query):
    """With the parameter that is wrong."""
    _, ask = read

    answer = ask(**query)

    assert code_of(answer) == (422, "invalid_request")
    assert next(iter(query)) in answer.json()["error"]["message"]


def test_ends_of_time_are_no_error(read):
    """A stretch may begin before there were days."""
    past, ask = read
    past.forecast(3)
    past.roll_up()

    assert ask(since="0001-01-01").overall.n_steps == 9
    assert ask(until="0001-01-01", series="S0").overall.n_steps == 0
    assert ask(until="9999-12-31", since="9999-12-31", series="S0").overall.n_steps == 0


def test_a_reading_is_fresh_within_seconds(read, monkeypatch):
    """Many who look at once cost one reading; a little later it is made anew."""
    past, ask = read
    past.forecast(3)
    past.roll_up()
    before = ask()
    past.forecast(6)
    past.roll_up()

    assert ask() == before
    monkeypatch.setattr("app.recent.time.monotonic", lambda: 1e9)
    assert ask().overall.n_steps == 18


@pytest.mark.parametrize("path", ["track-record", "health", "timeline", "models", "models/3", "decisions"])
def test_a_problem_of_others_is_not_found(make_parts, prices, database, name, store, tokens, path):
    """Nor one that there is none of."""
    make_reader(make_parts, prices, database, name)
    _, secret = store.create("prices only", "anna", Role.VIEWER, ("prices",))
    tokens.refresh()
    theirs = signed(create_app(make_parts(tokens=tokens, database=database)), secret)
    local = Client(create_app(make_parts(database=database)))

    assert code_of(theirs.get(f"{API}/problems/{name}/{path}")) == (404, "not_found")
    assert code_of(local.get(f"{API}/problems/nowhere/{path}")) == (404, "not_found")


@pytest.mark.parametrize("path", ["track-record", "health", "timeline", "models", "models/3", "decisions"])
def test_a_problem_without_a_champion_is_read_as_well(make_parts, database, name, prices, path):
    """Once a version of it was trained: whoever is to promote one has to see it."""
    make_reader(make_parts, prices, database, name)
    client = Client(create_app(make_parts(database=database)))

    assert client.get(f"{API}/problems/{name}/{path}").status_code == 200


@pytest.mark.parametrize("path", ["track-record", "health", "timeline", "models", "models/3", "decisions"])
@pytest.mark.parametrize("database", [None, Database("postgresql://127.0.0.1:1/forecasts")])
def test_a_database_that_is_away_is_said_to_be(make_parts, path, database):
    """503, when to ask again, and nothing of where it lies."""
    client = Client(create_app(make_parts(database=database)))

    answers = [client.get(f"{API}/problems/google/{path}") for _ in range(2)]

    for answer in answers:
        assert code_of(answer) == (503, "unavailable")
        assert answer.headers["retry-after"] == "5"
        assert "127.0.0.1" not in answer.text
