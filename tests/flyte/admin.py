"""A stand-in for Flyte's admin, which cannot be had here: over gRPC it knows one launch plan and what was started."""

from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from flyteidl.admin import execution_pb2, launch_plan_pb2, workflow_pb2
from flyteidl.core import compiler_pb2, identifier_pb2
from flyteidl.service import admin_pb2_grpc
from flytekit import LaunchPlan
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.tools.translator import get_serializable


class Admin(admin_pb2_grpc.AdminServiceServicer):
    """Answers what a start of a launch plan asks.

    Attributes:
        started: Requests to start executions, in their order, each name once.
    """

    def __init__(self, plan: LaunchPlan) -> None:
        settings = SerializationSettings(
            ImageConfig(Image("default", "loopcast", "v1")), project="team", domain="production", version="v1"
        )
        entities: OrderedDict[Any, Any] = OrderedDict()
        made = get_serializable(entities, settings, plan)
        self.plan = launch_plan_pb2.LaunchPlan(id=made.id.to_flyte_idl(), spec=made.spec.to_flyte_idl())
        template = entities[plan.workflow].template.to_flyte_idl()
        template.ClearField("nodes")  # a start needs the interface alone
        template.ClearField("failure_node")
        self.workflow = workflow_pb2.Workflow(
            id=template.id,
            closure=workflow_pb2.WorkflowClosure(
                compiled_workflow=compiler_pb2.CompiledWorkflowClosure(
                    primary=compiler_pb2.CompiledWorkflow(template=template)
                )
            ),
        )
        self.started: dict[str, execution_pb2.ExecutionCreateRequest] = {}

    def ListLaunchPlans(self, request: Any, context: Any) -> Any:  # noqa: N802  its name in Flyte
        """The launch plan, where its own project is asked."""
        mine = self.plan.id
        is_mine = (request.id.project, request.id.domain, request.id.name) == (mine.project, mine.domain, mine.name)
        return launch_plan_pb2.LaunchPlanList(launch_plans=[self.plan] if is_mine else [])

    def GetLaunchPlan(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The launch plan."""
        return self.plan

    def GetWorkflow(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Its workflow."""
        return self.workflow

    def CreateExecution(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Start an execution, unless there is one of this name."""
        if request.name in self.started:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"execution {request.name} already exists")
        self.started[request.name] = request
        return execution_pb2.ExecutionCreateResponse(id=self._identify(request))

    def GetExecution(self, request: Any, context: Any) -> Any:  # noqa: N802
        """An execution that was started."""
        request = self.started[request.id.name]
        return execution_pb2.Execution(id=self._identify(request), spec=request.spec)

    def _identify(self, request: Any) -> Any:
        return identifier_pb2.WorkflowExecutionIdentifier(
            project=request.project, domain=request.domain, name=request.name
        )


@contextmanager
def serve_admin(plan: LaunchPlan) -> Iterator[tuple[Admin, str]]:
    """An admin and its address, while the block runs."""
    admin, server = Admin(plan), grpc.server(ThreadPoolExecutor(2))
    admin_pb2_grpc.add_AdminServiceServicer_to_server(admin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield admin, f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
