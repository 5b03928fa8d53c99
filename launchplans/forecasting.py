"""When forecasts are made: each evening of a trading day, and whenever somebody asks."""

from flytekit import LaunchPlan
from flytekit.models.common import Labels
from flytekit.models.concurrency import ConcurrencyLimitBehavior, ConcurrencyPolicy

from launchplans.problems import GOOGLE
from launchplans.scheduling import schedule
from workflows.forecasting import backfill, forecasting

# New York closes at 16:00, which is 21:00 UTC in winter and 20:00 in summer; vendors publish adjusted prices of the day
# within two hours. Flyte's clock is UTC, so the summer's run comes an hour later than it could. On a holiday, and where
# the vendor is late, the run finds the step of before, whose forecasts are stored, and adds none; what came late is
# taken up the next evening. Two at once are safe, since a forecast is stored once whoever makes it; but the second
# would only repeat the work.
google_forecasting_daily = schedule(forecasting, GOOGLE, "daily", "0 23 * * 1-5")

forecasting_on_demand = LaunchPlan.get_or_create(
    workflow=forecasting,
    name="forecasting_on_demand",
    labels=Labels({"kind": "forecasting"}),
    # Flyte counts the executions of all problems together: four, of up to four parts each, are what one PostgreSQL
    # bears. A fifth is not queued but skipped, and whoever asked for it asks again.
    concurrency=ConcurrencyPolicy(max_concurrency=4, behavior=ConcurrencyLimitBehavior.SKIP),
)

backfill_on_demand = LaunchPlan.get_or_create(
    workflow=backfill,
    name="backfill_on_demand",
    labels=Labels({"kind": "backfill"}),
    # A backfill may write millions of rows; one at a time leaves the database to the evening's forecasts.
    concurrency=ConcurrencyPolicy(max_concurrency=1, behavior=ConcurrencyLimitBehavior.SKIP),
)
