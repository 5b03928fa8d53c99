"""Schedules of a problem that nobody here has heard of."""

from collections import OrderedDict

import pytest
from flytekit.tools.translator import get_serializable

from launchplans.scheduling import schedule
from tests.flyte.propeller import SETTINGS
from tests.panels import make_panel_problem
from workflows.forecasting import forecasting
from workflows.monitoring import monitoring
from workflows.training import training


@pytest.mark.parametrize(
    ("workflow", "moment"),
    [(forecasting, ""), (monitoring, "as_of"), (training, "")],
    ids=["forecasting", "monitoring", "training"],
)
def test_a_schedule_leaves_nothing_to_ask(workflow, moment):
    """The problem is fixed, the moment is the clock's where there is one, and what meets an execution is skipped."""
    plan = schedule(workflow, make_panel_problem(name="demand"), "daily", "30 5 * * *")

    found = get_serializable(OrderedDict(), SETTINGS, plan).to_flyte_idl()
    spec, clock = found.spec, found.spec.entity_metadata.schedule
    asked = {name for name, each in spec.default_inputs.parameters.items() if each.required}
    assert found.id.name == f"demand_{workflow.short_name}_daily"
    assert (clock.cron_schedule.schedule, clock.kickoff_time_input_arg) == ("30 5 * * *", moment)
    assert b"Simulated prices" in spec.fixed_inputs.literals["config"].SerializeToString()
    assert asked == set()
    assert (spec.concurrency_policy.max, dict(spec.labels.values)["problem"]) == (1, "demand")
