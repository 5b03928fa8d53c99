"""What all answers share."""

from datetime import UTC, datetime

import numpy as np
from pydantic import BaseModel, ConfigDict

Known = float | None
"""A figure, null where it could not be known."""


class Answer(BaseModel):
    """Part of an answer: immutable, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def as_utc(instant: np.datetime64) -> datetime:
    """An instant of an array as an answer shows it."""
    moment: datetime = instant.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)
