"""How evidence is kept: the settings of every model that holds figures, and its moments."""

from datetime import UTC
from operator import methodcaller
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, ConfigDict

RECORD: Final = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
"""Immutable, without unknown keys, and in JSON that PostgreSQL takes too: an undefined figure is written "NaN"."""
Moment = Annotated[AwareDatetime, AfterValidator(methodcaller("astimezone", UTC))]
"""A point in time, in UTC wherever it was written.

No function: Flyte registers the type's text, where a function shows an address that is another one in each process; the
same version could not be registered twice.
"""
