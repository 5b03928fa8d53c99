"""Reading rows: every kind of file and sample as it stands, and one clear sentence where that cannot be."""

import gzip
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest

from loopcast.errors import SourceError
from loopcast.panel import build_panel
from loopcast.stores.sources import read_source
from tests.factories import make_problem, make_rows

ROWS = pd.DataFrame(
    {"shop": ["007", "NA", "é"], "day": ["2024-01-01", "2024-01-02", "x"], "sales": [0.1, np.nan, 50.32284179174976]}
)
TEXT = "shop,day,note,sales\n007,2024-01-01,a,0.1\nNA,2024-01-02,b,\né,x,c,50.32284179174976\n"


def read(path: object, **overrides: Any) -> pd.DataFrame:
    """The rows of a problem whose source lies at a path or URL."""
    return read_source(make_problem(source={"uri": str(path)}, **overrides))


def refuse(path: object, **overrides: Any) -> str:
    """The sentence with which a source is refused, without the folder of the test."""
    with pytest.raises(SourceError) as refused:
        read(path, **overrides)
    return str(refused.value).replace(f"{Path(str(path)).parent}/", "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", TEXT.encode()),
        ("rows.csv", b"\xef\xbb\xbf" + TEXT.encode()),
        ("rows.csv.gz", gzip.compress(TEXT.encode())),
        ("rows.txt", TEXT.replace(",", ";").encode()),
        ("rows.tsv", TEXT.replace(",", "\t").encode()),
        ("rows", TEXT.replace("\n", "\r\n").replace(",", ", ").encode()),
    ],
    ids=["comma", "byte order mark", "gzip", "semicolon", "tab", "spaces"],
)
def test_a_csv_is_read_as_it_stands(tmp_path, name, content):
    """Only the named columns; ids and times as text, numbers to the last bit, whatever delimits them."""
    (tmp_path / name).write_bytes(content)

    pd.testing.assert_frame_equal(read(tmp_path / name), ROWS, check_exact=True)


def test_a_decimal_comma_is_read_when_the_problem_says_so(tmp_path):
    """Half of Europe writes numbers so."""
    (tmp_path / "rows.csv").write_text("shop;day;sales\na;2024-01-01;1,5\n")
    problem = make_problem(source={"uri": str(tmp_path / "rows.csv"), "decimal": ","})

    assert read_source(problem)["sales"].tolist() == [1.5]


def test_one_bad_cell_refuses_its_row_and_not_the_file(tmp_path):
    """A column of numbers with a text in it comes through, and the other numbers keep their last bit."""
    numbers = np.random.default_rng(0).uniform(0, 1000, 200)
    rows = make_rows(*numbers).astype({"sales": object})
    rows.loc[7, "sales"] = "closed"
    rows.to_csv(tmp_path / "rows.csv", index=False)

    ingest = build_panel(read(tmp_path / "rows.csv"), make_problem())

    assert ingest.quarantine[["row_number", "reason"]].to_numpy().tolist() == [[7, "not_a_number"]]
    assert ingest.panel["target"][~ingest.panel["is_filled"]].tolist() == np.delete(numbers, 7).tolist()


@pytest.mark.parametrize("name", ["rows.parquet", "rows.pq", "ROWS.PARQUET"])
def test_parquet_is_read_as_it_stands(tmp_path, name):
    """Types are kept, and a column that pandas wrote as the index is a column."""
    rows = ROWS.assign(day=pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"], utc=True))
    rows.assign(note="a").set_index("day").to_parquet(tmp_path / name)

    pd.testing.assert_frame_equal(read(tmp_path / name), rows)


@pytest.mark.parametrize("pattern", ["rows", "rows/*.parquet", "rows/part-*"])
def test_a_folder_or_pattern_of_parquet_files_is_one_source(tmp_path, pattern):
    """Files follow each other by name."""
    (tmp_path / "rows").mkdir()
    for k in (2, 1):
        make_rows(k, k).to_parquet(tmp_path / "rows" / f"part-{k}.parquet")

    assert read(tmp_path / pattern)["sales"].tolist() == [1, 1, 2, 2]


def test_what_folders_are_named_is_text(tmp_path):
    """Or shop 007 of a partitioned folder would become another one, 7."""
    rows = pd.concat([make_rows(1, 2, shop="007"), make_rows(3, 4, shop="1/2")])
    rows.to_parquet(tmp_path / "rows", partition_cols=["shop"])

    assert read(tmp_path / "rows")["shop"].tolist() == ["007", "007", "1/2", "1/2"]


def test_a_column_may_be_of_another_type_in_each_parquet_file(tmp_path):
    """Whole numbers in a month without a gap, nothing in a month without sales, and no number is cut."""
    (tmp_path / "rows").mkdir()
    for k, sales in enumerate(([1, 2], [None, None], [0.5, None])):
        make_rows(*sales).to_parquet(tmp_path / "rows" / f"part-{k}.parquet")

    assert read(tmp_path / "rows")["sales"].fillna(-1).tolist() == [1, 2, -1, -1, 0.5, -1]


def test_what_a_writer_of_parquet_calls_bytes_is_text(tmp_path):
    """Older writers did not mark text as such."""
    make_rows(1).assign(shop=[b"Z\xc3\xbcrich"]).to_parquet(tmp_path / "rows.parquet")

    assert read(tmp_path / "rows.parquet")["shop"].tolist() == ["Zürich"]


@pytest.mark.parametrize("column", ["shop", "sales"])
@pytest.mark.parametrize("cell", [[1, 2], {"value": 1}], ids=["list", "mapping"])
def test_a_column_of_lists_or_mappings_is_refused(tmp_path, column, cell):
    """It is neither a name nor a number, and nothing guesses which part of it is meant."""
    make_rows(1, 2).assign(**{column: [None, cell]}).to_parquet(tmp_path / "rows.parquet")

    assert refuse(tmp_path / "rows.parquet") == (
        f"rows.parquet: column `{column}` holds lists or mappings, needs text, numbers or times; "
        "unpack it in the source"
    )


@pytest.mark.parametrize("others", [[], ["__MACOSX/._rows.csv", "folder/"]], ids=["alone", "beside a system's own"])
def test_a_zip_of_one_file_is_read(tmp_path, others):
    """Whatever else a system packs beside it."""
    with zipfile.ZipFile(tmp_path / "rows.csv.zip", "w") as archive:
        for name in others:
            archive.writestr(name, "")
        archive.writestr("rows.csv", TEXT)

    pd.testing.assert_frame_equal(read(tmp_path / "rows.csv.zip"), ROWS)


def test_a_zip_of_several_files_is_refused(tmp_path):
    """Or only the rows of the first would be read, and nobody would know."""
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as archive:
        for name in ("2023.csv", "2024.csv"):
            archive.writestr(name, TEXT)

    assert refuse(tmp_path / "rows.zip") == (
        "rows.zip: found 2 files in it, needs one; unpack it and name them by a pattern"
    )


def test_of_several_files_the_faulty_one_is_named(tmp_path):
    """Among a thousand nobody finds it else."""
    for k in range(3):
        make_rows(k).to_csv(tmp_path / f"{k}.csv", index=False)
    (tmp_path / "1.csv").write_text("shop,date,sales\n", encoding="utf-8")

    with pytest.raises(SourceError) as refused:
        read(tmp_path / "*.csv")

    assert str(refused.value) == f"{tmp_path / '1.csv'}: no column `day`; found shop, date, sales"


def test_a_folder_is_of_parquet_alone(tmp_path):
    """The sentence names the file that is not, and the way on; an empty folder holds nothing."""
    (tmp_path / "rows").mkdir()
    empty = refuse(tmp_path / "rows")
    make_rows(1).to_csv(tmp_path / "rows" / "a.csv", index=False)

    refused = refuse(tmp_path / "rows")

    assert empty == "rows: nothing found there; give a path from where you run, or a URL that answers"
    assert "a.csv" in refused
    assert refused.endswith("; a folder is read whole, so give a pattern such as folder/*.csv")


def test_a_pattern_of_csv_files_is_one_source(tmp_path):
    """Each file may have its own delimiter and order of columns."""
    make_rows(1).to_csv(tmp_path / "a.csv", index=False)
    make_rows(2)[["sales", "day", "shop"]].to_csv(tmp_path / "b.csv", index=False, sep=";")

    assert read(tmp_path / "*.csv")["sales"].tolist() == [1, 2]


def test_any_storage_of_fsspec_will_do():
    """A bucket is read as a folder is; memory stands for it here."""
    with fsspec.open("memory://loopcast/rows.csv", "w", encoding="utf-8") as file:
        file.write(TEXT)
    with fsspec.open("memory://loopcast/rows.parquet", "wb") as file:
        ROWS.to_parquet(file)

    pd.testing.assert_frame_equal(read("memory://loopcast/rows.csv"), ROWS)
    pd.testing.assert_frame_equal(read("memory://loopcast/rows.parquet"), ROWS)


def test_a_path_is_relative_to_where_one_runs(tmp_path, monkeypatch):
    """As in a shell."""
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(TEXT, encoding="utf-8")

    assert len(read("rows.csv")) == 3


@pytest.mark.parametrize(
    ("uri", "columns", "n_rows"),
    [
        ("sample://stocks/GOOG,FB", {"series_id": "ticker", "timestamp": "date", "target": "adj_close"}, 2148 + 196),
        ("sample://stocks", {"series_id": "ticker", "timestamp": "date", "target": "volume"}, 12_154),
        ("sample://sea_surface_temperature", {"series_id": None, "timestamp": "time", "target": "temperature"}, 19_226),
        ("sample://glucose", {"series_id": None, "timestamp": "datetime", "target": "glucose"}, 52_281),
    ],
)
def test_samples_need_no_file(uri, columns, n_rows):
    """They come with the installation, with the named columns only."""
    rows = read(uri, columns=columns)

    assert len(rows) == n_rows
    assert list(rows) == [name for name in columns.values() if name]


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("sample://stocks/GOOG,GOGL", "no sample of 'GOGL'; known: AAPL, FB, GOOG, IBM, MSFT"),
        ("sample://stocks/data", "no sample of 'data'; known: AAPL, FB, GOOG, IBM, MSFT"),
        ("sample://stokcs", "no such sample; known: stocks/TICKER,TICKER, sea_surface_temperature, glucose"),
    ],
)
def test_an_unknown_sample_is_refused_with_the_known_ones(uri, sentence):
    """A typing error is seen at once."""
    with pytest.raises(SourceError) as refused:
        read(uri)

    assert str(refused.value) == f"{uri}: {sentence}"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "no column `shop`; found nothing"),
        ("a.csv", b"shop,day,sales\n", "found no rows under the header, needs some; check what writes it"),
        ("a.csv", b"Shop,date,sales\n1,2,3\n", "no column `shop`; did you mean `Shop`? found Shop, date, sales"),
        ("a.csv", b"shop,days,sales\n1,2,3\n", "no column `day`; did you mean `days`? found shop, days, sales"),
        ("a.csv", b"shop,day,sales,sales\n1,2,3,4\n", "column `sales` stands there twice; rename one"),
        ("a.csv", b"<!DOCTYPE html>\n<p>\n", "no column `shop`; found <!DOCTYPE html>"),
        ("a.csv", "shop,day,sales\né,2,3\n".encode("latin-1"),
         "found byte 0xe9 at 15, needs UTF-8; convert it, for example by iconv"),
        ("a.csv", "shop,day,sales\n1,2,3\n".encode("utf-16"),
         "not text; needs a CSV in UTF-8, or a Parquet file named .parquet"),
        ("a.csv", b"shop,day,sales\n1,2,3,4\n1,2,3\n",
         "rows do not fit the header (Length of header or names does not match length of data. This leads to a loss of "
         "data with index_col=False.); quote what holds a delimiter"),
        ("a.csv", b"shop,day,sales\n1,2,3\n1,2,3,4\n",
         "rows do not fit the header (Error tokenizing data. C error: Expected 3 fields in line 3, saw 4); "
         "quote what holds a delimiter"),
        ("a.csv.gz", b"shop,day,sales\n", "cannot be read: Not a gzipped file (b'sh')"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(tmp_path, name, content, sentence):
    """It says what was found and what is needed; a torn row never shifts values into other columns."""
    (tmp_path / name).write_bytes(content)

    assert refuse(tmp_path / name) == f"{name}: {sentence}"


def test_a_missing_file_is_refused(tmp_path):
    """Also behind a pattern that fits nothing."""
    sentence = "nothing found there; give a path from where you run, or a URL that answers"

    assert refuse(tmp_path / "a.csv") == f"a.csv: {sentence}"
    assert refuse(tmp_path / "*.csv") == f"*.csv: {sentence}"
    assert refuse(tmp_path / "a.parquet") == f"a.parquet: {sentence}"


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    """Whatever its name says."""
    (tmp_path / "a.parquet").write_text(TEXT, encoding="utf-8")

    assert "a.parquet: cannot be read: " in refuse(tmp_path / "a.parquet")


def test_a_parquet_without_a_column_is_refused(tmp_path):
    """As a CSV is, and before its rows are read."""
    ROWS.drop(columns="sales").to_parquet(tmp_path / "a.parquet")

    assert refuse(tmp_path / "a.parquet") == "a.parquet: no column `sales`; found shop, day"


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("dropbox://rows.csv", "dropbox://rows.csv: this storage needs a driver: "),
        ("s4://bucket/rows.csv", "s4://bucket/rows.csv: cannot be read: Protocol not known: s4"),
        ("https://localhost:1/rows.csv?ticket=secret", "https://localhost:1/rows.csv: nothing found there; "),
        ("postgresql://localhost:1/x?application_name=secret", "postgresql://localhost:1/x: "),
    ],
)
def test_storage_that_cannot_be_reached_is_refused_without_secrets(uri, sentence):
    """The driver's own words follow, but never what stands in a signed URL."""
    query = "SELECT 1" if uri.startswith("postgresql") else None

    with pytest.raises(SourceError) as refused:
        read_source(make_problem(source={"uri": uri, "query": query}))

    assert str(refused.value).startswith(sentence)
    assert "secret" not in str(refused.value)
