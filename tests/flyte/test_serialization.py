"""What a cluster is given: every workflow, task and launch plan serializes, to what a file beside this test says."""

import base64
import importlib
import json
import pkgutil
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any, get_args

import msgpack
from flytekit import LaunchPlan
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.base_task import PythonTask
from flytekit.core.workflow import WorkflowBase
from flytekit.tools.translator import get_serializable
from google.protobuf.json_format import MessageToDict

SNAPSHOT = Path(__file__).with_name("serialized.json")


def test_everything_serializes_as_the_snapshot_says():
    """Interfaces with their types, wiring, branches, resources, retries, schedules and fixed inputs are as agreed.

    After a change on purpose run `python -m tests.flyte.test_serialization`, and read the difference.
    """
    found = describe_everything()

    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_nothing_that_is_registered_differs_from_process_to_process():
    """The same version can be registered again, as after a lost connection: Flyte refuses it where anything differs."""
    addresses = {
        name: found
        for name, (_, idl) in serialize_everything().items()
        if (found := re.findall(r".* at 0x.*", str(idl)))
    }

    assert addresses == {}


def describe_everything() -> dict[str, Any]:
    """The parts of each entity that a person decides, by its name."""
    return {name: describe(MessageToDict(idl), entity) for name, (entity, idl) in serialize_everything().items()}


def serialize_everything() -> dict[str, tuple[Any, Any]]:
    """Each entity and the message that it serializes to, by its name."""
    image = Image(name="default", fqn="registry/loopcast", tag="test")
    settings = SerializationSettings(
        image_config=ImageConfig(default_image=image, images=[image]),
        project="loopcast", domain="development", version="test", env={},
    )  # fmt: skip
    entities: dict[str, Any] = {}
    for package in ("tasks", "workflows", "launchplans"):
        root = importlib.import_module(package)
        for module in pkgutil.iter_modules(root.__path__, f"{package}."):
            for entity in vars(importlib.import_module(module.name)).values():
                if isinstance(entity, PythonTask | WorkflowBase | LaunchPlan):
                    entities[entity.name] = entity
    return {
        name: (entity, get_serializable(OrderedDict(), settings, entity).to_flyte_idl())
        for name, entity in sorted(entities.items())
    }


def describe(message: dict[str, Any], entity: Any) -> dict[str, Any]:
    """What is worth agreeing on of an entity and the message that it serializes to."""
    wanted = {
        "resources", "retries", "timeout", "interruptible", "schedule", "cronExpression", "labels", "concurrencyPolicy",
        "maxConcurrency", "fixedInputs", "generatesDeck",
    }  # fmt: skip
    template = message.get("template", message)
    interface, native = template.get("interface", {}), entity.python_interface
    nodes = {node["id"]: describe_node(node) for node in template.get("nodes", [])}
    failure = template.get("failureNode")
    return {
        "inputs": name_types(interface.get("inputs", {}), native.inputs),
        "outputs": name_types(interface.get("outputs", {}), native.outputs),
        "nodes": nodes | ({"on failure": describe_node(failure)} if failure else {}),
        "decided": pick(message, wanted),
    }


def name_types(side: dict[str, Any], native: dict[str, Any]) -> dict[str, str]:
    """The type of each variable of one side of an interface."""
    variables = side.get("variables", {})
    return {name: name_type(variable["type"], native[name]) for name, variable in variables.items()}


def name_type(kind: dict[str, Any], native: Any) -> str:
    """A type in a word: a model by its name, a frame by that of its schema, which Flyte itself is not told."""
    if "unionType" in kind:
        return " | ".join(name_type(variant, None) for variant in kind["unionType"]["variants"])
    if "collectionType" in kind:
        return f"list of {name_type(kind['collectionType'], None)}"
    if "structuredDatasetType" in kind:
        return f"frame of {get_args(native)[0].__name__}"
    if "blob" in kind:
        return f"files {kind['blob'].get('dimensionality', 'SINGLE')}"
    return kind.get("metadata", {}).get("title") or kind.get("simple", "NONE")


def describe_node(node: dict[str, Any]) -> str:
    """What a node runs and where its inputs come from, or between what it chooses and by which condition."""
    if "branchNode" in node:
        choice = node["branchNode"]["ifElse"]
        cases = [describe_case(case) for case in (choice["case"], *choice.get("other", []))]
        return f"{'; else '.join(cases)}; else: {describe_node(choice['elseNode'])}"
    return f"{find_name(node)}({', '.join(describe_input(each) for each in node.get('inputs', []))})"


def describe_case(case: dict[str, Any]) -> str:
    """One condition of a choice, and what is run where it holds."""
    condition = case["condition"]["comparison"]
    (value,) = condition["rightValue"]["primitive"].values()
    test = f"{condition['leftValue']['var']} {condition.get('operator', 'EQ')} {value}"
    return f"if {test}: {describe_node(case['thenNode'])}"


def find_name(node: dict[str, Any]) -> str:
    """The task or workflow that a node runs, with how many run at once where it is mapped over a list."""
    if "arrayNode" in node:
        limit = node["arrayNode"].get("parallelism", "all")
        return f"{limit} at once of {find_name(node['arrayNode']['node'])}"
    reference = node["taskNode"]["referenceId"] if "taskNode" in node else node["workflowNode"]["subWorkflowRef"]
    return re.sub(r"map_(\w+)_[0-9a-f]{32}-arraynode", r"\1", reference["name"])  # a hash of the inputs' names


def describe_input(given: dict[str, Any]) -> str:
    """An input's name and what it is bound to: an output of another node, an input of the workflow, or a constant."""
    promise = given["binding"].get("promise")
    if promise is None:
        return f"{given['var']}=constant"
    return f"{given['var']}={promise.get('nodeId', 'input')}.{promise['var']}"


def pick(value: Any, wanted: set[str]) -> Any:
    """The wanted keys of a nested message, with the paths that lead to them."""
    if isinstance(value, dict):
        found = {key: decode(each) if key in wanted else pick(each, wanted) for key, each in value.items()}
        return {key: each for key, each in found.items() if each not in ({}, [], None)}
    if isinstance(value, list):
        return [each for each in (pick(each, wanted) for each in value) if each not in ({}, [], None)]
    return None


def decode(value: Any) -> Any:
    """The same with models, which Flyte packs into bytes, as a person can read them."""
    if isinstance(value, dict):
        if value.get("tag") == "msgpack":
            return msgpack.unpackb(base64.b64decode(value["value"]))
        return {key: decode(each) for key, each in value.items()}
    return [decode(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(describe_everything(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
