"""Whoever promotes, and whenever a process dies: the champion is never the worse model, and each change has its row."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loopcast.errors import StoreError
from loopcast.evidence.gate import Rule, Verdict
from loopcast.stores.decisions import Decision, DecisionKind, DecisionStore
from loopcast.stores.promotion import demote, promote, promote_by_hand, reject
from loopcast.stores.registry import CHAMPION, Registry
from tests.integration.clients import wait_until
from tests.integration.models import (
    demote_and_die,
    open_home,
    prefer_higher,
    promote_and_die,
    register_model,
    run_elsewhere,
)


def _history(registry: Registry, name: str) -> list[tuple[str, str, str | None, str | None]]:
    """Kind, version, champion before and after of each decision, the earliest first."""
    rows = DecisionStore(registry.database).history(name)
    return [(each.kind.value, each.model_version, each.champion_before, each.champion_after) for each in rows[::-1]]


def _promote(registry: Registry, name: str, version: int) -> Decision:
    return promote(registry, name, version, prefer_higher(version), actor="ada")


def _champion(registry: Registry, name: str) -> int | None:
    champion = registry.champion(name)
    return None if champion is None else champion.version


def test_a_better_version_goes_into_service_with_its_row_and_its_tag(registry, name):
    """Alias, decision and tag say the same, and the version is a challenger no longer."""
    version = register_model(registry, name)

    decision = _promote(registry, name, version.version)

    assert decision == DecisionStore(registry.database).history(name)[0]
    assert decision.model_dump(exclude={"id", "decided_at_utc"}) == {
        "problem": name, "kind": DecisionKind.PROMOTION, "model_version": "1", "champion_before": None,
        "champion_after": "1", "rule": "better_than_champion", "reasons": (), "figures": {"p_value": 0.01},
        "actor": "ada",
    }  # fmt: skip
    assert _champion(registry, name) == 1
    assert registry.challenger(name) is None
    tag = registry.version(name, 1).tags["decision"]
    assert tag.startswith("promotion at ")
    assert tag.endswith(f"UTC by ada, rule better_than_champion; decision {decision.id}")


def test_a_version_that_is_not_better_is_written_down_and_stays_challenger(registry, name):
    """A rejection is a row with its reasons and a tag, and changes no alias."""
    register_model(registry, name)
    _promote(registry, name, 1)
    register_model(registry, name)
    verdict = prefer_higher(0)(registry.champion(name))

    decision = promote(registry, name, 2, lambda champion: verdict, actor="ada")

    assert (decision.kind, decision.reasons) == (DecisionKind.REJECTION, ("0 is not above 1",))
    assert _champion(registry, name) == 1
    assert registry.challenger(name).version == 2
    assert "0 is not above 1" in registry.version(name, 2).tags["decision"]


def test_a_rejection_can_be_written_down_without_asking_again(registry, name):
    """What the gate said in an earlier step is enough to turn a version down, never to let one in."""
    register_model(registry, name)
    verdict = Verdict(is_promoted=False, rule=Rule.FIRST_MODEL, reasons=("no better than naive",), figures={})

    decision = reject(registry, name, 1, verdict, actor="ada")

    assert _history(registry, name) == [("rejection", "1", None, None)]
    assert decision.reasons == ("no better than naive",)
    with pytest.raises(ValueError, match="found a verdict that promotes, needs one that does not"):
        reject(registry, name, 1, verdict.model_copy(update={"is_promoted": True}), actor="ada")


def test_promoting_the_champion_again_changes_nothing(registry, name):
    """A step that is run again returns the decision that it took the first time."""
    register_model(registry, name)
    first = _promote(registry, name, 1)
    register_model(registry, name)
    reject(registry, name, 2, prefer_higher(0)(registry.champion(name)), actor="ada")

    assert _promote(registry, name, 1) == first
    assert len(_history(registry, name)) == 2


def test_a_version_that_does_not_exist_is_named(registry, name):
    """The sentence lists the versions that do."""
    register_model(registry, name)

    with pytest.raises(StoreError, match=rf"^{name} has no version 7; needs one of \[1\]$"):
        _promote(registry, name, 7)


def test_the_judge_sees_the_champion_of_the_moment(registry, name):
    """Who waits for the lock is judged against the version that was promoted while it waited."""
    for _ in range(3):
        register_model(registry, name)
    is_inside, may_go = threading.Event(), threading.Event()
    seen = []

    def deliberate(champion):
        is_inside.set()
        may_go.wait(30)
        return prefer_higher(3)(champion)

    def look(champion):
        seen.append(champion.version)
        return prefer_higher(2)(champion)

    with ThreadPoolExecutor() as pool:
        better = pool.submit(promote, registry, name, 3, deliberate, "first")
        is_inside.wait(30)
        worse = pool.submit(promote, registry, name, 2, look, "second")
        wait_until(lambda: _n_waiting(registry) == 1)
        may_go.set()

    assert (better.result().kind, worse.result().kind) == (DecisionKind.PROMOTION, DecisionKind.REJECTION)
    assert seen == [3]
    assert _champion(registry, name) == 3


def _n_waiting(registry: Registry) -> int:
    """How many connections wait for an advisory lock."""
    with registry.database.connect() as connection:
        return connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ).fetchone()[0]


@pytest.mark.slow
def test_twenty_racing_promotions_leave_the_best_model_champion(registry, shared_home, name):
    """In four processes of five threads each; every change of the champion has its row, in order."""
    for _ in range(20):
        register_model(registry, name)
    shares = [range(1 + k, 21, 4) for k in range(4)]

    with ThreadPoolExecutor() as pool:
        exits = list(pool.map(lambda share: run_elsewhere(_promote_all, shared_home, name, share), shares))

    assert exits == [0, 0, 0, 0]
    assert _champion(registry, name) == 20
    champion = None
    for kind, version, before, after in _history(registry, name):
        assert before == champion
        assert after == (version if kind == "promotion" else before)
        assert champion is None or int(after) >= int(champion)
        champion = after
    assert len(_history(registry, name)) == 20


def _promote_all(home: Path, name: str, versions: range) -> None:
    registry = open_home(home)
    with ThreadPoolExecutor(5) as pool:
        for each in [pool.submit(_promote, registry, name, version) for version in versions]:
            each.result()


@pytest.mark.parametrize(
    ("step", "when", "is_decided"),
    [
        ("record", "before", False),
        ("record", "after", True),
        ("alias", "after", True),
        ("tag", "after", True),
        ("mark", "after", True),
    ],
)
def test_a_promotion_that_is_killed_is_completed_or_never_was(registry, shared_home, name, step, when, is_decided):
    """What was committed as decided is carried out by the next who comes; what was not has left no trace."""
    register_model(registry, name)
    _promote(registry, name, 1)
    register_model(registry, name)

    assert run_elsewhere(promote_and_die, shared_home, name, 2, step, when) == -signal.SIGKILL
    register_model(registry, name)
    decision = _promote(registry, name, 3)

    assert decision.champion_before == ("2" if is_decided else "1")
    assert _history(registry, name)[1:-1] == ([("promotion", "2", "1", "2")] if is_decided else [])
    assert ("decision" in registry.version(name, 2).tags) is is_decided
    assert _champion(registry, name) == 3


@pytest.mark.parametrize(("step", "when"), [("record", "after"), ("alias", "after"), ("tag", "after")])
def test_a_rollback_that_is_killed_is_completed_by_the_next(registry, shared_home, name, step, when):
    """The next promotion is judged against the version that the rollback had put in service."""
    for version in (1, 2):
        register_model(registry, name)
        _promote(registry, name, version)
    register_model(registry, name)

    assert run_elsewhere(demote_and_die, shared_home, name, step, when) == -signal.SIGKILL
    decision = _promote(registry, name, 3)

    assert decision.champion_before == "1"
    assert _history(registry, name)[2:] == [("demotion", "2", "2", "1"), ("promotion", "3", "1", "3")]


def test_rollback_goes_one_promotion_further_back_each_time(registry, name):
    """Two steps back do not end where they began; before the first model there is none."""
    for version in (1, 2, 3):
        register_model(registry, name)
        _promote(registry, name, version)

    first = demote(registry, name, "it lost its skill", actor="ada")
    second = demote(registry, name, "so did this one", actor="ada")

    assert (first.champion_after, second.champion_after) == ("2", "1")
    assert (first.rule, first.reasons) == ("rollback", ("it lost its skill",))
    assert _champion(registry, name) == 1
    assert "it lost its skill" in registry.version(name, 3).tags["decision"]
    with pytest.raises(StoreError, match="version 1 replaced no other version; name the one to go back to"):
        demote(registry, name, "no more", actor="ada")


def test_rollbacks_after_a_promotion_by_hand_do_not_go_to_and_fro(registry, name):
    """Each takes one promotion back, the one by hand too, and the first model is the end."""
    for version in (1, 2):
        register_model(registry, name)
        _promote(registry, name, version)
    promote_by_hand(registry, name, 1, "the old one was better", actor="ada")

    steps = [demote(registry, name, "it lost its skill", actor="ada").champion_after for _ in range(2)]

    assert steps == ["2", "1"]
    with pytest.raises(StoreError, match="version 1 replaced no other version; name the one to go back to"):
        demote(registry, name, "no more", actor="ada")


def test_rollback_to_any_version_that_is_named(registry, name):
    """Also to one that never was champion; to the champion itself, or without one, there is nothing to roll back."""
    for _ in range(2):
        register_model(registry, name)
    with pytest.raises(StoreError, match=f"^{name} has no champion; promote a version first$"):
        demote(registry, name, "why", actor="ada")
    _promote(registry, name, 2)

    decision = demote(registry, name, "a bug in its data", actor="ada", to_version=1)

    assert (decision.model_version, decision.champion_after) == ("2", "1")
    assert _champion(registry, name) == 1
    with pytest.raises(StoreError, match="version 1 is the champion; name another version to go back to"):
        demote(registry, name, "again", actor="ada", to_version=1)
    with pytest.raises(StoreError, match=r"has no version 9; needs one of \[2, 1\]"):
        demote(registry, name, "again", actor="ada", to_version=9)


def test_a_rollback_that_is_asked_for_twice_happens_once(registry, name):
    """Naming the version that is to go makes it safe to try again, and spares another that came meanwhile."""
    for version in (1, 2, 3):
        register_model(registry, name)
        _promote(registry, name, version)

    first = demote(registry, name, "it lost its skill", actor="ada", from_version=3)
    again = demote(registry, name, "it lost its skill", actor="ada", from_version=3)

    assert first == again
    assert _champion(registry, name) == 2
    with pytest.raises(StoreError, match="version 2 is in service by now, not 1; nothing was changed"):
        demote(registry, name, "why", actor="ada", from_version=1)


def test_a_champion_that_somebody_chose_in_mlflow_is_kept_and_written_down(registry, name):
    """The next promotion is judged against it, and every change of the champion has a row."""
    for _ in range(3):
        register_model(registry, name)
    _promote(registry, name, 1)
    registry.client.set_registered_model_alias(name, CHAMPION, "2")

    _promote(registry, name, 3)

    assert _history(registry, name) == [
        ("promotion", "1", None, "1"), ("observation", "2", "1", "2"), ("promotion", "3", "2", "3"),
    ]  # fmt: skip


def test_a_model_that_somebody_deleted_does_not_lend_its_decisions_to_the_next(registry, name):
    """MLflow gives its number again; the new version 1 is not champion because an older one was."""
    register_model(registry, name)
    _promote(registry, name, 1)
    registry.client.delete_registered_model(name)
    register_model(registry, name)

    _promote(registry, name, 1)

    assert _history(registry, name)[1:] == [("observation", "1", "1", None), ("promotion", "1", None, "1")]


def test_a_lock_that_was_lost_decides_nothing(registry, name):
    """Where the database ends the connection that holds the lock, another may decide: this one must not."""
    register_model(registry, name)

    def judge(champion):
        with registry.database.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
        return prefer_higher(1)(champion)

    with pytest.raises(StoreError, match="went away"):
        promote(registry, name, 1, judge, actor="ada")

    assert _champion(registry, name) is None
    assert _history(registry, name) == []
