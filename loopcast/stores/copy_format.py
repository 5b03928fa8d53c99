"""Rows as the bytes that PostgreSQL's COPY reads and writes in its binary format, as arrays without a loop over cells.

Source: PostgreSQL documentation, COPY, section Binary Format; `array_recv` in its sources for arrays.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from psycopg import Connection, sql
from psycopg.rows import TupleRow

from loopcast.typing import Ints, Times

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
EPOCH: Final = np.datetime64("2000-01-01", "us")
"""From where PostgreSQL counts its microseconds."""
TYPE_BY_KIND: Final = {"B": "u1", "i": ">i4", "d": ">f8", "m": ">m8[us]"}
"""How numpy writes what it knows as these kinds: bytes, integers, double precision, microseconds."""
OID_BY_KIND: Final = {"d": 701, "m": 1184}
"""What PostgreSQL calls the elements of an array: double precision, timestamptz."""

Bytes = npt.NDArray[np.uint8]
Column = npt.NDArray[Any]


def encode_rows(columns: Sequence[Column]) -> bytes:
    """One tuple for each row, without the header and trailer of a file.

    Args:
        columns: In the order of the table's, each of n rows, or of one that stands for all. Of bytes (text, uuid,
            bytea, as `as_bytes` makes them) shape (n, length); of numbers and moments shape (n,), and any further
            dimensions become an array of PostgreSQL.

    >>> encode_rows([np.array([7], dtype=np.int32), as_bytes(b"GOOG")]).hex(" ", 2)
    '0002 0000 0004 0000 0007 0000 0004 474f 4f47'
    """
    empty, layout = _lay_out(tuple((column.dtype.char, column.shape[1:]) for column in columns))
    rows = np.frombuffer(empty * max(map(len, columns)), dtype=layout)
    for i, column in enumerate(columns):
        value = rows[str(i)]["value"]
        (value["elements"]["value"] if value.dtype.names else value)[...] = column
    return rows.tobytes()


def as_bytes(text: bytes) -> Bytes:
    """A text that all rows share, in UTF-8, shape (1, length)."""
    return np.frombuffer(text, dtype=np.uint8)[None]


def group_by_length(texts: Sequence[bytes]) -> Iterator[tuple[Ints, Bytes]]:
    """For each length among texts in UTF-8 the rows that have it, shape (m,), and these texts, shape (m, length).

    >>> [(rows.tolist(), column.tobytes()) for rows, column in group_by_length([b"UBS", b"GOOG", b"SAP"])]
    [([0, 2], b'UBSSAP'), ([1], b'GOOG')]
    """
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    for length in sorted(set(lengths.tolist())):
        rows = np.flatnonzero(lengths == length)
        column = np.frombuffer(b"".join([texts[row] for row in rows.tolist()]), dtype=np.uint8)
        yield rows, column.reshape(len(rows), length)


def as_moments(times: Times) -> Column:
    """Moments as PostgreSQL counts them, shape as given."""
    moments: Column = times.astype("datetime64[us]") - EPOCH
    return moments


def copy_rows(connection: Connection[TupleRow], table: str, columns: Sequence[str], rows: Iterable[bytes]) -> None:
    """Append rows that `encode_rows` made to a table that this connection sees."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(HEADER)
        copy.write(b"".join(rows))  # one by one each would cost a turn of the interpreter
        copy.write(TRAILER)


def read_rows(connection: Connection[TupleRow], query: sql.Composable) -> Iterator[bytes]:
    """The tuples that a query answers, as COPY writes them, while they come in."""
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(query)) as copy,
    ):
        for k, message in enumerate(copy):
            row = bytes(message)[len(HEADER) if k == 0 else 0 :]
            if len(row) > len(TRAILER):
                yield row


def decode_rows(rows: Sequence[bytes], kinds: Sequence[tuple[str, tuple[int, ...]]]) -> list[Column]:
    """The columns of tuples of one length; the inverse of `encode_rows`, of which moments come back as times.

    Args:
        kinds: Of each column its numpy kind (`i`, `d`, `m`, or `B` for bytes) and its shape in a row.

    >>> [column.tolist() for column in decode_rows([encode_rows([np.array([7], dtype=np.int32)])], [("i", ())])]
    [[7]]
    """
    _, layout = _lay_out(tuple(kinds))
    table = np.frombuffer(b"".join(rows), dtype=layout)
    columns = []
    for i, (kind, _) in enumerate(kinds):
        value = table[str(i)]["value"]
        value = value["elements"]["value"] if value.dtype.names else value
        value = value.astype(value.dtype.newbyteorder("="))
        columns.append(EPOCH + value if kind == "m" else value)
    return columns


@lru_cache(maxsize=1024)
def _lay_out(kinds: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[bytearray, np.dtype[Any]]:
    """A tuple with every length in place and no value yet, and what lies where in it."""
    cells = [(str(i), [("n_bytes", ">i4"), ("value", *_lay_out_value(*kind))]) for i, kind in enumerate(kinds)]
    row = np.zeros(1, dtype=[("n_cells", ">i2"), *cells])
    row["n_cells"] = len(kinds)
    for i, (kind, shape) in enumerate(kinds):
        cell = row[str(i)]
        cell["n_bytes"] = cell.dtype["value"].itemsize
        if cell.dtype["value"].names:
            array = cell["value"]
            array["n_dimensions"], array["oid"] = len(shape), OID_BY_KIND[kind]
            array["dimensions"]["size"], array["dimensions"]["first"] = shape, 1
            array["elements"]["n_bytes"] = array.dtype["elements"].base["value"].itemsize
    return bytearray(row.tobytes()), row.dtype


def _lay_out_value(kind: str, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """Type and shape of the value of a cell."""
    if kind not in OID_BY_KIND or not shape:
        return TYPE_BY_KIND[kind], shape
    array = [
        ("n_dimensions", ">i4"),
        ("has_null", ">i4"),
        ("oid", ">i4"),
        ("dimensions", [("size", ">i4"), ("first", ">i4")], (len(shape),)),
        ("elements", [("n_bytes", ">i4"), ("value", TYPE_BY_KIND[kind])], shape),
    ]
    return array, ()
