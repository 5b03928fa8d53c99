"""Where rows come from: samples, files as `source_files` reads them, and queries of PostgreSQL.

Cells come as they stand: what is wrong with them is for `panel` to say, with the row. Only a source that cannot be read
at all, or that lacks a column, is refused here.
"""

import importlib
from typing import Final

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.errors import SourceError
from loopcast.stores.source_files import name_source, read_files, require_columns, say_fault

SAMPLES: Final = {"sea_surface_temperature": "sea_surface_temperature", "glucose": "data"}
"""Modules of bokeh_sampledata that hold one frame, and the name of that frame."""

CONNECT_TIMEOUT_S: Final = 10


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
        rows = read_files(problem)
    require_columns(rows.columns, problem, name_source(problem))
    if rows.empty:
        raise SourceError(f"{name_source(problem)}: found no rows under the header, needs some; check what writes it")
    rows = rows[list(problem.columns.names)].reset_index(drop=True)
    _refuse_nested(rows, problem)
    return rows


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
                raise SourceError(f"{name_source(problem)}: the query returns no rows; needs a SELECT")
            names = [column.name for column in cursor.description]
            require_columns(names, problem, name_source(problem))
            return pd.DataFrame(cursor.fetchall(), columns=names)
    except psycopg.Error as exc:
        raise SourceError(f"{name_source(problem)}: {say_fault(exc)}; check server, rights and query") from exc


def _refuse_nested(rows: pd.DataFrame, problem: Problem) -> None:
    """Refuse a column of lists or mappings, which Parquet and PostgreSQL have; a column has one type."""
    for name in rows.select_dtypes(object):
        if any(isinstance(cell, list | dict | np.ndarray) for cell in rows[name].dropna().head(1)):
            raise SourceError(
                f"{name_source(problem)}: column `{name}` holds lists or mappings, needs text, numbers or times; "
                "unpack it in the source"
            )
