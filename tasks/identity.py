"""Who is running: the execution on a cluster, or this very run on a laptop."""

from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from flytekit import FlyteContextManager, current_context

from loopcast.settings import Settings
from loopcast.stores.lineage import read_actor


class Execution(NamedTuple):
    """A Flyte execution; both are empty in a local run, where all executions are called the same."""

    name: str
    url: str


def is_local() -> bool:
    """Whether the present task runs in a process of this machine, and not in a pod of a cluster."""
    state = FlyteContextManager.current_context().execution_state
    return state is None or state.mode is None or state.is_local_execution()


def find_reports(settings: Settings, problem: str) -> Path:
    """Where a task writes a problem's reports: the work folder, or in a pod, which may have none, Flyte's folder."""
    home = settings.home_path if is_local() else Path(current_context().working_directory)
    return home / "reports" / problem


def describe_execution(settings: Settings) -> Execution:
    """The execution that the present task belongs to."""
    if is_local():
        return Execution("", "")
    found = current_context().execution_id
    path = f"projects/{found.project}/domains/{found.domain}/executions/{found.name}"
    return Execution(found.name, f"{settings.console_url.rstrip('/')}/{path}" if settings.console_url else path)


def name_attempt(settings: Settings) -> str:
    """A name that retries of a task share: the execution's, or a new one in a local run."""
    return describe_execution(settings).name or f"local-{uuid4().hex[:12]}"


def name_actor(settings: Settings) -> str:
    """Who is written beside a decision."""
    return read_actor(settings, describe_execution(settings).name)
