"""Uploaded files: read as a source would be, refused with a reason, and never in more memory than was meant."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopcast.errors import DataRefusedError
from loopcast.queries import text_file, upload
from loopcast.queries.text_file import check_text
from loopcast.queries.upload import count_allowed, read_upload
from tests.panels import make_panel_problem
from tests.queried import PRICED

PROBLEM = make_panel_problem()
HEADER = "name,day,price\n"
DEFAULT = HEADER + "B,2015-01-05,1.5\nA,2015-01-05,2.5\nB,2015-01-06,\n"


def write(folder, content):
    """A file with this content."""
    path = folder / "upload.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, problem=PROBLEM):
    """All rows of a file in the order in which they are handed on, and their places."""
    parts = list(read_upload(path, problem, lambda _share: None).parts())
    return pd.concat([part.rows for part in parts], ignore_index=True), np.concatenate([part.numbers for part in parts])


def refusal(path, problem=PROBLEM):
    """Why a file is refused."""
    with pytest.raises(DataRefusedError) as refused:
        read(path, problem)
    return str(refused.value)


def test_rows_are_handed_on_series_by_series_with_their_places(tmp_path):
    """In the order of the names, then of the file; an empty cell is no number."""
    rows, numbers = read(write(tmp_path, DEFAULT))

    assert rows["name"].tolist() == ["A", "B", "B"]
    assert rows["day"].tolist() == ["2015-01-05", "2015-01-05", "2015-01-06"]
    assert rows["price"].tolist() == pytest.approx([2.5, 1.5, np.nan], nan_ok=True)
    assert numbers.tolist() == [2, 1, 3]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + DEFAULT.encode(),
        DEFAULT.replace("\n", "\r\n"),
        DEFAULT.rstrip("\n"),
        DEFAULT.replace("name,day,price", " name , day,price"),
        DEFAULT.replace("B,", '"B",').replace("1.5", " 1.5 "),
        "".join(f"{line},ignored\n" for line in DEFAULT.splitlines()),
        DEFAULT.replace("2015-01-06,", "2015-01-06,n/a"),
    ],
    ids=["mark", "dos", "no last newline", "blanks in the header", "quotes", "another column", "a word for nothing"],
)
def test_what_programs_write_differently_reads_the_same(tmp_path, content):
    """A byte order mark, line ends, blanks, quotes and columns of others change nothing."""
    expected, _ = read(write(tmp_path, DEFAULT))

    rows, _ = read(write(tmp_path, content))

    pd.testing.assert_frame_equal(rows, expected)


def test_parts_hold_whole_series(tmp_path, monkeypatch):
    """Small ones together, one that is larger than a part by itself."""
    monkeypatch.setattr(upload, "PART_ROWS", 4)
    sizes = {"A": 1, "B": 2, "C": 7, "D": 2, "E": 2, "F": 3}
    content = HEADER + "".join(f"{name},2015-01-05,1\n" * size for name, size in sizes.items())

    parts = read_upload(write(tmp_path, content), PROBLEM, lambda _share: None).parts()

    assert [sorted(set(part.rows["name"])) for part in parts] == [["A", "B"], ["C"], ["D", "E"], ["F"]]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text("ABÄ=, ", min_size=1, max_size=3).filter(lambda name: name.strip()),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_what_pandas_writes_is_read_back(tmp_path_factory, rows):
    """To the last bit of each number, whatever the names hold."""
    path = tmp_path_factory.mktemp("upload") / "rows.csv"
    frame = pd.DataFrame({"name": [name for name, _ in rows], "day": "2015-01-05", "price": [x for _, x in rows]})
    frame.to_csv(path, index=False)

    found, numbers = read(path)

    expected = frame.iloc[numbers - 1].assign(name=lambda each: each["name"].str.strip(" "))
    pd.testing.assert_frame_equal(found[["name", "day", "price"]], expected.reset_index(drop=True))


def test_a_problem_with_decimal_commas_takes_them_with_semicolons(tmp_path):
    """As its source has them."""
    problem = make_panel_problem(source={"uri": "prices.csv", "decimal": ","})

    rows, _ = read(write(tmp_path, "name;day;price\nA;2015-01-05;1,5\n"), problem)

    assert rows["price"].tolist() == [1.5]


def test_a_problem_of_one_series_needs_no_column_for_it(tmp_path):
    """It has the problem's name."""
    problem = make_panel_problem(columns={"timestamp": "day", "target": "price"})

    found = read_upload(write(tmp_path, "day,price\n2015-01-05,1\n"), problem, lambda _share: None)

    assert (found.names, found.codes.tolist()) == (["prices"], [0])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (DEFAULT.encode("utf-16"), "found UTF-16, as Excel writes `Unicode Text`; save it as `CSV UTF-8"),
        (DEFAULT.encode("utf-16-be"), "found zero bytes, needs text in UTF-8"),
        ((HEADER + "Zürich,2015-01-05,1\n").encode("latin-1"),
         "line 2: found byte 0xfc, which is no UTF-8, but may be Latin-1 or Windows-1252; save"),
        ((HEADER + "A,2015-01-05,1\n").encode() + b"\xe2\x82", "line 3: found byte 0xe2, which is no UTF-8"),
        (gzip.compress(DEFAULT.encode(), mtime=0), "found a gzip file; unpack it"),
        (b"PK\x03\x04rest", "found a zip archive, as Excel writes it"),
        ("", "found no rows under the header, needs some"),
        (HEADER, "found no rows under the header, needs some"),
        (DEFAULT.replace(",", ";"), "found columns with semicolons between them, needs commas, and a point in numbers"),
        (DEFAULT.replace(",", "\t"), "found columns with tabs between them, needs commas"),
        (HEADER + "A,2015-01-05,1,5\n",
         "rows do not fit the header (Row #2: Expected 3 columns, got 4: A,2015-01-05,1,5); put quotes around names "
         "with a comma, and write numbers with a point"),
        (DEFAULT.replace("price", "prize"), "no column `price`; did you mean `prize`? found name, day, prize; needs"),
        (DEFAULT.replace("name,day", "price,day"), "no column `name`; found price, day, price"),
        (HEADER.replace("\n", ",day\n") + "A,2015-01-05,1,2015-01-05\n", "column `day` stands there twice; rename one"),
        (HEADER + 'A,2015-01-05,"1\n' * 3, "line 2: a quote is opened and not closed; needs one row on each line"),
        (HEADER + 'A,2015-01-05,1\n"A', "line 3: a quote is opened and not closed"),
        (HEADER + f"{'A' * 201},2015-01-05,1\n", "found a series name of 201 characters"),
    ],
)  # fmt: skip
def test_what_is_no_such_csv_is_refused_in_a_sentence(tmp_path, content, sentence):
    """It says what was found, and what to do."""
    assert refusal(write(tmp_path, content)).startswith(sentence)


@pytest.mark.parametrize(
    ("where", "limit", "most", "sentence"),
    [
        (upload, "MAX_ROWS", 2, "found 3 rows, needs at most 2 of a problem with 3 steps ahead; send fewer series"),
        (upload, "MAX_SERIES", 1, "found more than 1 series, needs at most that; is `name` the name of a series"),
        (upload, "MAX_SERIES_ROWS", 1, "B: found 2 rows of one series, needs at most 1; send a shorter history"),
        (upload, "MAX_COLUMNS", 2, "found 3 columns, needs at most 2; leave out others"),
        (text_file, "MAX_LINE_BYTES", 16, "line 2: it has more than 16 bytes; needs one row on each line"),
    ],
)
def test_what_is_too_large_is_refused_with_the_limit(tmp_path, monkeypatch, where, limit, most, sentence):
    """Each limit by itself."""
    path = write(tmp_path, DEFAULT)
    monkeypatch.setattr(where, limit, most)

    assert refusal(path).startswith(sentence)


def test_the_longer_the_horizon_the_fewer_rows_are_taken():
    """Their design would fill the memory else."""
    assert count_allowed(make_panel_problem(columns=PRICED, horizon=5)) == upload.MAX_ROWS
    long = make_panel_problem(horizon=366, quality={"min_rows": 500}, training={"validation_steps": 400})
    assert count_allowed(long) < 300_000


@pytest.mark.parametrize("block_bytes", [7, 16, 1 << 20])
def test_lines_are_counted_across_blocks(tmp_path, monkeypatch, block_bytes):
    """So are quotes, letters of several bytes and the length of a line."""
    monkeypatch.setattr(text_file, "BLOCK_BYTES", block_bytes)
    shares = []

    n_lines = check_text(write(tmp_path, 'name,day\n"ä, ö",€\n"a ""b""",\n'), shares.append)

    assert n_lines == 3
    assert shares[-1] == 1.0
    with pytest.raises(DataRefusedError, match="line 3: a quote is opened"):
        check_text(write(tmp_path, 'name,day\n"ä, ö",€\n"a ""b,\nrest\n'), shares.append)


BOMBS = """
import json, resource, sys
from pathlib import Path
from loopcast.errors import DataRefusedError
from loopcast.queries.upload import read_upload
from tests.panels import make_panel_problem

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)

path = Path(sys.argv[1]) / "small.csv"
path.write_text("name,day,price\\nA,2015-01-05,1\\n")
read_upload(path, make_panel_problem(), lambda share: None)
before, told = peak_mb(), []
for bomb in sorted(Path(sys.argv[1]).glob("bomb*")):
    try:
        read_upload(bomb, make_panel_problem(), lambda share: None)
        told.append("was taken")
    except DataRefusedError as exc:
        told.append(str(exc))
print(json.dumps({"grown_mb": peak_mb() - before, "told": told}))
"""


def test_bombs_are_refused_in_bounded_memory(tmp_path):
    """Of twenty megabytes each: one line, columns without end, a quote without end, a series in each row."""
    size = 20 * 10**6
    contents = (
        HEADER.encode() + b"A" * size,
        b",".join([b"c"] * (size // 2)) + b"\n",
        HEADER.encode() + b'A,2015-01-05,"' + b"1\n" * (size // 2),
        HEADER.encode() + b"".join(b"%d,2015-01-05,1\n" % number for number in range(size // 20)),
    )
    for number, content in enumerate(contents):
        (tmp_path / f"bomb{number}.csv").write_bytes(content)
    root = Path(__file__).parents[3]

    done = subprocess.run(
        [sys.executable, "-c", BOMBS, str(tmp_path)], cwd=root, capture_output=True, text=True, check=True
    )

    found = json.loads(done.stdout)
    assert [sentence[:27] for sentence in found["told"]] == [
        "line 2: it has more than 65",
        "line 1: it has more than 65",
        "line 2: a quote is opened a",
        "found more than 20,000 seri",
    ]
    assert found["grown_mb"] < 20
