"""Workflows in a branch that branch themselves: run locally, flytekit 1.16 goes down every branch of the inner one.

It takes the inner `conditional` for a part of the outer one. A cluster knows no such thing, and is given the same.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from flytekit import FlyteContextManager
from flytekit.core.context_manager import FlyteContext
from flytekit.core.workflow import (
    PythonFunctionWorkflow,
    WorkflowFailurePolicy,
    WorkflowMetadata,
    WorkflowMetadataDefaults,
)


def branch_workflow(function: Callable[..., Any]) -> PythonFunctionWorkflow:
    """Make a workflow of a function, as `workflow` does, that may stand in a branch and have branches."""
    made = BranchWorkflow(
        function,
        metadata=WorkflowMetadata(on_failure=WorkflowFailurePolicy.FAIL_IMMEDIATELY),
        default_metadata=WorkflowMetadataDefaults(interruptible=False),
    )
    update_wrapper(made, function)
    return made


class BranchWorkflow(PythonFunctionWorkflow):
    """A workflow that runs locally as if it stood in no branch."""

    def local_execute(self, ctx: FlyteContext, **kwargs: Any) -> Any:
        """As a workflow's, with the conditions of the caller forgotten."""
        if ctx.execution_state is None:
            return super().local_execute(ctx, **kwargs)
        state = ctx.new_execution_state().with_params(mode=ctx.execution_state.mode)
        builder = ctx.with_execution_state(state)
        builder.in_a_condition = False
        with FlyteContextManager.with_context(builder) as afresh:
            return super().local_execute(afresh, **kwargs)
