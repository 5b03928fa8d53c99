"""How a source's cells are read: ids, numbers and times, in whatever type they came. Their rules are the contract's."""

from typing import Any, Final

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.refusals import Findings, Reason
from loopcast.timestamps import read_timestamps
from loopcast.typing import Bools, Floats

PRICE_COLUMNS: Final = ("open", "high", "low", "close")
EMPTY_CELLS: Final = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-")
"""Texts that stand for no number. An id may be any of them but the first: NA is Namibia."""
FLAGS: Final = {"False": 0.0, "FALSE": 0.0, "false": 0.0, "True": 1.0, "TRUE": 1.0, "true": 1.0}
"""Texts that stand for 0 and 1, as they do where a whole column of a file holds nothing else."""


def value_columns(problem: Problem) -> dict[str, str]:
    """The panel's name of each number that the problem reads, and the source's name of it."""
    columns = problem.columns
    prices = columns.ohlc.model_dump() if columns.ohlc else {}
    return {"target": columns.target, **prices, **{f"covariate_{c.column}": c.column for c in columns.covariates}}


def read_cells(raw: pd.DataFrame, problem: Problem) -> tuple[pd.DataFrame, Findings, list[str]]:
    """The source's rows with typed cells, why some cannot be read, and notes on cells that were emptied.

    Args:
        raw: The source, n rows, with the problem's columns.

    Returns:
        `series_id`, `timestamp_utc` and the columns of `value_columns`, n rows in source order, empty where a cell
        says nothing; masks of shape (n,); sentences.
    """
    ids = _read_ids(raw, problem)
    instants, findings = read_timestamps(raw[problem.columns.timestamp], pd.factorize(ids)[0], problem)
    rows = pd.DataFrame({"series_id": ids, "timestamp_utc": instants})
    notes = []
    for name, column in value_columns(problem).items():
        rows[name], is_text = read_numbers(raw[column])
        if name == "target":
            findings[Reason.NOT_A_NUMBER] = is_text
        elif n_lost := int((is_text | np.isinf(rows[name])).sum()):
            rows[name] = rows[name].where(np.isfinite(rows[name]))
            notes.append(f"{column}: {n_lost:,} cells are no finite numbers and were left empty")
        if name != "target" and len(rows) and rows[name].isna().all():
            notes.append(f"{column}: no row has a value, so that nothing is learnt from it")
    if problem.transform == "log":
        findings[Reason.NOT_POSITIVE] = (rows["target"] <= 0).to_numpy()
    return rows, findings, notes


def read_numbers(values: "pd.Series[Any]") -> tuple[Floats, Bools]:
    """Each cell as a number, NaN where it is none, and whether it holds something else than a number.

    >>> read_numbers(pd.Series(["1.5", "", None, "1,5", "inf", "true"]))
    (array([1.5, nan, nan, nan, inf, 1. ]), array([False, False, False,  True, False, False]))
    """
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=float, na_value=np.nan), np.zeros(len(values), dtype=np.bool_)
    cells = values.astype(object)
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float, na_value=np.nan, copy=True)
    is_number = ~np.isnan(numbers)
    numbers[is_number] = cells[is_number].astype(float)  # pandas' own reading of text is off by a last bit
    rest = cells[~is_number].dropna().astype(str).str.strip()
    flags, places = rest.map(FLAGS).to_numpy(dtype=float), np.flatnonzero(~is_number & cells.notna().to_numpy())
    numbers[places] = flags
    is_text = np.zeros(len(values), dtype=np.bool_)
    is_text[places] = (rest != "").to_numpy() & np.isnan(flags)
    return numbers, is_text


def _read_ids(raw: pd.DataFrame, problem: Problem) -> "pd.Series[str]":
    """The series of each row as text without blanks around it, missing where there is none."""
    if problem.columns.series_id is None:
        return pd.Series(problem.name, index=raw.index, dtype=object)
    ids = raw[problem.columns.series_id].astype(object)
    names = {cell: _name(cell) for cell in ids.dropna().unique()}
    return ids.map(names).astype(object)


def _name(cell: object) -> str | None:
    """The id as text: 7.0, which is how a column of whole numbers with a gap reads, is 7."""
    is_whole = isinstance(cell, float) and cell.is_integer()
    return (f"{cell:.0f}" if is_whole else str(cell).strip()) or None
