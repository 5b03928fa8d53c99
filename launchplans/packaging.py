"""When a version is packaged: whenever somebody wants to serve it where the registry is not."""

from flytekit import LaunchPlan
from flytekit.models.common import Labels

from workflows.packaging import packaging

packaging_on_demand = LaunchPlan.get_or_create(
    workflow=packaging, name="packaging_on_demand", labels=Labels({"kind": "packaging"})
)
