"""Flyte's side of a step: reads, makes one call into `loopcast`, writes."""

import logging

# flytekit says for every tuple in a model, each time it is serialized, that attributes cannot be reached into it. No
# workflow reaches into one, and hundreds of such lines would bury those that matter.
logging.getLogger("flytekit").addFilter(
    lambda record: "cannot be converted to a literal type" not in record.getMessage()
)
