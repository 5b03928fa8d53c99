"""Files of any kind: forecast or refused with a sentence, while service and worker keep their memory."""

import csv
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from benchmarks.champion import CONFIG
from loopcast.client import Client
from loopcast.client.answers.queries import Query
from loopcast.client.errors import InvalidRequestError
from loopcast.config import load_problem
from loopcast.stores.sources import read_source
from tests.e2e.desk.running import measure_memory_mb
from tests.e2e.serving import Service

pytestmark = pytest.mark.slow

N_ROWS = 160
"""Of each series: a little more than the model needs."""
MEGABYTE = 10**6
SERVICE_GROWTH_MB = 50
"""A file of this size passes through the service piece by piece."""
WORKER_MB = 1200
"""A worker, the process that computes, and a file of 50 MB in it."""


@dataclass
class Memory:
    """The most that a process and its children took, in megabytes."""

    begin_mb: float
    peak_mb: float


@contextmanager
def watch(pid: int) -> Iterator[Memory]:
    """Look at the memory of a process again and again while the block runs."""
    begin_mb = measure_memory_mb(pid)
    found, is_over = Memory(begin_mb, begin_mb), threading.Event()

    def look() -> None:
        while not is_over.wait(0.05):
            try:
                found.peak_mb = max(found.peak_mb, measure_memory_mb(pid))
            except psutil.NoSuchProcess:  # a child that has just ended
                continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()


@pytest.fixture(scope="module")
def rows() -> str:
    """The last rows of GOOG, as a file has them."""
    source = read_source(load_problem(CONFIG))
    return source[source["ticker"] == "GOOG"].tail(N_ROWS).to_csv(index=False)


def forecast_file(client: Client, file: Path) -> Query:
    """What comes of a file."""
    upload = client.upload(file)
    query = client.submit("google", "bulk_forecast", upload_id=upload.upload_id)
    return client.wait(query.query_id, timeout_s=120)


def test_fifty_megabytes_are_forecast_in_bounded_memory(
    desk: Service, worker: "subprocess.Popen[bytes]", client: Client, rows: str, tmp_path: Path
):
    """Hundreds of series, with a long remark in each row that nobody reads."""
    header, *lines = rows.splitlines()
    file, remark = tmp_path / "export.csv", "x" * 2000
    n_series = 0
    with file.open("w", encoding="utf-8") as sink:
        sink.write(f"{header},remark\n")
        while sink.tell() < 50 * MEGABYTE:
            sink.writelines(f"{line.replace('GOOG', f'S{n_series:04d}')},{remark}\n" for line in lines)
            n_series += 1

    with watch(desk.process.pid) as service, watch(worker.pid) as working:
        query = forecast_file(client, file)

    assert (query.state, query.result and query.result["n_forecast"]) == ("done", n_series)
    assert service.peak_mb - service.begin_mb < SERVICE_GROWTH_MB
    assert working.peak_mb < WORKER_MB


@pytest.mark.usefixtures("worker")
def test_a_name_that_is_a_formula_comes_back_as_a_text(client: Client, rows: str, tmp_path: Path):
    """A spreadsheet shows it and computes nothing."""
    (tmp_path / "rows.csv").write_text(rows.replace("GOOG", '"=HYPERLINK(""http://evil.example"")"'), encoding="utf-8")

    query = forecast_file(client, tmp_path / "rows.csv")

    with client.download(query.query_id, "forecasts.csv", tmp_path).open(newline="", encoding="utf-8") as file:
        assert {row["series_id"] for row in csv.DictReader(file)} == {'\'=HYPERLINK("http://evil.example")'}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda rows: rows.encode("utf-16"), "found UTF-16"),
        (lambda rows: rows.replace("GOOG", "GÖÖG").encode("latin-1"), "line 2: found byte 0xd6, which is no UTF-8"),
        (lambda rows: b"PK\x03\x04" + bytes(100), "found a zip archive, as Excel writes it"),
        (lambda rows: b"a" * 20 * MEGABYTE, "line 1: it has more than 65,536 bytes"),
        (lambda rows: f'{rows}2013-03-04,"'.encode() + b"x" * MEGABYTE + b"\n" * MEGABYTE, "more than 65,536 bytes"),
        (lambda rows: rows.splitlines()[0].encode(), "found no rows under the header"),
    ],
    ids=["UTF-16", "Latin-1", "Excel", "one line of 20 MB", "an open quote", "a header alone"],
)
def test_a_file_that_is_no_csv_fails_with_a_sentence(
    worker: "subprocess.Popen[bytes]", client: Client, rows: str, tmp_path: Path, content, sentence: str
):
    """What was found, and what to do; read no further than needed."""
    (tmp_path / "file.csv").write_bytes(content(rows))

    with watch(worker.pid) as working:
        query = forecast_file(client, tmp_path / "file.csv")

    assert query.state == "failed"
    assert sentence in query.reason
    assert working.peak_mb < WORKER_MB


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(desk: Service, client: Client, tmp_path: Path):
    """A hole of 200 MB takes no disk here, and no memory there."""
    with (tmp_path / "hole.csv").open("wb") as file:
        file.truncate(200 * MEGABYTE)

    with watch(desk.process.pid) as service, pytest.raises(InvalidRequestError) as refused:
        client.upload(tmp_path / "hole.csv")

    assert refused.value.code == "body_too_large"
    assert service.peak_mb - service.begin_mb < SERVICE_GROWTH_MB
