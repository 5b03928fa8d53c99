"""Tables leave as CSV that any program reads, and that no program computes."""

import csv

import pandas as pd
import pytest

from loopcast.queries.tables import neutralise, open_table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(1+1)*cmd|' /C calc'!A0", "'@SUM(1+1)*cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        (" =1", "' =1"),
        ("\t=1", "'\t=1"),
        ("＝1", "'＝1"),
        ("a=1", "a=1"),
        ("GOOG", "GOOG"),
        ("", ""),
    ],
)
def test_a_formula_becomes_text(text, shown):
    """By an apostrophe before it, as OWASP says; what is none stays."""
    assert neutralise(text) == shown


def test_blocks_become_one_file_with_one_header(tmp_path):
    """Every digit of a number is kept, times are ISO 8601 in UTC, unknown numbers empty, and names quoted."""
    times = pd.DatetimeIndex(["2015-01-05T14:30:00Z"], dtype="datetime64[us, UTC]")
    blocks = [
        pd.DataFrame(
            {"series_id": [name], "origin_utc": times, "horizon": [1], "q_0.5": [value], "is_evidence": [True]}
        )
        for name, value in (('=a","b\n', 0.1 + 0.2), ("Zürich", float("nan")))
    ]

    with open_table(tmp_path / "rows.csv") as table:
        for block in blocks:
            table.write(block)

    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["series_id", "origin_utc", "horizon", "q_0.5", "is_evidence"],
        ['\'=a","b\n', "2015-01-05T14:30:00Z", "1", "0.30000000000000004", "true"],
        ["Zürich", "2015-01-05T14:30:00Z", "1", "", "true"],
    ]
