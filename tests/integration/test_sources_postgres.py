"""A query of a real PostgreSQL as a problem's source."""

from datetime import UTC, date, datetime

import psycopg
import pytest

from loopcast.errors import SourceError
from loopcast.panel import build_panel
from loopcast.stores.sources import read_source
from tests.factories import make_problem


def make_query_problem(database, query, **overrides):
    """A problem whose rows a query of the test's database returns."""
    return make_problem(source={"uri": database.url, "query": query}, **overrides)


@pytest.mark.parametrize(
    ("kind", "first"),
    [("date", "2024-01-01"), ("timestamp", "2024-01-01 00:00"), ("timestamptz", "2024-01-01 00:00+00"),
     ("text", "2024-01-01")],
)  # fmt: skip
def test_a_query_becomes_a_panel(database, kind, first):
    """Dates, times with and without a zone, text and exact decimals come through as what they mean."""
    query = f"""
        SELECT 'north'::char(8) AS shop, ('{first}'::timestamp + n * interval '1 day')::{kind} AS day,
               (n + 0.5)::numeric AS sales, 'unused' AS note
        FROM generate_series(0, 4) AS n
    """

    panel = build_panel(read_source(make_query_problem(database, query)), make_problem()).panel

    assert panel["series_id"].unique().tolist() == ["north"]
    assert panel["timestamp_utc"].tolist() == [datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 6)]
    assert panel["target"].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]


def test_cells_come_as_they_stand(database):
    """Only the named columns, and nothing is made of a null."""
    query = "SELECT 1 AS note, NULL AS sales, 'a' AS shop, date '2024-01-01' AS day"

    rows = read_source(make_query_problem(database, query))

    assert rows.to_dict("records") == [{"shop": "a", "day": date(2024, 1, 1), "sales": None}]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELECT 1 AS shop, 2 AS dya, 3 AS sales", "no column `day`; did you mean `dya`? found shop, dya, sales"),
        ("SELECT 1 AS shop, 2 AS day, 3 AS sales, 4 AS sales", "column `sales` stands there twice; rename one"),
        ("SELECT 1 AS shop, 2 AS day, 3 AS sales WHERE false", "found no rows under the header, needs some; "),
        ("SELECT * FROM nowhere", 'relation "nowhere" does not exist '),
        ("SET search_path TO public", "the query returns no rows; needs a SELECT"),
    ],
)
def test_a_query_that_cannot_serve_is_refused(database, query, sentence):
    """One sentence, in which the server's own words follow the address."""
    with pytest.raises(SourceError) as refused:
        read_source(make_query_problem(database, query))

    assert str(refused.value).startswith(f"{database.url.partition('?')[0]}: {sentence}")


def test_a_query_cannot_write(database):
    """A problem's YAML may not change what it reads."""
    with pytest.raises(SourceError, match="read-only transaction"):
        read_source(make_query_problem(database, "CREATE TABLE written_by_a_source (n int)"))


def test_a_password_from_the_environment_is_never_repeated(database, monkeypatch):
    """It is given by PGPASSWORD, and no error shows it."""
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    problem = make_problem(source={"uri": "postgresql://ann@127.0.0.1:1/x", "query": "SELECT 1"})

    with pytest.raises(SourceError) as refused:
        read_source(problem)

    assert "postgresql://ann@127.0.0.1:1/x: " in str(refused.value)
    assert "hunter2" not in f"{refused.value} {refused.value.__cause__}"
    assert isinstance(refused.value.__cause__, psycopg.OperationalError)
