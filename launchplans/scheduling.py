"""How a problem gets its schedules: a launch plan for each workflow that runs by the clock."""

from typing import Final

from flytekit import CronSchedule, LaunchPlan
from flytekit.core.workflow import WorkflowBase
from flytekit.models.common import Labels
from flytekit.models.concurrency import ConcurrencyLimitBehavior, ConcurrencyPolicy

from loopcast.config import Problem

MOMENT: Final = "as_of"
"""Input of a workflow that is told for which moment it was scheduled; a run that comes late looks at that one."""


def schedule(workflow: WorkflowBase, problem: Problem, cadence: str, cron: str) -> LaunchPlan:
    """The launch plan `PROBLEM_WORKFLOW_CADENCE`, one execution at a time: one that meets another is skipped.

    Args:
        cadence: How often, in a word.
        cron: The same for Flyte, whose clock is UTC: minute, hour, day of month, month, day of week.
    """
    kind = workflow.short_name
    moment = MOMENT if MOMENT in workflow.python_interface.inputs else None
    return LaunchPlan.get_or_create(
        workflow=workflow,
        name=f"{problem.name}_{kind}_{cadence}",
        fixed_inputs={"config": problem},
        schedule=CronSchedule(schedule=cron, kickoff_time_input_arg=moment),
        labels=Labels({"problem": problem.name, "kind": kind}),
        concurrency=ConcurrencyPolicy(max_concurrency=1, behavior=ConcurrencyLimitBehavior.SKIP),
    )
