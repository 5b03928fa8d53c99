"""Decisions come back as they were recorded, and are marked once the registry shows them."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from loopcast.evidence.gate import Rule, Verdict
from loopcast.stores.database import Database
from loopcast.stores.decisions import Decision, DecisionKind, DecisionStore, as_verdict


@pytest.fixture
def decisions(database: Database) -> DecisionStore:
    """Decisions of all tests."""
    return DecisionStore(database)


@pytest.fixture
def problem(request) -> str:
    """A problem that no other test uses."""
    return request.node.name


def _decision(problem: str, **changes: Any) -> Decision:
    keys: dict[str, Any] = {
        "problem": problem, "kind": DecisionKind.PROMOTION, "model_version": "3", "champion_before": "2",
        "champion_after": "3", "rule": "beats_champion", "reasons": ("p = 0.01", "it isn't \"stale\""),
        "figures": {"p_value": 0.01, "skill_pct": 1 / 3}, "actor": "ada",
    }  # fmt: skip
    return Decision(**keys | changes)


def test_the_history_gives_back_what_was_recorded_the_latest_first(decisions, problem):
    """Every field survives, and other problems stay out."""
    first = _decision(problem, champion_before=None)
    second = _decision(problem, kind=DecisionKind.DEMOTION, champion_after=None, reasons=())
    for decision in (first, second, _decision(f"{problem}-other")):
        decisions.record(decision)

    assert decisions.history(problem) == [second, first]
    assert decisions.history(problem, limit=1) == [second]
    assert decisions.history("nobody's") == []


def test_a_decision_that_is_recorded_twice_is_kept_once(decisions, problem):
    """A step that runs again leaves the same state."""
    decision = _decision(problem)

    decisions.record(decision)
    decisions.record(decision)

    assert decisions.history(problem) == [decision]


def test_a_decision_is_unapplied_until_it_is_marked(decisions, problem):
    """What is yet to be carried out comes in the order in which it was decided; marking twice changes nothing."""
    first, second = _decision(problem), _decision(problem, kind=DecisionKind.DEMOTION)
    for decision in (first, second, _decision(f"{problem}-other")):
        decisions.record(decision)
    assert decisions.unapplied(problem) == [first, second]

    decisions.mark_applied(first)
    decisions.mark_applied(first)

    assert decisions.unapplied(problem) == [second]
    assert decisions.history(problem, limit=None) == [second, first]


def test_problems_are_those_something_was_decided_about(decisions, problem):
    """Each once, by name."""
    for name in (f"{problem}-b", f"{problem}-a", f"{problem}-b"):
        decisions.record(_decision(name))

    assert [name for name in decisions.problems() if name.startswith(problem)] == [f"{problem}-a", f"{problem}-b"]


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        (DecisionKind.PROMOTION, Verdict(is_promoted=True, rule=Rule.FIRST_MODEL, reasons=(), figures={"p": 0.2})),
        (DecisionKind.REJECTION,
         Verdict(is_promoted=False, rule=Rule.FIRST_MODEL, reasons=("too wide",), figures={"p": 0.2})),
    ],
)  # fmt: skip
def test_a_decision_of_the_gate_gives_back_its_verdict(kind, verdict):
    """A promotion has no reasons against it."""
    decision = _decision("p", kind=kind, rule=Rule.FIRST_MODEL, reasons=("too wide",), figures={"p": 0.2})

    assert as_verdict(decision) == verdict


@pytest.mark.parametrize(
    ("kind", "rule"), [(DecisionKind.DEMOTION, "rollback"), (DecisionKind.OBSERVATION, "changed_in_mlflow")]
)
def test_a_decision_without_the_gate_has_no_verdict(kind, rule):
    """A report of it says so, and does not fail on a rule that is none of the gate's."""
    assert as_verdict(_decision("p", kind=kind, rule=rule)) is None


def test_figures_that_could_not_be_known_survive(decisions, problem):
    """NaN and infinity, which JSON lacks, come back as they were."""
    decisions.record(_decision(problem, figures={"t": math.nan, "limit": -math.inf}))

    (found,) = decisions.history(problem)

    assert math.isnan(found.figures["t"])
    assert found.figures["limit"] == -math.inf


def test_a_moment_is_kept_in_utc(decisions, problem):
    """To the microsecond, whatever the zone of who decided; a moment without a zone is refused."""
    moment = datetime(2024, 3, 1, 9, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))

    decisions.record(_decision(problem, decided_at_utc=moment))

    (found,) = decisions.history(problem)
    assert repr(found.decided_at_utc) == repr(datetime(2024, 3, 1, 7, 30, 0, 123456, tzinfo=UTC))
    with pytest.raises(ValidationError):
        _decision(problem, decided_at_utc=moment.replace(tzinfo=None))
