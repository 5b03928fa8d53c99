"""When models are trained: every week for what moves every day, and whenever somebody asks."""

from flytekit import LaunchPlan
from flytekit.models.common import Labels
from flytekit.models.concurrency import ConcurrencyLimitBehavior, ConcurrencyPolicy

from launchplans.problems import GOOGLE
from launchplans.scheduling import schedule
from workflows.reproduction import reproduction
from workflows.training import training

# Saturday, when the week's prices are in and nobody waits for a forecast. More often gains nothing: volatility's
# dynamics change over years, and a model refitted twice a year has the skill that docs/benchmarks.md shows. Two at once
# would be safe, since promotion holds a lock; but both read the same prices and make the same model, so that the second
# only wastes the work. A Saturday that is skipped is made up for by the next.
google_training_weekly = schedule(training, GOOGLE, "weekly", "0 6 * * 6")

training_on_demand = LaunchPlan.get_or_create(
    workflow=training,
    name="training_on_demand",
    labels=Labels({"kind": "training"}),
    # Different problems may train side by side, as many as a small cluster bears: four take 8 CPUs. Flyte counts the
    # executions of all problems together; a fifth is not queued but skipped, and whoever asked for it asks again.
    concurrency=ConcurrencyPolicy(max_concurrency=4, behavior=ConcurrencyLimitBehavior.SKIP),
)

reproduction_on_demand = LaunchPlan.get_or_create(
    workflow=reproduction, name="reproduction_on_demand", labels=Labels({"kind": "reproduction"})
)
