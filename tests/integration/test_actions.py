"""Actions on real PostgreSQL: one at a time, taken on by one run, and left to the next by a run that died."""

import threading
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from loopcast.stores.action_log import ActionLog
from loopcast.stores.actions import LEASE, MAX_ATTEMPTS, Action, ActionKind, ActionState
from loopcast.stores.decisions import Decision, DecisionKind, DecisionStore
from loopcast.stores.run_states import describe_process

NOW = datetime(2024, 3, 4, 23, 30, tzinfo=UTC)
DEAD = describe_process().rsplit(" ", 1)[0] + " 0"
"""This process's number, given to one that began long ago."""


@pytest.fixture
def log(database) -> ActionLog:
    """The log under test."""
    return ActionLog(database)


def make_action(name: str, kind: ActionKind = ActionKind.RETRAIN, **changes) -> Action:
    """What one day called for."""
    defaults = {
        "problem": name, "kind": kind, "model_version": 3, "day": date(2024, 3, 4), "as_of_utc": NOW,
        "sentence": "skill is lost", "figures": {"statistic": 2.0, "p_value": float("nan")}, "triggered_at_utc": NOW,
    }  # fmt: skip
    return Action(**defaults | changes)


def record(log: ActionLog, name: str, *actions: Action, cooldown_days: int = 0) -> None:
    """Write down a day."""
    with log.lock(name) as lock:
        log.record(lock, name, actions, cooldown_days, NOW)


def claim(log: ActionLog, name: str, holder: str = "a", process: str = "", at_utc: datetime = NOW, champion: int = 3):
    """Kind of what a run takes on, None for nothing."""
    found = log.claim(name, champion, holder, process, at_utc)
    return None if found is None else found.kind


def states(log: ActionLog, name: str) -> list[tuple[ActionKind, ActionState]]:
    """Where the actions stand, the earliest first."""
    return [(each.kind, each.state) for each in reversed(log.history(name))]


def test_an_action_is_kept_with_its_evidence(log, name):
    """What is read is what was written, undefined figures and all."""
    action = make_action(name)

    record(log, name, action)

    (found,) = log.history(name)
    assert str(found) == str(action)


def test_a_trigger_that_is_found_again_is_one_row(log, name):
    """Found by a second run, also after it was acted on; the next day's is another, once the first is over."""
    record(log, name, make_action(name))
    record(log, name, make_action(name))
    log.finish(log.claim(name, 3, "a", "", NOW), ActionState.DONE, "trained", NOW)
    record(log, name, make_action(name))
    assert states(log, name) == [(ActionKind.RETRAIN, ActionState.DONE)]

    record(log, name, make_action(name, day=date(2024, 3, 5)))
    record(log, name, make_action(name, day=date(2024, 3, 6)))

    assert states(log, name) == [(ActionKind.RETRAIN, ActionState.DONE), (ActionKind.RETRAIN, ActionState.DUE)]


def test_of_racing_runs_one_takes_the_action_on(log, name):
    """Eight at once, each as a run of its own."""
    record(log, name, make_action(name))
    found = []
    threads = [
        threading.Thread(target=lambda k=k: found.append(claim(log, name, f"run {k}", describe_process())))
        for k in range(8)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found, key=str) == [None] * 7 + [ActionKind.RETRAIN]


def test_a_retry_of_the_run_is_given_the_same_action(log, name):
    """A pod that died after it had taken the action on does not lose it."""
    record(log, name, make_action(name))

    first, second = log.claim(name, 3, "execution", "", NOW), log.claim(name, 3, "execution", "", NOW)

    assert first.id == second.id
    assert second.n_attempts == 1


@pytest.mark.parametrize(
    ("process", "later", "is_free"),
    [
        (describe_process(), timedelta(days=30), False),
        (DEAD, timedelta(0), True),
        ("", LEASE - timedelta(minutes=1), False),
        ("", LEASE, True),
        ("elsewhere 1 0", LEASE, True),
    ],
    ids=["alive", "dead", "unknown and young", "unknown and old", "elsewhere and old"],
)
def test_an_action_is_free_again_once_its_run_is_dead(log, name, process, later, is_free):
    """A process of this machine is looked at; a run elsewhere is waited for, and not for ever."""
    record(log, name, make_action(name))
    claim(log, name, "first", process)

    found = claim(log, name, "second", describe_process(), NOW + later)

    assert found == (ActionKind.RETRAIN if is_free else None)


def test_a_rollback_comes_before_a_training(log, name):
    """And while somebody is at one of them, nobody begins the other."""
    record(log, name, make_action(name), make_action(name, ActionKind.ROLL_BACK))

    assert claim(log, name, "first", describe_process()) is ActionKind.ROLL_BACK
    assert claim(log, name, "second", describe_process()) is None


def test_an_action_that_fails_too_often_is_given_up(log, name):
    """Each failure leaves it to the next run, with the reason, up to the last."""
    record(log, name, make_action(name))
    for attempt in range(MAX_ATTEMPTS):
        assert claim(log, name, f"run {attempt}") is ActionKind.RETRAIN
        log.release(name, f"run {attempt}", "", "out of memory", NOW)

    (action,) = log.history(name)
    assert (action.state, action.n_attempts, action.outcome) == (ActionState.FAILED, MAX_ATTEMPTS, "out of memory")
    assert claim(log, name, "another") is None


def test_a_failure_elsewhere_lets_go_of_nothing(log, name):
    """Another execution, or another process, fails while this one is at work."""
    record(log, name, make_action(name))
    claim(log, name, "first", describe_process())

    log.release(name, "second", "", "failed", NOW)
    log.release(name, "", "elsewhere 1 0", "failed", NOW)

    assert states(log, name) == [(ActionKind.RETRAIN, ActionState.RUNNING)]


def test_a_training_for_a_champion_that_is_gone_is_obsolete(log, name):
    """Another version is in service by now; nobody trains against the old one's trigger."""
    record(log, name, make_action(name))

    assert claim(log, name, champion=4) is None
    (action,) = log.history(name)
    assert (action.state, action.outcome) == (ActionState.OBSOLETE, "Version 4 is in service by now")


def test_a_training_whose_run_died_behind_the_gate_is_not_done_again(log, name):
    """The version was judged, and nobody lived to write down that the action was over."""
    record(log, name, make_action(name))
    claim(log, name, "first", DEAD)
    rejection = Decision(
        problem=name, kind=DecisionKind.REJECTION, model_version="4", champion_before="3", champion_after="3",
        rule="better_than_champion", reasons=("not better",), figures={}, actor="ada",
        decided_at_utc=NOW + timedelta(hours=1),
    )  # fmt: skip
    DecisionStore(log.database).record(rejection)

    assert claim(log, name, "second", describe_process()) is None
    (action,) = log.history(name)
    assert (action.state, action.outcome) == (ActionState.DONE, "Version 4 was trained and judged: rejection")


def test_what_another_run_has_taken_over_is_not_ended_by_the_first(log, name):
    """A run that was thought dead comes back late."""
    record(log, name, make_action(name))
    first = log.claim(name, 3, "first", DEAD, NOW)
    log.claim(name, 3, "second", describe_process(), NOW)

    log.finish(first, ActionState.DONE, "trained", NOW)

    assert states(log, name) == [(ActionKind.RETRAIN, ActionState.RUNNING)]


def test_a_cool_down_counts_its_days_and_ends(log, name):
    """It begins with its trigger, and the next one begins a new row."""
    cooling = make_action(name, ActionKind.COOL_DOWN, state=ActionState.RUNNING, figures={"days_left": 60.0})

    record(log, name, cooling, cooldown_days=60)
    record(log, name, cooldown_days=59)
    (counted,) = log.history(name)
    record(log, name, cooldown_days=0)
    (ended,) = log.history(name)
    record(log, name, cooling.model_copy(update={"day": date(2024, 6, 4), "id": uuid4()}), cooldown_days=60)

    assert (counted.state, counted.figures) == (ActionState.RUNNING, {"days_left": 59.0})
    assert (ended.state, ended.ended_at_utc) == (ActionState.DONE, NOW)
    assert states(log, name) == [(ActionKind.COOL_DOWN, ActionState.DONE), (ActionKind.COOL_DOWN, ActionState.RUNNING)]
