"""Readings that are shared for seconds: one for many, bounded in number, and failures that do not pile up."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.recent import MAX_READINGS, RecentReadings
from loopcast.errors import StoreError


def test_many_who_ask_at_once_cost_one_reading():
    """All but the first wait for it, and are given the same."""
    is_open, n_read = threading.Event(), []

    def read() -> str:
        is_open.wait(5)
        n_read.append(1)
        return "found"

    recent = RecentReadings()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(recent.get, "key", read) for _ in range(8)]
        is_open.set()
        found = [each.result() for each in asked]

    assert (found, len(n_read)) == (["found"] * 8, 1)
    assert recent.find("key") == "found"


def test_a_reading_is_made_anew_when_it_is_old():
    """And is not shown meanwhile."""
    recent, values = RecentReadings(fresh_s=0.0), iter([1, 2])

    assert [recent.get("key", lambda: next(values)) for _ in range(2)] == [1, 2]
    assert recent.find("key") is None


def test_a_failure_is_told_to_all_who_wait():
    """Once, so that those behind it wait for no second refused connection; nothing of before is shown for it."""
    n_tried = []

    def fail() -> str:
        n_tried.append(1)
        raise StoreError("away")

    recent = RecentReadings()
    for _ in range(3):
        with pytest.raises(StoreError, match="away"):
            recent.get("key", fail)

    assert (len(n_tried), recent.find("key")) == (1, None)


def test_readings_are_bounded():
    """The one that was asked for longest ago goes first."""
    recent = RecentReadings()
    for k in range(MAX_READINGS + 1):
        recent.get(k, lambda k=k: k + 1)

    assert (recent.find(0), recent.find(1), recent.find(MAX_READINGS)) == (None, 2, MAX_READINGS + 1)
