"""What a cluster is given: every workflow, task and launch plan serializes, to what a file beside this test says."""

import importlib
import json
import pkgutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

from flytekit import LaunchPlan
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.base_task import PythonTask
from flytekit.core.workflow import WorkflowBase
from flytekit.tools.translator import get_serializable
from google.protobuf.json_format import MessageToDict

SNAPSHOT = Path(__file__).with_name("serialized.json")


def test_everything_serializes_as_the_snapshot_says():
    """Interfaces, resources, retries, timeouts, schedules, labels and concurrency are what was agreed.

    After a change on purpose run `python -m tests.flyte.test_serialization`, and read the difference.
    """
    found = describe_everything()

    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def describe_everything() -> dict[str, Any]:
    """The parts of each entity that a person decides, by its name."""
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
    described = {}
    for name, entity in sorted(entities.items()):
        idl = get_serializable(OrderedDict(), settings, entity).to_flyte_idl()
        described[name] = describe(MessageToDict(idl))
    return described


def describe(entity: dict[str, Any]) -> dict[str, Any]:
    """What is worth agreeing on, wherever it stands in the message."""
    wanted = {
        "resources", "retries", "timeout", "interruptible", "schedule", "cronExpression", "labels", "concurrencyPolicy",
        "maxConcurrency", "fixedInputs", "failureNode", "generatesDeck",
    }  # fmt: skip
    template = entity.get("template", entity)
    return {
        "interface": {
            side: sorted(kinds(template.get("interface", {}).get(side, {}))) for side in ("inputs", "outputs")
        },
        "nodes": [node["id"] for node in template.get("nodes", [])],
        "decided": pick(entity, wanted),
    }


def kinds(variables: dict[str, Any]) -> list[str]:
    """Names of the variables of one side of an interface."""
    return list(variables.get("variables", {}))


def pick(value: Any, wanted: set[str]) -> Any:
    """The wanted keys of a nested message, with the paths that lead to them."""
    if isinstance(value, dict):
        found = {key: each if key in wanted else pick(each, wanted) for key, each in value.items()}
        return {key: each for key, each in found.items() if each not in ({}, [], None)}
    if isinstance(value, list):
        return [each for each in (pick(each, wanted) for each in value) if each not in ({}, [], None)]
    return None


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(describe_everything(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
