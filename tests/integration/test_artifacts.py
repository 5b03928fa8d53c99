"""A snapshot is its bytes: the same for the same panel, never half, never changed unnoticed."""

import hashlib
import socket
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest

from loopcast.contracts import Panel
from loopcast.errors import StoreError
from loopcast.stores.artifacts import ArtifactStore, encode_panel, newest_snapshots, record_snapshot

PANEL = pd.DataFrame(
    {
        "series_id": ["AAPL", "AAPL", "GOOG"],
        "timestamp_utc": pd.Series([0, 86_400_000_001, 0]).astype("datetime64[us, UTC]"),
        "target": [1.0, -0.0, 1 / 3],
        "is_filled": [False, True, False],
        "range_variance": [np.nan, 0.0, 1e-300],
        "overnight_change": [np.nan, np.nan, np.nan],
        "covariate_a": [1.0, 2.0, np.nan],
        "covariate_b": [5.0, 6.0, 7.0],
    }
)

PUT = """
import os, resource, signal, sys
from loopcast.errors import StoreError
from loopcast.stores.artifacts import ArtifactStore
from tests.integration.test_artifacts import PANEL
mode, root = sys.argv[1:]
if mode == "killed":
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
if mode == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    print(ArtifactStore(root).put_snapshot(PANEL))
except StoreError as exc:
    print(exc)
"""
"""Puts the panel from a process of its own: well, with no room on the disk, or killed before the file has its name."""


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path) -> ArtifactStore:
    """An empty store, in a folder and behind a URL."""
    return ArtifactStore(str(tmp_path) if request.param == "folder" else f"memory://{uuid4().hex}")


def _putting(mode: str, root: Path) -> subprocess.Popen[str]:
    repository = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", PUT, mode, str(root)], stdout=subprocess.PIPE, cwd=repository, text=True
    )


def _put(mode: str, root: Path) -> str:
    with _putting(mode, root) as process:
        return process.communicate()[0].strip()


def test_a_panel_comes_back_bit_for_bit_with_its_types(store):
    """What was trained on is what is read again."""
    found = store.get_snapshot(store.put_snapshot(PANEL))

    pd.testing.assert_frame_equal(found, PANEL, check_exact=True)
    assert np.signbit(found["target"][1])
    pd.testing.assert_frame_equal(Panel.validate(found), found)


def test_only_the_values_make_the_name():
    """Index, order of columns, finer clocks, another zone and pandas' notes change nothing."""
    shuffled = PANEL[sorted(PANEL.columns, reverse=True)].set_index(pd.Index([5, 4, 3], name="row"))
    shuffled["timestamp_utc"] = shuffled["timestamp_utc"].astype("datetime64[ns, Europe/Zurich]")
    shuffled.attrs["note"] = "of no concern"

    assert encode_panel(shuffled) == encode_panel(PANEL)


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [(2, "target", np.nextafter(1 / 3, 1)), (1, "series_id", "aapl"), (0, "is_filled", True)],
)
def test_any_other_value_makes_another_name(row, column, value):
    """The last bit of one number is enough."""
    changed = PANEL.copy()
    changed.loc[row, column] = value

    assert encode_panel(changed) != encode_panel(PANEL)


def test_another_process_gives_the_same_name(tmp_path):
    """Nothing of the machine's state is in the bytes."""
    assert _put("well", tmp_path) == hashlib.sha256(encode_panel(PANEL)).hexdigest()


def test_a_snapshot_that_is_there_is_not_written_again(tmp_path):
    """The file of the first writer stays."""
    store = ArtifactStore(str(tmp_path))
    path = Path(store.snapshot_url(store.put_snapshot(PANEL)))
    first = path.stat()

    store.put_snapshot(PANEL)

    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)


def test_changed_bytes_are_noticed_and_left_alone(tmp_path):
    """One flipped bit is refused by reader and writer, with the digest that was found."""
    store = ArtifactStore(str(tmp_path))
    sha256 = store.put_snapshot(PANEL)
    path = Path(store.snapshot_url(sha256))
    changed = bytearray(path.read_bytes())
    changed[100] ^= 1
    path.write_bytes(changed)
    found = hashlib.sha256(changed).hexdigest()

    with pytest.raises(StoreError, match=f"{sha256}.parquet: found {len(changed)} bytes with SHA-256 {found}"):
        store.get_snapshot(sha256)
    with pytest.raises(StoreError, match=f"{sha256}.parquet: found {len(changed)} bytes with SHA-256 {found}"):
        store.put_snapshot(PANEL)
    assert path.read_bytes() == changed


def test_writers_at_the_same_time_leave_one_whole_snapshot(tmp_path):
    """Four processes agree on the name and on the file."""
    writers = [_putting("well", tmp_path) for _ in range(4)]
    answers = {writer.communicate()[0].strip() for writer in writers}

    (sha256,) = answers
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [f"{sha256}.parquet"]
    pd.testing.assert_frame_equal(ArtifactStore(str(tmp_path)).get_snapshot(sha256), PANEL)


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    """The sentence says what to look at, and no half snapshot has a name."""
    message = _put("full", tmp_path)

    assert message.endswith("cannot be written: [Errno 27] File too large; check space and rights")
    assert list((tmp_path / "snapshots").iterdir()) == []


def test_a_killed_writer_is_made_good_by_the_next(tmp_path):
    """What it left is not under the snapshot's name."""
    assert _put("killed", tmp_path) == ""
    assert list((tmp_path / "snapshots").glob("*.parquet")) == []

    store = ArtifactStore(str(tmp_path))

    pd.testing.assert_frame_equal(store.get_snapshot(store.put_snapshot(PANEL)), PANEL)


@pytest.mark.parametrize(
    "use",
    [lambda store: store.put_snapshot(PANEL), lambda store: store.get_snapshot("0" * 64)],
    ids=["written", "read"],
)
def test_a_bucket_that_is_away_is_told_with_its_address(use, monkeypatch):
    """Its driver raises errors of its own, which are no system errors."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        for name, value in {"ENDPOINT_URL": f"http://127.0.0.1:{closed.getsockname()[1]}", "MAX_ATTEMPTS": "1",
                            "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():  # fmt: skip
            monkeypatch.setenv(f"AWS_{name}", value)
        store = ArtifactStore(f"s3://bucket-{uuid4().hex}/loopcast")

        with pytest.raises(
            StoreError, match=r"s3://bucket.*\.parquet cannot be read: Could not connect.*check LOOPCAST"
        ):
            use(store)


def test_a_snapshot_that_is_not_there_is_a_clear_refusal(store):
    """And so is a name that could lead out of the store."""
    with pytest.raises(StoreError, match=r"0000\.parquet is missing; restore it, or check LOOPCAST_ARTIFACTS_URL"):
        store.get_snapshot("0" * 64)
    with pytest.raises(StoreError, match=r"`\.\./\.\./etc/passwd` names no snapshot; needs the 64 hexadecimal digits"):
        store.get_snapshot("../../etc/passwd")


@pytest.mark.parametrize("column", ["target", "covariate_a"])
def test_what_is_no_panel_is_refused(store, column):
    """Before anything is written."""
    with pytest.raises(StoreError, match=f"not a panel: .*{column}"):
        store.put_snapshot(PANEL.assign(**{column: ["a", "b", "c"]}))


def test_a_store_of_an_unknown_kind_is_refused():
    """The sentence repeats the URL."""
    with pytest.raises(StoreError, match=r"LOOPCAST_ARTIFACTS_URL floppy://a: .*; needs a folder or an fsspec URL"):
        ArtifactStore("floppy://a").put_snapshot(PANEL)


def test_a_snapshot_is_remembered_once_for_each_problem(database, store):
    """With its size and its span, however often it is told."""
    sha256 = store.put_snapshot(PANEL)
    for problem in ("remembered", "remembered", "remembered_too"):
        record_snapshot(database, problem, sha256, store.snapshot_url(sha256), PANEL)

    with database.connect() as connection:
        rows = connection.execute(
            "SELECT problem, url, n_rows, n_series, first_utc, last_utc FROM loopcast.snapshots "
            "WHERE sha256 = %s AND problem LIKE 'remembered%%' ORDER BY problem",
            [sha256],
        ).fetchall()
    first, last = PANEL["timestamp_utc"].iloc[[0, 1]]
    assert len(rows) == 2
    assert rows[0][2:] == (3, 2, first, last)


def test_the_newest_snapshot_is_the_one_recorded_last(database, name):
    """Data that return to what they once were are the newest again."""
    first, second = "a" * 64, "b" * 64
    for sha256 in (first, second, first):
        record_snapshot(database, name, sha256, "", PANEL)

    assert newest_snapshots(database)[name] == first
