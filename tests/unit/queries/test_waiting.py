"""While work goes on that cannot report, somebody else is told."""

import threading
import time

import pytest

from loopcast.queries.kinds import QueryCancelledError
from loopcast.queries.waiting import TELL_EVERY_S, wait_telling


def test_it_is_told_while_the_work_goes_on():
    """And what it returns is returned."""
    told = []

    found = wait_telling(lambda: time.sleep(2.5 * TELL_EVERY_S) or "done", lambda: told.append(time.monotonic()))

    assert found == "done"
    assert len(told) >= 2


def test_an_error_of_the_work_is_its_own():
    """Also one that looks like the wait's."""
    told = []

    def fail():
        raise TimeoutError("of the work")

    with pytest.raises(TimeoutError, match="of the work"):
        wait_telling(fail, lambda: told.append(1))
    assert told == []


def test_a_stop_does_not_wait_for_the_work():
    """It goes on unheeded."""
    may_end = threading.Event()

    def stop():
        raise QueryCancelledError("stopped")

    started_s = time.monotonic()
    with pytest.raises(QueryCancelledError):
        wait_telling(lambda: may_end.wait(30), stop)
    took_s = time.monotonic() - started_s
    may_end.set()

    assert took_s < 5
