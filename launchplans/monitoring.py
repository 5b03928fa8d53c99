"""When the champion is looked at: each evening of a trading day, and whenever somebody asks."""

from flytekit import LaunchPlan
from flytekit.models.common import Labels
from flytekit.models.concurrency import ConcurrencyLimitBehavior, ConcurrencyPolicy

from launchplans.problems import GOOGLE
from launchplans.scheduling import schedule
from workflows.monitoring import monitoring

# Half an hour after the evening's forecasts, which take minutes: so the day's price is an actual, tomorrow's forecast
# is there to be looked for, and whoever is told has the night before the market opens. Still the same date in UTC, by
# which the report is named. Where forecasts come later than that, the next evening takes them up. Two at once are safe,
# since one of them takes on what is due and the other leaves it; but both read the same.
google_monitoring_daily = schedule(monitoring, GOOGLE, "daily", "30 23 * * 1-5")

monitoring_on_demand = LaunchPlan.get_or_create(
    workflow=monitoring,
    name="monitoring_on_demand",
    labels=Labels({"kind": "monitoring"}),
    # Most take a minute, one that trains an hour or two; Flyte counts the executions of all problems together. A fifth
    # is not queued but skipped, and whoever asked for it asks again.
    concurrency=ConcurrencyPolicy(max_concurrency=4, behavior=ConcurrencyLimitBehavior.SKIP),
)
