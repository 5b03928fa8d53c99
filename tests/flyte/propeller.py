"""A stand-in for Flyte's propeller, which cannot be had here: it walks what a cluster is given, and runs its pods.

Each task runs by the command that was registered, as a process with an empty folder and a home of its own; it shares
with the others the bucket, here a folder, and what the environment names. What nodes mean stands in flyteidl's
core/workflow.proto; here is as much of it as the workflows use.
"""

import operator
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from flyteidl.core import condition_pb2, errors_pb2, literals_pb2, types_pb2
from flytekit import FlyteContextManager, LaunchPlan
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import LiteralMap
from flytekit.tools.translator import get_serializable

Literals = dict[str, literals_pb2.Literal]

ROOT: Final = Path(__file__).parents[2]
IMAGE: Final = Image("default", "registry/loopcast", "test")
SETTINGS: Final = SerializationSettings(
    ImageConfig(IMAGE, [IMAGE]), project="team", domain="production", version="v1", env={}
)
TESTS: Final = {
    condition_pb2.ComparisonExpression.EQ: operator.eq,
    condition_pb2.ComparisonExpression.GT: operator.gt,
}
"""Comparisons that the workflows' conditions make."""


class PodFailedError(Exception):
    """A task failed for good, with the message that its pod left."""


@dataclass
class Cluster:
    """Runs launch plans; `commands` keeps what the pods ran, by the folder of each, in the order of their start."""

    root: Path
    environment: dict[str, str]
    commands: dict[Path, list[str]] = field(default_factory=dict)

    def execute(self, plan: LaunchPlan, name: str, **inputs: Any) -> Any:
        """The only output of an execution of this name."""
        entities: OrderedDict[Any, Any] = OrderedDict()
        spec = get_serializable(entities, SETTINGS, plan).to_flyte_idl().spec
        templates = [made.to_flyte_idl() for made in entities.values()]
        found = [
            each
            for made in templates
            if hasattr(made, "template")
            for each in (made.template, *getattr(made, "sub_workflows", ()))
        ]
        execution = Execution(self, name, {each.id.name: each for each in found})
        context, interface = FlyteContextManager.current_context(), plan.workflow.python_interface
        given = TypeEngine.dict_to_literal_map(context, inputs, interface.inputs).to_flyte_idl().literals
        defaults = {var: each.default for var, each in spec.default_inputs.parameters.items()}
        outputs = execution.run_workflow(
            spec.workflow_id.name, {**defaults, **given, **spec.fixed_inputs.literals}, self.root / "bucket" / name
        )
        literals = LiteralMap.from_flyte_idl(literals_pb2.LiteralMap(literals=outputs))
        return next(iter(TypeEngine.literal_map_to_kwargs(context, literals, interface.outputs).values()))


@dataclass
class Execution:
    """One execution: templates of tasks and workflows by name, walked from the first node to the last."""

    cluster: Cluster
    name: str
    templates: dict[str, Any]

    def run_workflow(self, name: str, inputs: Literals, place: Path) -> Literals:
        """The outputs of a workflow; its failure node runs where it fails."""
        template, done = self.templates[name], {"": inputs}
        waiting = list(template.nodes)
        try:
            while waiting:
                ready = next(node for node in waiting if all(each in done for each in find_upstream(node)))
                waiting.remove(ready)
                done[ready.id] = self.run_node(ready, done, place / ready.id)
        except PodFailedError as failed:
            if template.HasField("failure_node"):
                node = template.failure_node
                self.run_task(node.task_node.reference_id.name, bind(node, done) | word_error(failed), place / node.id)
            raise
        return {each.var: resolve(each.binding, done) for each in template.outputs}

    def run_node(self, node: Any, done: dict[str, Literals], place: Path) -> Literals:
        """The outputs of a node of any kind."""
        given = bind(node, done)
        match node.WhichOneof("target"):
            case "branch_node":
                return self.run_node(choose(node.branch_node.if_else, given), done, place)
            case "workflow_node":
                return self.run_workflow(node.workflow_node.sub_workflow_ref.name, given, place)
        return self.run_task(node.task_node.reference_id.name, given, place)

    def run_task(self, name: str, given: Literals, place: Path) -> Literals:
        """The outputs that the pod of a task wrote; another attempt where it says that one may help."""
        template = self.templates[name]
        assert set(given) == set(template.interface.inputs.variables), "inputs are those of the interface"
        place.mkdir(parents=True)
        (place / "inputs.pb").write_bytes(literals_pb2.LiteralMap(literals=given).SerializeToString())
        for attempt in range(template.metadata.retries.retries + 1):
            folder = place / str(attempt)
            for part in ("raw", "cwd", "home"):
                (folder / part).mkdir(parents=True)
            previous = str(place / str(attempt - 1) / "checkpoint") if attempt else ""
            places = {
                "{{.input}}": str(place / "inputs.pb"),
                "{{.outputPrefix}}": str(folder / "out"),
                "{{.rawOutputDataPrefix}}": str(folder / "raw"),
                "{{.checkpointOutputPrefix}}": str(folder / "checkpoint"),
                "{{.prevCheckpointPrefix}}": previous,
            }
            self.run_pod([places.get(each, each) for each in template.container.args], folder)
            if (folder / "out" / "error.pb").exists():
                error = errors_pb2.ErrorDocument.FromString((folder / "out" / "error.pb").read_bytes()).error
                if error.kind == errors_pb2.ContainerError.RECOVERABLE:
                    continue
                raise PodFailedError(error.message)
            if not template.interface.outputs.variables:
                return {}
            return dict(literals_pb2.LiteralMap.FromString((folder / "out" / "outputs.pb").read_bytes()).literals)
        raise PodFailedError(error.message)

    def run_pod(self, command: list[str], folder: Path) -> None:
        """Run a command where nothing is but what Flyte and the cluster's owner put there."""
        self.cluster.commands[folder] = command
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder / "home"),
            "LOOPCAST_HOME": str(folder / "home" / "work"),
            "OMP_NUM_THREADS": "1",
            "FLYTE_INTERNAL_EXECUTION_PROJECT": "team",
            "FLYTE_INTERNAL_EXECUTION_DOMAIN": "production",
            "FLYTE_INTERNAL_EXECUTION_ID": self.name,
        }
        done = subprocess.run(
            command,
            cwd=folder / "cwd",
            env=environment | self.cluster.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def find_upstream(node: Any) -> set[str]:
    """Nodes that a node waits for, those of its branches as well."""
    found = {*node.upstream_node_ids, *(each.binding.promise.node_id for each in node.inputs)}
    return found.union(*(find_upstream(branch) for branch in find_branches(node.branch_node.if_else)))


def find_branches(choice: Any) -> Iterator[Any]:
    """The nodes between which a branch node chooses."""
    if choice.HasField("case"):
        yield from (each.then_node for each in (choice.case, *choice.other))
        yield choice.else_node


def choose(choice: Any, given: Literals) -> Any:
    """The node of the first condition that holds."""
    for each in (choice.case, *choice.other):
        test = each.condition.comparison
        left, right = given[test.left_value.var].scalar.primitive, test.right_value.primitive
        if TESTS[test.operator](*(getattr(side, side.WhichOneof("value")) for side in (left, right))):
            return each.then_node
    return choice.else_node


def bind(node: Any, done: dict[str, Literals]) -> Literals:
    """The inputs of a node."""
    return {each.var: resolve(each.binding, done) for each in node.inputs}


def resolve(binding: Any, done: dict[str, Literals]) -> literals_pb2.Literal:
    """A constant, or the output of a node that is done."""
    if binding.WhichOneof("value") == "scalar":
        return literals_pb2.Literal(scalar=binding.scalar)
    assert not binding.promise.attr_path, "workflows reach into no model"
    return done[binding.promise.node_id][binding.promise.var]


def word_error(failed: PodFailedError) -> Literals:
    """What a failure node is given as `err`: one choice of an optional error."""
    error = literals_pb2.Scalar(error=types_pb2.Error(failed_node_id="fn0", message=str(failed)))
    kind = types_pb2.LiteralType(simple=types_pb2.SimpleType.ERROR, structure=types_pb2.TypeStructure(tag="FlyteError"))
    union = literals_pb2.Union(value=literals_pb2.Literal(scalar=error), type=kind)
    return {"err": literals_pb2.Literal(scalar=literals_pb2.Scalar(union=union))}
