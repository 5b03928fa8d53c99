"""How evidence is kept: the settings of every model that holds figures."""

from typing import Final

from pydantic import ConfigDict

RECORD: Final = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
"""Immutable, without unknown keys, and in JSON that PostgreSQL takes too: an undefined figure is written "NaN"."""
