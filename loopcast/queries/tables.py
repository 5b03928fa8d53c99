"""Tables that leave Loopcast as CSV, block by block; no cell of theirs is a formula to whoever opens them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv

FORMULA: Final = re.compile(r"^\s*[=+\-@\t\r\n＝＋－＠]")
"""How a cell begins that Excel, LibreOffice or Google Sheets would compute."""


class Table(Protocol):
    """A CSV that is being written."""

    def write(self, rows: pd.DataFrame) -> None:
        """Add rows; all blocks have the same columns."""


class _Table:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: arrow_csv.CSVWriter | None = None

    def write(self, rows: pd.DataFrame) -> None:
        block = pa.Table.from_pandas(_show(rows), preserve_index=False)
        if self._writer is None:
            options = arrow_csv.WriteOptions(quoting_style="needed")
            self._writer = arrow_csv.CSVWriter(str(self._path), block.schema, write_options=options)
        self._writer.write_table(block)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """A new CSV in UTF-8, whole when the block ends; times in ISO 8601 and UTC, numbers with every digit."""
    table = _Table(path)
    try:
        yield table
    finally:
        table.close()


def neutralise(text: str) -> str:
    """The text, with an apostrophe before what a spreadsheet would take for a formula.

    Source: OWASP, CSV Injection: https://owasp.org/www-community/attacks/CSV_Injection

    >>> neutralise("=cmd|' /C calc'!A0"), neutralise("@SUM(A1)"), neutralise("GOOG")
    ("'=cmd|' /C calc'!A0", "'@SUM(A1)", 'GOOG')
    """
    return f"'{text}" if FORMULA.match(text) else text


def _show(rows: pd.DataFrame) -> pd.DataFrame:
    shown = {}
    for name, values in rows.items():
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            shown[name] = values.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        elif values.dtype == object:
            names = {text: neutralise(text) for text in values.unique()}
            shown[name] = values.map(names)
        else:
            shown[name] = values
    return pd.DataFrame(shown)
