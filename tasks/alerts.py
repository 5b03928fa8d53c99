"""Failure that is told: a workflow's handler that takes the inputs of whichever workflow it belongs to.

Flyte wants a handler with every input of its workflow, of the same types; so each workflow has one of its own, made
from the function. It bears no name in a module, which `pyflyte run` would list: a pod finds it by its workflow.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any, Final

from flytekit import Resources, workflow
from flytekit.configuration import SerializationSettings
from flytekit.core.base_task import TaskMetadata, TaskResolverMixin
from flytekit.core.interface import Interface, transform_function_to_interface
from flytekit.core.python_auto_container import PythonAutoContainerTask
from flytekit.core.tracker import TrackedInstance
from flytekit.core.workflow import PythonFunctionWorkflow
from flytekit.types.error.error import FlyteError

from tasks.identity import describe_execution
from tasks.stores import open_stores

NAMING_INPUTS: Final = ("config", "problem")
"""Inputs of a workflow that hold its problem, or the problem's name."""

log = logging.getLogger(__name__)


def alerting_workflow(function: Callable[..., Any]) -> PythonFunctionWorkflow:
    """Make a workflow of a function, with people told when it fails."""
    return workflow(function, on_failure=FailureAlert(function))


class FailureHandlers(TrackedInstance, TaskResolverMixin):
    """How a pod finds the handler of a workflow: as the workflow's own."""

    def name(self) -> str:
        """As Flyte logs it."""
        return "FailureHandlers"

    def loader_args(self, settings: SerializationSettings, t: "FailureAlert") -> list[str]:
        """What the pod's command line says."""
        return ["workflow-module", t.module, "workflow-name", t.workflow_name]

    def load_task(self, loader_args: list[str]) -> "FailureAlert":
        """The handler that the command line names."""
        _, module, _, name = loader_args
        handler: FailureAlert = getattr(import_module(module), name).on_failure
        return handler


failure_handlers: Final = FailureHandlers()


class FailureAlert(PythonAutoContainerTask[None]):
    """The task that tells of a failure; it never fails itself, which would hide why the workflow did."""

    def __init__(self, function: Callable[..., Any]) -> None:
        inputs = transform_function_to_interface(function).inputs_with_defaults
        super().__init__(
            name=f"{function.__module__}.{function.__name__}.alert_failure",
            task_config=None,
            interface=Interface({**inputs, "err": (FlyteError | None, None)}),
            task_resolver=failure_handlers,
            requests=Resources(cpu="500m", mem="1Gi"),
            metadata=TaskMetadata(timeout=timedelta(minutes=10)),
        )
        self.module, self.workflow_name = function.__module__, function.__name__

    def execute(self, **inputs: Any) -> None:
        """Tell people that the workflow failed."""
        err = inputs.pop("err", None)
        tell_workflow_failure(self.workflow_name, inputs, "" if err is None else err.message)


def tell_workflow_failure(workflow_name: str, inputs: dict[str, Any], error: str) -> None:
    """Tell people that a workflow with these inputs failed; whatever goes wrong meanwhile is logged and forgotten."""
    try:
        from loopcast.stores.failures import tell_failure

        named = next(inputs[name] for name in NAMING_INPUTS if name in inputs)
        stores = open_stores()
        link = describe_execution(stores.settings).url
        tell_failure(stores, getattr(named, "name", named), workflow_name, error, link)
    except Exception as exc:
        log.exception("nobody was told that %s failed: %s", workflow_name, type(exc).__name__)
