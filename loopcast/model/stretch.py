"""How far a model may stretch its baseline's intervals: HAR, and a network in PyTorch, as a graph, and in bulk."""

from typing import Final

MAX_LOG_STRETCH: Final = 2.0
"""Intervals are stretched or squeezed by at most e^2, about seven times: beyond lies extrapolation."""
