"""When models are trained: every week for what moves every day, and whenever somebody asks."""

from flytekit import CronSchedule, LaunchPlan
from flytekit.models.common import Labels
from flytekit.models.concurrency import ConcurrencyLimitBehavior, ConcurrencyPolicy

from launchplans.problems import GOOGLE
from workflows.reproduction import reproduction
from workflows.training import training

ONE_AT_A_TIME = ConcurrencyPolicy(max_concurrency=1, behavior=ConcurrencyLimitBehavior.SKIP)
"""Two trainings of one problem would race for the same alias; the second finds nothing new, so it is skipped."""

google_training_weekly = LaunchPlan.get_or_create(
    workflow=training,
    name="google_training_weekly",
    fixed_inputs={"config": GOOGLE},
    # Saturday, when the week's prices are in and nobody waits for a forecast. More often gains nothing: volatility's
    # dynamics change over years, and a model refitted twice a year has the skill that docs/benchmarks.md shows.
    schedule=CronSchedule(schedule="0 6 * * 6"),
    labels=Labels({"problem": "google", "kind": "training"}),
    concurrency=ONE_AT_A_TIME,
)

training_on_demand = LaunchPlan.get_or_create(
    workflow=training,
    name="training_on_demand",
    labels=Labels({"kind": "training"}),
    concurrency=ConcurrencyPolicy(max_concurrency=4),  # different problems may train side by side
)

reproduction_on_demand = LaunchPlan.get_or_create(
    workflow=reproduction, name="reproduction_on_demand", labels=Labels({"kind": "reproduction"})
)
