"""The service from Python: `from loopcast.client import Client`. What a program that asks needs, and nothing else."""

from loopcast.client.client import Client
from loopcast.client.errors import LoopcastClientError

__all__ = ["Client", "LoopcastClientError"]
