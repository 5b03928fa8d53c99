"""The audit has every act as it was told, and none is changed afterwards."""

from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from loopcast.stores.audit import Act, AuditEntry, AuditLog, AuditStore, MemoryAuditLog
from loopcast.stores.tokens import Role


@pytest.fixture(params=["memory", "postgresql"])
def log(request) -> AuditLog:
    """An audit."""
    return MemoryAuditLog() if request.param == "memory" else AuditStore(request.getfixturevalue("database"))


def make_entry(**changes) -> AuditEntry:
    """An act of Ada's."""
    keys = {
        "at_utc": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "actor_id": "https://id#ada",
        "actor_name": "Ada",
        "role": Role.OPERATOR,
        "act": Act.PROMOTION,
        "subject": "version 7",
        "problem": "google",
        "request_id": "0d6a1f2b",
        "details": {"reason": "better for a month"},
    }
    return AuditEntry(**keys | changes)


def record(log: AuditLog, **changes) -> AuditEntry:
    """An act as it was recorded, and read again."""
    entry = make_entry(**changes)
    log.record(entry)
    return next(each for each in log.read(limit=100) if each.id == entry.id)


def test_an_act_comes_back_as_it_was_recorded(log):
    """With its place in the order."""
    entry = make_entry()
    log.record(entry)

    [found] = log.read(limit=1)

    assert found.position > 0
    assert found == entry.model_copy(update={"position": found.position})


def test_a_command_has_no_role_and_no_request(log):
    """Who may use the shell of the machine needs neither."""
    found = record(log, role=None, request_id=None, problem=None, details={})

    assert (found.role, found.request_id, found.problem, found.details) == (None, None, None, {})


def test_acts_are_read_page_by_page_the_latest_first(log):
    """None twice and none left out, while others are added."""
    entries = [record(log, subject=f"version {number}") for number in range(5)]

    first = log.read(limit=2)
    record(log, subject="in between")
    second = log.read(limit=3, before=first[-1].position)

    assert [each.id for each in (*first, *second)] == [each.id for each in reversed(entries)]
    assert log.read(limit=3, before=1) == []


def test_whatever_people_write_can_be_kept(log):
    """A sentence with what PostgreSQL does not take, or a whole book, is shortened and not refused."""
    found = record(log, subject="a\0b", actor_name="x" * 2000, details={"reason": "it's\0 'fine'; --\n" + "y" * 2000})

    assert found.subject == "ab"
    assert len(found.actor_name) == len(found.details["reason"]) == 1000
    assert found.details["reason"].startswith("it's 'fine'; --\n")


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM loopcast.audit", "UPDATE loopcast.audit SET actor_name = 'nobody'", "TRUNCATE loopcast.audit"],
)
def test_rows_are_only_added(database, statement):
    """The table itself refuses what is no new row."""
    entry = make_entry(subject=uuid4().hex)
    AuditStore(database).record(entry)

    with (
        pytest.raises(psycopg.errors.RaiseException, match=r"rows of loopcast\.audit are only added"),
        database.connect() as connection,
    ):
        connection.execute(statement)

    assert AuditStore(database).read(limit=1)[0].id == entry.id
