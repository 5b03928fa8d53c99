"""Whether an uploaded file is text that can be read line by line: found out in one pass, in the memory of one block.

A file may be made to fill a machine's memory: one line of all its bytes, a quote that never ends, columns by the
million. Whatever would be read whole is refused here. What stands in the lines is for `upload`.
"""

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from loopcast.errors import DataRefusedError

BLOCK_BYTES: Final = 1 << 20
MAX_LINE_BYTES: Final = 1 << 16
"""Of a line: sixty times what a wide row takes."""
OTHER_FORMATS: Final = {
    b"PK\x03\x04": "a zip archive, as Excel writes it; save it as `CSV UTF-8 (comma delimited)`",
    b"\xd0\xcf\x11\xe0": "a workbook of old Excel; save it as `CSV UTF-8 (comma delimited)`",
    b"\x1f\x8b": "a gzip file; unpack it",
    b"PAR1": "a Parquet file; write it as CSV",
    codecs.BOM_UTF16_LE: "UTF-16, as Excel writes `Unicode Text`; save it as `CSV UTF-8 (comma delimited)`",
    codecs.BOM_UTF16_BE: "UTF-16; save it as UTF-8, for example by `iconv -f UTF-16 -t UTF-8`",
}
"""What is uploaded by mistake, by its first bytes."""
QUOTE, NEWLINE = ord('"'), ord("\n")


def check_text(path: Path, tell: Callable[[float], None]) -> int:
    """How many lines a file has, all of them UTF-8 and short, with no quote left open at the end of one.

    Args:
        tell: Is given the share of the file that was read.

    Raises:
        DataRefusedError: It is something else.
    """
    n_bytes = path.stat().st_size
    decoder = codecs.getincrementaldecoder("utf-8")()
    n_lines = n_read = n_open_bytes = n_quotes = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            if n_read == 0:
                _refuse_other_formats(block)
            if b"\0" in block:
                raise DataRefusedError("found zero bytes, needs text in UTF-8; a file in UTF-16 has them, save it anew")
            _check_characters(decoder, block, n_lines)
            data = np.frombuffer(block, dtype=np.uint8)
            ends = np.flatnonzero(data == NEWLINE)
            lengths = np.diff(ends, prepend=-1 - n_open_bytes, append=len(data))
            if lengths.max() > MAX_LINE_BYTES:
                _refuse_line(n_lines + int(lengths.argmax()), f"it has more than {MAX_LINE_BYTES:,} bytes")
            quotes = n_quotes + np.cumsum(data == QUOTE)
            if (quotes[ends] % 2).any():
                _refuse_quote(n_lines + int(np.argmax(quotes[ends] % 2)))
            n_quotes, n_open_bytes = int(quotes[-1]), int(lengths[-1]) - 1
            n_lines += len(ends)
            n_read += len(block)
            tell(n_read / n_bytes)
    if n_quotes % 2:
        _refuse_quote(n_lines)
    _check_characters(decoder, b"", n_lines, is_end=True)
    return n_lines + (n_open_bytes > 0)


def _refuse_other_formats(block: bytes) -> None:
    for first_bytes, what in OTHER_FORMATS.items():
        if block.startswith(first_bytes):
            raise DataRefusedError(f"found {what}")


def _check_characters(decoder: codecs.IncrementalDecoder, block: bytes, n_lines: int, *, is_end: bool = False) -> None:
    try:
        decoder.decode(block, is_end)
    except UnicodeDecodeError as exc:
        line = n_lines + exc.object.count(b"\n", 0, exc.start) + 1
        raise DataRefusedError(
            f"line {line:,}: found byte {exc.object[exc.start]:#04x}, which is no UTF-8, but may be Latin-1 or "
            "Windows-1252; save the file as `CSV UTF-8`, or convert it by `iconv -f WINDOWS-1252 -t UTF-8`"
        ) from exc


def _refuse_line(index: int, what: str) -> None:
    raise DataRefusedError(f"line {index + 1:,}: {what}; needs one row on each line")


def _refuse_quote(index: int) -> None:
    _refuse_line(index, "a quote is opened and not closed")
