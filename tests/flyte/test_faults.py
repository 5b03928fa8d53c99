"""Flyte retries what passes by itself, and only that."""

import psycopg
import pytest
from flytekit.exceptions.user import FlyteRecoverableException

from loopcast.errors import SourceError, StoreError
from tasks.faults import retry_transient_faults


@pytest.mark.parametrize(
    "fault", [ConnectionResetError("gone"), TimeoutError("late"), psycopg.OperationalError("away")]
)
def test_a_passing_fault_is_worth_another_attempt(fault):
    """Also where the store that met it raised a sentence of its own from it."""

    @retry_transient_faults
    def read_rows():
        raise StoreError("the database does not answer; start it") from fault

    with pytest.raises(FlyteRecoverableException, match="does not answer; start it"):
        read_rows()


def test_a_lasting_fault_is_raised_as_it_is():
    """A column that is missing stays missing however often one looks."""

    @retry_transient_faults
    def read_rows():
        raise SourceError("no column `price`; found `prize`; correct columns.target")

    with pytest.raises(SourceError, match="no column"):
        read_rows()
