"""What an answer to a query is, and who gives it: handed to a worker, so that tests can hand in another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopcast.queries.kinds import Report
from loopcast.stores.opened import Stores
from loopcast.stores.query import Query


@dataclass(frozen=True)
class Answered:
    """What was computed.

    Attributes:
        result: As JSON has it, up to a megabyte; a number that is none becomes null.
        files: What is too large for it, by name; made by `tempfile`, they are deleted with the attempt.
    """

    result: Mapping[str, Any]
    files: Mapping[str, Path] = field(default_factory=dict)


AnswerQuery = Callable[[Stores, Query, Report], Answered]
"""Computes the answer to a query. It runs in a process of its own, so it must be importable by its name.

Raises LoopcastError with what the asker can put right, StoreError where a store was away, and lets through what
`Report` raises.
"""
