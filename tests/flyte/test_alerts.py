"""Any workflow tells of its failure, whatever its inputs are, and a pod finds the task that does so."""

import json
from collections import OrderedDict
from datetime import UTC, datetime

import pytest
from flytekit import task
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.tools.module_loader import load_object_from_module
from flytekit.tools.translator import get_serializable

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.stores.conditions import AlertState
from tasks.alerts import alerting_workflow
from tests.integration.receivers import Hook, run_hook
from tests.panels import make_panel_problem


@task
def stumble(is_ready: bool) -> int:
    """One, or an error."""
    if not is_ready:
        raise DataRefusedError("found no rows; needs one")
    return 1


@alerting_workflow
def forecasting_of_test(config: Problem, as_of: datetime, is_ready: bool = False) -> int:
    """A workflow with a problem, a required input, and one with a default."""
    return stumble(is_ready=is_ready)


@alerting_workflow
def reproduction_of_test(problem: str, version: int) -> int:
    """A workflow with a problem's name and no default at all."""
    return stumble(is_ready=False)


@pytest.fixture
def hook(stores, monkeypatch):
    """A receiver that the environment names."""
    with run_hook(Hook()) as hook:
        monkeypatch.setenv("LOOPCAST_ALERT_WEBHOOK_URL", hook.url)
        monkeypatch.setenv("LOOPCAST_ALERT_WEBHOOK_SECRET", "s3cret")
        yield hook


def test_workflows_with_different_inputs_tell_of_their_failures(stores, hook):
    """Each once, with the problem, the workflow and the error; the error itself goes on to who called."""
    for _ in range(2):
        with pytest.raises(DataRefusedError, match="needs one"):
            forecasting_of_test(config=make_panel_problem(name="told"), as_of=datetime(2008, 9, 15, tzinfo=UTC))
    with pytest.raises(DataRefusedError, match="needs one"):
        reproduction_of_test(problem="told", version=1)

    bodies = [json.loads(body) for _, body in hook.requests]
    assert [body["subject"] for body in bodies] == ["forecasting_of_test", "reproduction_of_test"]
    assert bodies[0]["sentence"].startswith("The forecasting_of_test workflow failed: ")
    assert bodies[0]["sentence"].endswith("found no rows; needs one")
    found = {episode.alert.subject: episode.alert for episode in stores.alerts.history("told")}
    assert {subject: (alert.n_seen, alert.state) for subject, alert in found.items()} == {
        "forecasting_of_test": (2, AlertState.RAISED),
        "reproduction_of_test": (1, AlertState.RAISED),
    }


def test_a_workflow_that_succeeds_tells_nothing(stores, hook):
    """The handler runs on failure only."""
    forecasting_of_test(config=make_panel_problem(name="fine"), as_of=datetime(2008, 9, 15, tzinfo=UTC), is_ready=True)

    assert hook.requests == []


def test_a_channel_that_is_down_does_not_hide_the_error(stores, hook, monkeypatch):
    """The workflow ends with its own error, and the message waits."""
    monkeypatch.setenv("LOOPCAST_ALERT_WEBHOOK_URL", "http://127.0.0.1:1/")

    with pytest.raises(DataRefusedError, match="needs one"):
        reproduction_of_test(problem="waiting", version=1)

    (episode,) = stores.alerts.history("waiting")
    assert [(each.channel, each.state) for each in episode.deliveries] == [("webhook", "pending")]


def test_settings_that_are_wrong_do_not_hide_the_error(stores, monkeypatch, caplog):
    """Nobody can be told then, which the log says."""
    monkeypatch.setenv("LOOPCAST_ALERT_SLACK_URL", "http://example.org/t0ken")

    with pytest.raises(DataRefusedError, match="needs one"):
        reproduction_of_test(problem="untold", version=1)

    assert "nobody was told that reproduction_of_test failed: SettingsError" in caplog.messages
    assert "t0ken" not in caplog.text


@pytest.mark.parametrize("flow", [forecasting_of_test, reproduction_of_test])
def test_a_pod_finds_the_handler_by_its_workflow(flow):
    """The command that the cluster is given leads to the same task, and hands it every input and the error."""
    image = Image(name="default", fqn="registry/loopcast", tag="test")
    settings = SerializationSettings(
        image_config=ImageConfig(default_image=image, images=[image]), version="test", env={}
    )

    entities = OrderedDict()
    spec = get_serializable(entities, settings, flow)
    (handler,) = (
        each
        for each in entities.values()
        if getattr(each, "template", None) and "alert_failure" in str(each.template.id)
    )
    arguments = handler.template.container.args
    resolver = load_object_from_module(arguments[arguments.index("--resolver") + 1])

    loaded = resolver.load_task(arguments[arguments.index("--") + 1 :])

    assert loaded is flow.on_failure
    assert spec.template.failure_node.task_node.reference_id.name == handler.template.id.name == flow.on_failure.name
    bound = {each.var: each.binding for each in spec.template.failure_node.inputs}
    given = {name: binding.promise.var for name, binding in bound.items() if binding.promise}
    assert given == {name: name for name in flow.python_interface.inputs}
    assert set(handler.template.interface.inputs) == {*given, "err"}
