"""Starts a training for somebody who asks without a shell: on the Flyte that the environment names, else here.

`python -m launchplans.on_demand PROBLEM.yaml NAME`, from the root of the checkout. Lines of JSON on stdout tell how it
goes. A training here ends with whoever holds the other end of stdin, and with it all processes that it started.
"""

import json
import logging
import os
import re
import signal
import sys
import threading
from typing import Final

from loopcast.config import Problem, load_problem
from loopcast.errors import LoopcastError
from loopcast.settings import Settings, read_settings

LAUNCH_PLAN: Final = "training_on_demand"
FLYTE_VARIABLES: Final = ("FLYTE_PLATFORM_URL", "FLYTECTL_CONFIG")
"""Each names a Flyte, as flytekit's `Config.auto` reads it."""
INVOKING: Final = re.compile(r"Invoking tasks\.\w+\.(\w+)")
"""How flytekit's log says that a task of a local run begins."""
WRAPPED: Final = re.compile(r"^Error encountered while executing '[^']*':\s*")
"""What flytekit puts before the message of an error."""


class TaskTeller(logging.Handler):
    """Tells of each task that begins."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        if found := INVOKING.match(record.getMessage()):
            tell(task=found[1])


def main() -> None:
    """Start what the command line names; an error that a person can put right is one sentence."""
    path, name = sys.argv[1:]
    if os.getsid(0) == os.getpid():  # whoever asked made it the head of a group of its own
        threading.Thread(target=_end_with_asker, daemon=True).start()
    try:
        problem, settings = load_problem(path), read_settings()
        if any(os.environ.get(variable) for variable in FLYTE_VARIABLES):
            tell(**launch(problem, name, settings))
        else:
            tell(**train_here(problem))
    except LoopcastError as exc:
        tell(error=WRAPPED.sub("", str(exc)))
        sys.exit(1)


def train_here(problem: Problem) -> dict[str, object]:
    """What a training in this process led to."""
    from workflows.training import training  # seconds, that a launch on a cluster need not wait for

    log = logging.getLogger("flytekit")
    log.handlers = [TaskTeller()]
    log.setLevel(logging.INFO)
    return {"outcome": training(config=problem).model_dump()}


def launch(problem: Problem, name: str, settings: Settings) -> dict[str, object]:
    """Id and address of the execution of this name, which is started unless it was before."""
    from flytekit.configuration import Config
    from flytekit.exceptions.base import FlyteException
    from flytekit.remote import FlyteRemote

    remote = FlyteRemote(Config.auto(), settings.flyte_project, settings.flyte_domain)
    try:
        plan = remote.fetch_launch_plan(name=LAUNCH_PLAN)
        execution = remote.execute(
            plan, {"config": problem, "tuning_trials": 0}, execution_name=name, type_hints={"config": Problem}
        )
    except FlyteException as exc:
        raise LoopcastError(
            f"Flyte did not start {LAUNCH_PLAN} of {settings.flyte_project}/{settings.flyte_domain}: "
            f"{' '.join(str(exc).split())[:300]}; register the launch plans there, or correct "
            "LOOPCAST_FLYTE_PROJECT and LOOPCAST_FLYTE_DOMAIN"
        ) from exc
    url = remote.generate_console_url(execution)
    if settings.console_url:
        path = f"projects/{settings.flyte_project}/domains/{settings.flyte_domain}/executions/{execution.id.name}"
        url = f"{settings.console_url.rstrip('/')}/{path}"
    return {"execution_id": execution.id.name, "execution_url": url}


def tell(**event: object) -> None:
    """Write one line for whoever asked."""
    print(json.dumps(event), flush=True)  # noqa: T201  its only output


def _end_with_asker() -> None:
    """Wait for the end of stdin, and end the whole group of processes."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
