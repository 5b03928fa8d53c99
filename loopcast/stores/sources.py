"""Where rows come from: samples, CSV and Parquet files anywhere, and queries of PostgreSQL.

Cells come as they stand: what is wrong with them is for `panel` to say, with the row. Only a source that cannot be read
at all, or that lacks a column, is refused here.
"""

import codecs
import csv
import difflib
import importlib
import io
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Final

import fsspec
import pandas as pd

from loopcast.cells import EMPTY_CELLS
from loopcast.config import Problem
from loopcast.errors import SourceError

SAMPLES: Final = {"sea_surface_temperature": "sea_surface_temperature", "glucose": "data"}
"""Modules of bokeh_sampledata that hold one frame, and the name of that frame."""

DELIMITERS: Final = (",", ";", "\t", "|")
PARQUET_SUFFIXES: Final = (".parquet", ".pq")

CONNECT_TIMEOUT_S: Final = 10
MAX_NAMED: Final = 20
"""Columns that an error lists."""


def read_source(problem: Problem) -> pd.DataFrame:
    """The rows of a problem's source, with the columns that the problem names and as they stand.

    Raises:
        SourceError: The source cannot be reached or read, has no rows, or lacks a column.
    """
    uri = problem.source.uri
    if uri.startswith("sample://"):
        rows = _read_sample(uri)
    elif problem.source.is_database:
        rows = _read_database(problem)
    else:
        rows = _read_files(problem)
    _require_columns(rows.columns, problem)
    if rows.empty:
        raise SourceError(f"{_show(problem)}: found no rows under the header, needs some; check what writes it")
    return rows[list(problem.columns.names)].reset_index(drop=True)


def _read_sample(uri: str) -> pd.DataFrame:
    name, _, tickers = uri.removeprefix("sample://").partition("/")
    if name == "stocks":
        stocks = importlib.import_module("bokeh_sampledata.stocks")
        known = [ticker for ticker in stocks.__all__ if ticker != "data"]
        wanted = tickers.split(",") if tickers else known
        for ticker in set(wanted).difference(known):
            raise SourceError(f"{uri}: no sample of {ticker!r}; known: {', '.join(known)}")
        frames = [pd.DataFrame(getattr(stocks, ticker)).assign(ticker=ticker) for ticker in wanted]
        return pd.concat(frames, ignore_index=True)
    if name not in SAMPLES or tickers:
        raise SourceError(f"{uri}: no such sample; known: stocks/TICKER,TICKER, {', '.join(SAMPLES)}")
    sample: pd.DataFrame = getattr(importlib.import_module(f"bokeh_sampledata.{name}"), SAMPLES[name])
    return sample.reset_index()


def _read_database(problem: Problem) -> pd.DataFrame:
    """The rows that the query returns, in a transaction that cannot write."""
    import psycopg

    uri = problem.source.uri.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        with psycopg.connect(uri, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            connection.read_only = True
            cursor = connection.execute(problem.source.query or "")
            if cursor.description is None:
                raise SourceError(f"{_show(problem)}: the query returns no rows; needs a SELECT")
            names = [column.name for column in cursor.description]
            _require_columns(names, problem)
            return pd.DataFrame(cursor.fetchall(), columns=names)
    except psycopg.Error as exc:
        raise SourceError(f"{_show(problem)}: {_say(exc)}; check server, rights and query") from exc


def _read_files(problem: Problem) -> pd.DataFrame:
    where = _show(problem)
    try:
        return _read_paths(problem)
    except SourceError:
        raise
    except FileNotFoundError as exc:
        raise SourceError(
            f"{where}: nothing found there; give a path from where you run, or a URL that answers"
        ) from exc
    except UnicodeDecodeError as exc:
        found = f"byte {exc.object[exc.start]:#04x} at {exc.start:,}"
        raise SourceError(f"{where}: found {found}, needs UTF-8; convert it, for example by iconv") from exc
    except (pd.errors.ParserError, pd.errors.ParserWarning) as exc:
        raise SourceError(f"{where}: rows do not fit the header ({_say(exc)}); quote what holds a delimiter") from exc
    except ImportError as exc:
        raise SourceError(f"{where}: this storage needs a driver: {exc}") from exc
    except Exception as exc:  # behind a URL is another process, and drivers share no base of errors
        raise SourceError(f"{where}: cannot be read: {_say(exc)}") from exc


def _read_paths(problem: Problem) -> pd.DataFrame:
    files, path = fsspec.core.url_to_fs(problem.source.uri)
    is_page = problem.source.uri.startswith(("http://", "https://"))
    paths = sorted(files.glob(path)) if "*" in path and not is_page else [path]
    if not is_page and files.isdir(path):
        return _read_parquet(files, path, problem)
    if paths and all(name.endswith(PARQUET_SUFFIXES) for name in paths):
        return _read_parquet(files, paths, problem)
    if not paths:
        raise FileNotFoundError(path)
    return pd.concat([_read_csv(files, name, problem) for name in paths], ignore_index=True)


def _read_parquet(files: Any, paths: str | Sequence[str], problem: Problem) -> pd.DataFrame:
    import pyarrow.dataset

    dataset = pyarrow.dataset.dataset(paths, filesystem=files, format="parquet", partitioning="hive")
    _require_columns(dataset.schema.names, problem)
    frame: pd.DataFrame = dataset.to_table(columns=list(problem.columns.names)).to_pandas(ignore_metadata=True)
    return frame


def _read_csv(files: Any, path: str, problem: Problem) -> pd.DataFrame:
    with files.open(path, "rb", compression="infer") as file:
        content: bytes = file.read().removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    if b"\0" in content[:1000]:
        raise SourceError(f"{_show(problem)}: not text; needs a CSV in UTF-8, or a Parquet file named .parquet")
    names, delimiter = _split_header(content.partition(b"\n")[0].decode(), problem)
    _require_columns(names, problem)
    as_text = {problem.columns.series_id, problem.columns.timestamp}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a first row with more cells than the header
        return pd.read_csv(
            io.BytesIO(content),
            sep=delimiter,
            decimal=problem.source.decimal,
            dtype={name: "str" for name in names if name in as_text},
            float_precision="round_trip",
            index_col=False,
            keep_default_na=False,
            low_memory=False,
            na_values={name: [""] if name in as_text else list(EMPTY_CELLS) for name in names},
            skipinitialspace=True,
        )


def _split_header(header: str, problem: Problem) -> tuple[list[str], str]:
    """The names in a CSV's first line, and the delimiter that shows most of those that are wanted."""
    wanted = set(problem.columns.names)
    split = {d: next(csv.reader([header.strip()], delimiter=d, skipinitialspace=True), []) for d in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda d: (len(wanted.intersection(split[d])), len(split[d])))
    return split[delimiter], delimiter


def _require_columns(found: Iterable[object], problem: Problem) -> None:
    names = [str(name) for name in found]
    for wanted in problem.columns.names:
        if names.count(wanted) == 0:
            near = difflib.get_close_matches(wanted.casefold(), [name.casefold() for name in names], n=1)
            hint = next(f"did you mean `{name}`? " for name in names if name.casefold() in near) if near else ""
            listed = ", ".join(names[:MAX_NAMED]) + (" …" if len(names) > MAX_NAMED else "")
            raise SourceError(f"{_show(problem)}: no column `{wanted}`; {hint}found {listed or 'nothing'}")
        if names.count(wanted) > 1:
            raise SourceError(f"{_show(problem)}: column `{wanted}` stands there twice; rename one")


def _show(problem: Problem) -> str:
    """The source without what may be secret in it."""
    return problem.source.uri.partition("?")[0]


def _say(exc: BaseException) -> str:
    """What a driver said, on one line and without the queries of signed URLs."""
    return re.sub(r"\?\S+", "", " ".join(str(exc).split())) or type(exc).__name__
