"""The champion as queries read it, with the newest history of its problem."""

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.features import Design
from loopcast.model.served import ServedModel, latest_origins
from loopcast.typing import Floats32


@dataclass(frozen=True)
class Champion:
    """The model in service and a history to ask it about.

    Attributes:
        version: Its number.
        trained_until_utc: Last step of the panel that it was trained on.
        model: The model, opened.
        folder: That it was opened from.
        history: The newest snapshot, a frame that keeps `contracts.Panel`.
        design: Of that history.
        background: Mean of each feature over the ready rows, shape (F,).
    """

    version: int
    trained_until_utc: datetime
    model: ServedModel
    folder: Path
    history: pd.DataFrame
    design: Design
    background: Floats32

    @property
    def problem(self) -> Problem:
        """That it was trained for."""
        return self.model.problem

    @cached_property
    def latest(self) -> dict[str, int]:
        """Row of the last step of each series that is forecast and ready, by series."""
        return latest_origins(self.design, self.problem)

    def find_latest(self, series_id: str) -> int:
        """Row of the last step of a series.

        Raises:
            DataRefusedError: It is not forecast.
        """
        if series_id not in self.latest:
            names = {name.casefold(): name for name in self.latest}
            near = difflib.get_close_matches(series_id.casefold(), names, n=1)
            hint = f"did you mean {names[near[0]]}? " if near else ""
            raise DataRefusedError(
                f"{self.problem.name}: found series {series_id}, which is not forecast; {hint}take one of "
                f"GET /api/v1/problems/{self.problem.name}/series"
            )
        return self.latest[series_id]


def as_moment(instant: np.datetime64) -> datetime:
    """An instant of an array, in UTC."""
    moment: datetime = instant.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)
