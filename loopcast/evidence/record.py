"""How evidence is kept: the settings of every model that holds figures, and its moments."""

from datetime import UTC
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, ConfigDict

RECORD: Final = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
"""Immutable, without unknown keys, and in JSON that PostgreSQL takes too: an undefined figure is written "NaN"."""
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
"""A point in time, in UTC wherever it was written."""
