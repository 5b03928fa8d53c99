"""Refused rows are kept with their reason, once for each ingest."""

import pandas as pd
import pytest
from pandera.typing import DataFrame

from loopcast.contracts import Quarantine
from loopcast.stores.quarantine import QuarantineStore


@pytest.fixture
def store(database) -> QuarantineStore:
    """The quarantine of the shared database."""
    return QuarantineStore(database)


def _rows(*rows: tuple[int, str | None, str, str]) -> DataFrame[Quarantine]:
    return DataFrame[Quarantine](pd.DataFrame(rows, columns=["row_number", "series_id", "reason", "row_json"]))


ROWS = _rows((7, "GOOG", "a price of -1.0", '{"close": -1.0}'), (3, None, 'tab\t, "quote", \\ and é', '{"close": NaN}'))


def test_rows_come_back_as_they_were_kept(store):
    """In their order, with every character, and without a series where there was none."""
    store.keep("as_kept", "one", ROWS)

    pd.testing.assert_frame_equal(store.read("as_kept", "one"), ROWS)


def test_an_ingest_that_runs_again_is_kept_once(store):
    """The second run replaces the first, also when it refuses fewer rows."""
    store.keep("again", "one", ROWS)
    store.keep("again", "one", ROWS)
    pd.testing.assert_frame_equal(store.read("again", "one"), ROWS)

    store.keep("again", "one", ROWS.iloc[:1])

    pd.testing.assert_frame_equal(store.read("again", "one"), ROWS.iloc[:1])


def test_without_an_ingest_the_last_one_is_read(store):
    """Each ingest's rows stay apart, and so do those of each problem."""
    store.keep("last", "one", ROWS)
    store.keep("last", "two", ROWS.iloc[:1])
    store.keep("another", "three", ROWS)

    pd.testing.assert_frame_equal(store.read("last"), ROWS.iloc[:1])
    pd.testing.assert_frame_equal(store.read("last", "one", limit=1), ROWS.iloc[:1])
    assert store.read("unknown").empty


def test_what_postgresql_cannot_hold_does_not_lose_the_row(store):
    """NUL characters and broken surrogates, which come with broken files, are replaced."""
    store.keep("odd", "one", _rows((0, "GO\x00OG", "bad \udcff byte", '"\x00"')))

    pd.testing.assert_frame_equal(store.read("odd", "one"), _rows((0, "GO�OG", "bad ? byte", '"�"')))


def test_a_hundred_thousand_rows_are_kept(store):
    """A file that is refused as a whole fits too."""
    rows = pd.concat([ROWS] * 50_000, ignore_index=True)

    store.keep("many", "one", rows)

    assert len(store.read("many", "one", limit=200_000)) == 100_000
