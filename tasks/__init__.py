"""Flyte's side of a step: reads, makes one call into `loopcast`, writes."""

import logging

MUTED = ("cannot be converted to a literal type", "pydantic.types.AwareDatetime", "uuid.UUID")
"""What flytekit says of tuples, times and ids inside models, each time one is serialized: that workflows cannot reach
into them. None does, and hundreds of such lines would bury those that matter."""

logging.getLogger("flytekit").addFilter(lambda record: not any(text in record.getMessage() for text in MUTED))
