"""Rows of files wherever fsspec reaches: CSV in any wrapping, and Parquet; each fault in one sentence.

Which source a problem has is for `sources` to know.
"""

import codecs
import csv
import difflib
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import fsspec
import pandas as pd

from loopcast.cells import EMPTY_CELLS
from loopcast.config import Problem
from loopcast.errors import SourceError

DELIMITERS: Final = (",", ";", "\t", "|")
PARQUET_SUFFIXES: Final = (".parquet", ".pq")
MAX_NAMED: Final = 20
"""Columns that an error lists."""
PARALLEL_FOOTERS: Final = 16
"""Of Parquet files, each a request to a bucket that takes its time."""


def read_files(problem: Problem) -> pd.DataFrame:
    """The rows of a file, of the files that a pattern fits, or of a folder of Parquet files.

    Raises:
        SourceError: One of them cannot be read, or lacks a column.
    """
    where = name_source(problem)
    with _tell_faults(where):
        files, path = fsspec.core.url_to_fs(problem.source.uri)
        is_page = problem.source.uri.startswith(("http://", "https://"))
        paths = sorted(files.glob(path)) if "*" in path and not is_page else [path]
        if not paths:
            raise FileNotFoundError(path)
        if not is_page and files.isdir(path):
            return _read_parquet(files, path, problem)
        if all(name.lower().endswith(PARQUET_SUFFIXES) for name in paths):
            return _read_parquet(files, paths, problem)
        frames = [_read_csv(files, name, where if len(paths) == 1 else name, problem) for name in paths]
        return pd.concat(frames, ignore_index=True)


@contextmanager
def _tell_faults(where: str) -> Iterator[None]:
    """What goes wrong with a file, in one sentence that begins with where it lies.

    Raises:
        SourceError: Something went wrong.
    """
    try:
        yield
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
        raise SourceError(
            f"{where}: rows do not fit the header ({say_fault(exc)}); quote what holds a delimiter"
        ) from exc
    except ImportError as exc:
        raise SourceError(f"{where}: this storage needs a driver: {exc}") from exc
    except Exception as exc:  # behind a URL is another process, and drivers share no base of errors
        raise SourceError(f"{where}: cannot be read: {say_fault(exc)}") from exc


def _read_parquet(files: Any, paths: str | Sequence[str], problem: Problem) -> pd.DataFrame:
    """The rows of all files, in the order of their names; a column may be of another type in each.

    What the names of folders say is text, as `shop=007` is; so is what a writer calls bytes.
    """
    import pyarrow as pa
    from pyarrow import dataset as arrow

    wanted, where = list(problem.columns.names), name_source(problem)
    try:
        found = arrow.dataset(paths, filesystem=files, format="parquet", partitioning="hive")
    except pa.ArrowInvalid as exc:
        hint = "; a folder is read whole, so give a pattern such as folder/*.csv" if isinstance(paths, str) else ""
        raise SourceError(f"{where}: cannot be read: {say_fault(exc)}{hint}") from exc
    if not found.files:
        raise FileNotFoundError(paths)
    fragments = list(found.get_fragments())
    by_folder = {name for each in fragments for name in arrow.get_partition_keys(each.partition_expression)}
    require_columns([*by_folder, *(n for n in found.schema.names if n not in by_folder)], problem, where)
    with ThreadPoolExecutor(PARALLEL_FOOTERS) as pool:
        schemas = list(pool.map(lambda each: each.physical_schema, fragments))
    types = pa.unify_schemas(
        [pa.schema([field for field in schema if field.name in wanted]) for schema in schemas],
        promote_options="permissive",
    )
    fields = {field.name: pa.string() if pa.types.is_binary(field.type) else field.type for field in types}
    schema = pa.schema(fields | {name: pa.string() for name in wanted if name in by_folder})
    rows = arrow.dataset(paths, schema, "parquet", files, arrow.partitioning(schema, flavor="hive"))
    frame: pd.DataFrame = rows.to_table(columns=wanted).to_pandas(ignore_metadata=True)
    return frame


def _open_text(files: Any, path: str, where: str) -> bytes:
    """A text file's bytes, unpacked."""
    if not path.lower().endswith(".zip"):
        with files.open(path, "rb", compression="infer") as file:
            content: bytes = file.read()
        return content
    with files.open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if len(names) != 1:
            raise SourceError(
                f"{where}: found {len(names)} files in it, needs one; unpack it and name them by a pattern"
            )
        return archive.read(names[0])


def _read_csv(files: Any, path: str, where: str, problem: Problem) -> pd.DataFrame:
    with _tell_faults(where), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a first row with more cells than the header
        content = _open_text(files, path, where).removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
        if b"\0" in content[:1000]:
            raise SourceError(f"{where}: not text; needs a CSV in UTF-8, or a Parquet file named .parquet")
        names, delimiter = _split_header(content.partition(b"\n")[0].decode(), problem)
        require_columns(names, problem, where)
        as_text = {problem.columns.series_id, problem.columns.timestamp}
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


def require_columns(found: Iterable[object], problem: Problem, where: str) -> None:
    """Refuse a source that lacks a column of the problem, or has it twice.

    Args:
        found: Names of its columns.
        where: With which the sentence begins.

    Raises:
        SourceError: It does.
    """
    names = [str(name) for name in found]
    for wanted in problem.columns.names:
        if names.count(wanted) == 0:
            near = difflib.get_close_matches(wanted.casefold(), [name.casefold() for name in names], n=1)
            hint = next(f"did you mean `{name}`? " for name in names if name.casefold() in near) if near else ""
            listed = ", ".join(names[:MAX_NAMED]) + (" …" if len(names) > MAX_NAMED else "")
            raise SourceError(f"{where}: no column `{wanted}`; {hint}found {listed or 'nothing'}")
        if names.count(wanted) > 1:
            raise SourceError(f"{where}: column `{wanted}` stands there twice; rename one")


def name_source(problem: Problem) -> str:
    """The source without what may be secret in it."""
    return problem.source.uri.partition("?")[0]


def say_fault(exc: BaseException) -> str:
    """What a driver said, on one line and without the queries of signed URLs."""
    return re.sub(r"\?\S+", "", " ".join(str(exc).split())) or type(exc).__name__
