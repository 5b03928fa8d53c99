"""A pod of a cluster, as far as a task can tell."""

from collections.abc import Iterator
from contextlib import contextmanager

from flytekit import FlyteContextManager
from flytekit.core.context_manager import ExecutionState


@contextmanager
def pod() -> Iterator[None]:
    """What Flyte sets up in a pod before it calls a task."""
    context = FlyteContextManager.current_context()
    state = context.execution_state.with_params(mode=ExecutionState.Mode.TASK_EXECUTION)
    with FlyteContextManager.with_context(context.with_execution_state(state)):
        yield
