"""The monitoring workflow run in process on real stores: each branch, a failure on the way, and poor days."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loopcast.config import Problem
from loopcast.errors import DataRefusedError, ProblemError
from loopcast.evidence.gate import Rule
from loopcast.stores.acting import claim_next
from loopcast.stores.action_log import ActionLog
from loopcast.stores.actions import Action, ActionKind, ActionState
from loopcast.stores.conditions import AlertState
from loopcast.stores.decisions import DecisionKind
from loopcast.stores.failures import FAILED_KIND
from loopcast.stores.opened import Stores
from loopcast.stores.registry import Registry
from tests.integration.models import run_elsewhere
from tests.monitored import N_TRAINED, Service, make_service
from workflows.monitoring import monitoring

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning"),  # flytekit's folders of checkpoints
]

QUICK = {
    "gate": {"naive_alpha": 0.49, "coverage_tolerance": 0.5, "min_dates": 60},
    "training": {"n_seeds": 1, "max_epochs": 2, "validation_steps": 100},
    "network": {"hidden_size": 4, "moves_center": True},
}
LAST = N_TRAINED + 40


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A problem of a test's own."""
    return request.node.originalname.removeprefix("test_")[:40].strip("_")


@pytest.fixture
def serve(stores: Stores, tmp_path: Path, name: str) -> Service:
    """A problem in service."""
    return make_service(stores, name, tmp_path, **QUICK)


@pytest.fixture
def learnable(stores: Stores, tmp_path: Path, name: str) -> Service:
    """The same of data from which a network learns enough to pass the gate."""
    return make_service(stores, name, tmp_path, rhythm=5.0, **QUICK)


def read_history(service: Service) -> list[Action]:
    """The actions of the problem."""
    return ActionLog(service.stores.database).history(service.problem.name)


def read_actions(service: Service) -> dict[ActionKind, ActionState]:
    """Where they stand."""
    return {each.kind: each.state for each in read_history(service)}


def monitor_and_die(home: Path, problem: Problem) -> None:
    """A monitoring that is killed when its training has fitted and judged, and is about to register."""
    os.environ["LOOPCAST_HOME"] = str(home)

    def die(*args: object, **kwargs: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    Registry.register = die
    monitoring(config=problem)


def read_alerts(service: Service) -> list[tuple[str, AlertState]]:
    """The problem's alerts of monitoring, by kind."""
    history = service.stores.alerts.history(service.problem.name)
    return sorted((each.alert.kind, each.alert.state) for each in history if each.alert.scope == "monitoring")


def test_a_sound_day_is_reported_and_changes_nothing(serve):
    """The branch on which nothing is done: a page, no alert, no action."""
    serve.promote()
    serve.forecast(N_TRAINED + 1, LAST)
    serve.publish(LAST)

    outcome = monitoring(config=serve.problem)

    assert (outcome.as_of, outcome.model_version, outcome.action) == (serve.day(LAST), 1, "")
    assert outcome.findings == ()
    assert "<html" in Path(outcome.report).read_text(encoding="utf-8")
    assert (read_actions(serve), read_alerts(serve)) == ({}, [])


def test_a_biased_champion_is_trained_again_and_replaced(learnable):
    """Its skill is lost within days: one alert, one training, which passes the gate; the next look finds it mended."""
    learnable.promote(bias=-3.0)
    learnable.forecast(N_TRAINED + 1, LAST)
    learnable.publish(LAST)

    outcome = monitoring(config=learnable.problem)
    again = monitoring(config=learnable.problem)

    assert "skill_lost" in outcome.findings
    assert outcome.action == "Version 2 was trained, and was promoted"
    assert learnable.stores.registry.champion(learnable.problem.name).version == 2
    assert learnable.stores.decisions.history(learnable.problem.name)[0].rule == Rule.IN_PLACE_OF_LOST_SKILL
    assert (again.findings, again.action) == (outcome.findings, "")
    assert read_actions(learnable) == {ActionKind.RETRAIN: ActionState.DONE, ActionKind.COOL_DOWN: ActionState.RUNNING}
    assert ("skill_lost", AlertState.RAISED) in read_alerts(learnable)
    assert len(learnable.stores.registry.versions(learnable.problem.name)) == 2

    learnable.forecast(LAST, LAST + 1)
    learnable.publish(LAST + 1)
    tomorrow = monitoring(config=learnable.problem)

    assert tomorrow.model_version == 2
    assert ("skill_lost", AlertState.RECOVERED) in read_alerts(learnable)


def test_a_poisoned_model_promoted_by_hand_is_rolled_back(serve):
    """Within days the version before it is back, with the evidence, and nothing is trained."""
    serve.promote()
    serve.promote(bias=3.0)
    serve.forecast(N_TRAINED + 1, N_TRAINED + 8)
    serve.publish(N_TRAINED + 9)

    outcome = monitoring(config=serve.problem)

    decision = serve.stores.decisions.history(serve.problem.name)[0]
    assert "worse_than_predecessor" in outcome.findings
    assert outcome.action == "Version 1 is back in service in the place of 2"
    assert serve.stores.registry.champion(serve.problem.name).version == 1
    assert (decision.kind, decision.champion_after) == (DecisionKind.DEMOTION, "1")
    assert decision.figures["n_dates"] == 8
    assert read_actions(serve)[ActionKind.ROLL_BACK] is ActionState.DONE
    assert ActionKind.RETRAIN not in read_actions(serve)


def test_a_run_that_is_killed_in_its_training_leaves_one_of_everything(learnable):
    """The next run finds it dead and trains: one report, one alert, one version, one action."""
    learnable.promote(bias=-3.0)
    learnable.forecast(N_TRAINED + 1, LAST)
    learnable.publish(LAST)
    exit_code = run_elsewhere(monitor_and_die, learnable.stores.settings.home_path, learnable.problem)
    assert (exit_code, read_actions(learnable)[ActionKind.RETRAIN]) == (-signal.SIGKILL, ActionState.RUNNING)

    outcome = monitoring(config=learnable.problem)

    assert outcome.action == "Version 2 was trained, and was promoted"
    assert read_actions(learnable)[ActionKind.RETRAIN] is ActionState.DONE
    assert [kind for kind, _ in read_alerts(learnable)].count("skill_lost") == 1
    assert len(list(Path(outcome.report).parent.glob("*.html"))) == 1
    assert len(learnable.stores.registry.versions(learnable.problem.name)) == 2


def test_a_training_that_fails_is_left_to_the_next_run(serve):
    """The workflow ends with the training's error, and lets go of what it had taken on; people are told once."""
    serve.promote(bias=-3.0)
    serve.forecast(N_TRAINED + 1, LAST)
    serve.publish(LAST)
    rule = serve.problem.backtest.model_copy(update={"initial_steps": 100_000})

    with pytest.raises(DataRefusedError, match="needs more than"):
        monitoring(config=serve.problem.model_copy(update={"backtest": rule}))

    (retrain,) = (each for each in read_history(serve) if each.kind is ActionKind.RETRAIN)
    assert (retrain.state, retrain.n_attempts) == (ActionState.DUE, 1)
    assert "needs more than" in retrain.outcome
    history = serve.stores.alerts.history(serve.problem.name)
    assert [each.alert.scope for each in history if each.alert.kind == FAILED_KIND] == ["workflow training"]


def test_a_monitoring_that_fails_itself_is_told(serve):
    """Nothing was taken on, and no training has told."""
    with pytest.raises(ProblemError, match="lies in the future"):
        monitoring(config=serve.problem, as_of=datetime(2999, 1, 1, tzinfo=UTC))

    history = serve.stores.alerts.history(serve.problem.name)
    assert [each.alert.scope for each in history] == ["workflow monitoring"]


def test_while_another_run_trains_nobody_else_does(serve):
    """It is told what is wrong, and leaves the training to who is at it."""
    serve.promote(bias=-3.0)
    serve.forecast(N_TRAINED + 1, LAST)
    serve.publish(LAST)
    serve.look()
    claim = claim_next(serve.stores, serve.problem.name, "")

    outcome = monitoring(config=serve.problem)

    assert claim.is_training
    assert ("skill_lost" in outcome.findings, outcome.action) == (True, "")
    assert read_actions(serve)[ActionKind.RETRAIN] is ActionState.RUNNING
    assert len(serve.stores.registry.versions(serve.problem.name)) == 1


def test_a_source_that_gives_nothing_is_told_and_stops_nothing(serve):
    """An empty file is a finding; the champion stays, and the next day with data is sound again."""
    serve.promote()
    serve.forecast(N_TRAINED + 1, LAST)
    serve.publish(LAST)
    monitoring(config=serve.problem)
    serve.publish(rows=serve.panel.head(0))

    outcome = monitoring(config=serve.problem, as_of=serve.day(LAST + 1))
    serve.publish(LAST + 2)
    serve.forecast(LAST + 1, LAST + 2)
    mended = monitoring(config=serve.problem)

    assert outcome.findings == ("no_data",)
    assert (mended.findings, mended.action) == ((), "")
    assert read_alerts(serve) == [("no_data", AlertState.RECOVERED)]


def test_without_a_champion_there_is_nothing_to_judge(serve):
    """Somebody is told to train one; there is no report, and no training that nobody asked for."""
    serve.publish(LAST)

    outcome = monitoring(config=serve.problem)

    assert (outcome.findings, outcome.model_version, outcome.report) == (("no_champion",), None, "")
    assert read_alerts(serve) == [("no_champion", AlertState.RAISED)]
    assert serve.stores.registry.versions(serve.problem.name) == []
