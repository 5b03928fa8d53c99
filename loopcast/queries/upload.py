"""An uploaded CSV in the columns of a problem: read block by block, handed on series by series, refused with a reason.

It is to be separated by commas, with a point in numbers, unless the problem's source has decimal commas: then by
semicolons. What its cells say is for the panel's contract; how its bytes may lie is for `text_file`.
"""

import csv
import difflib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from loopcast.cells import EMPTY_CELLS, value_columns
from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.queries.text_file import BLOCK_BYTES, check_text
from loopcast.typing import Ints

MAX_COLUMNS: Final = 1000
MAX_ROWS: Final = 2_000_000
MAX_SERIES: Final = 20_000
MAX_SERIES_ROWS: Final = 500_000
"""Of one series, which is read in one piece: nearly five years of steps of five minutes, and four seconds."""
MAX_NAME_CHARACTERS: Final = 200
MEMORY_BYTES: Final = 2 * 10**9
"""That the design of all rows may take: rows of long horizons take more of it, so that fewer are allowed."""
BYTES_PER_VALUE: Final = 8
VALUES_PER_ROW: Final = 40
"""Of a design, beside those that each feature and each step ahead take."""
PART_ROWS: Final = 25_000
"""Of the series that are handed on together: a quarter of a second of the panel's contract."""
MAX_NAMED: Final = 20
"""Columns that a refusal lists."""
OTHER_DELIMITERS: Final = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}


@dataclass(frozen=True)
class Part:
    """The rows of some series.

    Attributes:
        rows: With the problem's columns, as a source would deliver them, n of them.
        numbers: Place of each in the file, from 1 under the header, shape (n,).
    """

    rows: pd.DataFrame
    numbers: Ints


@dataclass(frozen=True)
class Upload:
    """A file that was read.

    Attributes:
        table: The problem's columns as text, but for the series.
        codes: Code of each row's series, shape (n,).
        names: Of the series, by code.
        problem: Whose columns these are.
    """

    table: pa.Table
    codes: Ints
    names: list[str]
    problem: Problem

    def parts(self) -> Iterator[Part]:
        """All rows, whole series together, in the order of their names and then of the file."""
        by_name = np.argsort(np.array(self.names, dtype=object), kind="stable")
        rank = np.empty(len(by_name), dtype=np.int64)
        rank[by_name] = np.arange(len(by_name))
        order = np.argsort(rank[self.codes], kind="stable")
        ends = np.cumsum(np.bincount(rank[self.codes], minlength=len(by_name)))
        first = 0
        for end, following in zip(ends, [*ends[1:], None], strict=True):
            if following is None or following - first > PART_ROWS:
                yield self._take(order[first:end])
                first = int(end)

    def _take(self, numbers: Ints) -> Part:
        columns, taken = self.problem.columns, self.table.take(numbers)
        rows = {name: _read_values(taken[name], self.problem) for name in value_columns(self.problem).values()}
        rows[columns.timestamp] = taken[columns.timestamp].to_pandas()
        if columns.series_id is not None:
            rows[columns.series_id] = pd.Series(np.array(self.names, dtype=object)[self.codes[numbers]])
        return Part(pd.DataFrame(rows), numbers + 1)


def read_upload(path: Path, problem: Problem, tell: Callable[[float], None]) -> Upload:
    """The rows of a file.

    Args:
        tell: Is given the share that was read.

    Raises:
        DataRefusedError: It cannot be read as such a CSV, or is too large in any way.
    """
    n_rows = check_text(path, lambda share: tell(share / 3)) - 1
    limit = count_allowed(problem)
    if n_rows < 1:
        raise DataRefusedError("found no rows under the header, needs some")
    if n_rows > limit:
        raise DataRefusedError(
            f"found {n_rows:,} rows, needs at most {limit:,} of a problem with {problem.horizon} steps ahead; "
            "send fewer series, or a shorter history of each"
        )
    blocks = _open_blocks(path, problem)
    known: dict[str, int] = {}
    tables, codes, n_read = [], [], 0
    try:
        for block in blocks:
            codes.append(_code_series(block, problem, known))
            text = block.drop_columns([problem.columns.series_id] if problem.columns.series_id else [])
            tables.append(pa.Table.from_batches([text]))
            n_read += len(block)
            tell(1 / 3 + 2 / 3 * min(n_read / n_rows, 1.0))
    except pa.ArrowInvalid as exc:
        raise _refuse_rows(exc) from exc
    upload = Upload(pa.concat_tables(tables).combine_chunks(), np.concatenate(codes), list(known), problem)
    longest = np.bincount(upload.codes)
    if longest.max() > MAX_SERIES_ROWS:
        raise DataRefusedError(
            f"{upload.names[int(longest.argmax())]}: found {longest.max():,} rows of one series, needs at most "
            f"{MAX_SERIES_ROWS:,}; send a shorter history"
        )
    return upload


def count_allowed(problem: Problem) -> int:
    """Rows that a file may have: as many as memory holds the design of."""
    columns = len(value_columns(problem)) + len(problem.features.scales)
    values = VALUES_PER_ROW + 3 * problem.horizon + 3 * columns
    return min(MAX_ROWS, MEMORY_BYTES // (BYTES_PER_VALUE * values))


def _open_blocks(path: Path, problem: Problem) -> Iterator[pa.RecordBatch]:
    delimiter = ";" if problem.source.decimal == "," else ","
    header = _read_header(path)
    names = _split(header, delimiter)
    if len(names) > MAX_COLUMNS:
        raise DataRefusedError(f"found {len(names):,} columns, needs at most {MAX_COLUMNS:,}; leave out others")
    wanted = problem.columns.names
    _require_columns(header, names, delimiter, wanted)
    unique = [name if name in wanted else f"{index}\0" for index, name in enumerate(names)]
    reader = arrow_csv.open_csv(
        path,
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=unique, skip_rows=1),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter),
        convert_options=arrow_csv.ConvertOptions(
            check_utf8=False, include_columns=list(wanted), column_types=dict.fromkeys(wanted, pa.string())
        ),
    )
    yield from reader


def _read_header(path: Path) -> str:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return (file.readline(BLOCK_BYTES).splitlines() or [""])[0]


def _split(header: str, delimiter: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]


def _require_columns(header: str, names: list[str], delimiter: str, wanted: tuple[str, ...]) -> None:
    for name in wanted:
        if names.count(name) == 1:
            continue
        if name in names:
            raise DataRefusedError(f"column `{name}` stands there twice; rename one")
        for other, words in OTHER_DELIMITERS.items():
            if set(wanted) <= set(_split(header, other)):
                mark = "comma" if delimiter == ";" else "point"
                raise DataRefusedError(
                    f"found columns with {words} between them, needs {OTHER_DELIMITERS[delimiter]}, and a {mark} in "
                    "numbers; set both where you save the file"
                )
        near = difflib.get_close_matches(name.casefold(), [each.casefold() for each in names], n=1)
        hint = next(f"did you mean `{each}`? " for each in names if each.casefold() in near) if near else ""
        listed = ", ".join(names[:MAX_NAMED]) + (" …" if len(names) > MAX_NAMED else "")
        raise DataRefusedError(f"no column `{name}`; {hint}found {listed or 'nothing'}; needs {', '.join(wanted)}")


def _code_series(block: pa.RecordBatch, problem: Problem, known: dict[str, int]) -> Ints:
    """Code of each row's series, shape (n,); new names are added to those that are known."""
    if problem.columns.series_id is None:
        known.setdefault(problem.name, 0)
        return np.zeros(len(block), dtype=np.int64)
    encoded = pc.utf8_trim_whitespace(block[problem.columns.series_id]).dictionary_encode()
    names = encoded.dictionary.to_pylist()
    if too_long := next((name for name in names if len(name) > MAX_NAME_CHARACTERS), None):
        raise DataRefusedError(
            f"found a series name of {len(too_long):,} characters, `{too_long[:40]}…`; needs at most "
            f"{MAX_NAME_CHARACTERS}"
        )
    codes = np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)
    if len(known) > MAX_SERIES:
        raise DataRefusedError(
            f"found more than {MAX_SERIES:,} series, needs at most that; is `{problem.columns.series_id}` the name of "
            "a series, and not of a row? Else send them in several files"
        )
    return np.asarray(codes[encoded.indices.to_numpy()])


def _read_values(cells: pa.ChunkedArray, problem: Problem) -> "pd.Series[Any]":
    """A column as numbers, or as it stands where a cell is none."""
    cells = pc.utf8_trim_whitespace(cells)
    if problem.source.decimal == ",":
        cells = pc.replace_substring(cells, ",", ".")
    cells = pc.if_else(pc.is_in(cells, pa.array(EMPTY_CELLS)), pa.scalar(None, pa.string()), cells)
    with suppress(pa.ArrowInvalid):
        cells = cells.cast(pa.float64())
    found: pd.Series[Any] = cells.to_pandas()
    return found


def _refuse_rows(exc: pa.ArrowInvalid) -> DataRefusedError:
    what = " ".join(str(exc).removeprefix("CSV parse error: ").split())[:200]
    return DataRefusedError(
        f"rows do not fit the header ({what}); put quotes around names with a comma, and write numbers with a point"
    )
