"""Flyte's side of a step: reads, makes one call into `loopcast`, writes."""
