"""What can be made to go wrong in a replay: in the source, in the forecasts, and by a person's hand."""

from datetime import date
from enum import StrEnum
from typing import Final

import numpy as np
import pandas as pd
from pydantic import model_validator

from loopcast.cells import read_cells, read_numbers, value_columns
from loopcast.config import Problem
from loopcast.errors import ProblemError
from loopcast.sections.base import PositiveFloat, PositiveInt, Section
from loopcast.typing import Bools


class FaultKind(StrEnum):
    """How something goes wrong."""

    UNADJUSTED_SPLIT = "unadjusted_split"
    """A share split: from its day on the source has the new prices, and those before are not adjusted."""
    FROZEN_FEED = "frozen_feed"
    """Every new row repeats the last one before the fault."""
    MISSING_DAYS = "missing_days"
    """No row comes in."""
    BIASED_FORECASTS = "biased_forecasts"
    """The version then in service forecasts too high from now on, wherever it is used."""
    POISONED_MODEL = "poisoned_model"
    """Somebody puts a version into service past the gate, whose intervals are far too narrow."""


IN_SOURCE: Final = frozenset({FaultKind.UNADJUSTED_SPLIT, FaultKind.FROZEN_FEED, FaultKind.MISSING_DAYS})
"""Faults that end when somebody puts the source right, all of it, also the rows of meanwhile."""
SIZES: Final = {FaultKind.UNADJUSTED_SPLIT: 2.0, FaultKind.BIASED_FORECASTS: 0.5, FaultKind.POISONED_MODEL: 0.4}
"""Shares that one becomes; EWMA deviations over the horizon; the part that is left of an interval's width."""


class Fault(Section):
    """One thing that goes wrong on a day."""

    kind: FaultKind
    begin: date
    """The first trading day on or after it."""
    days: PositiveInt = 8
    """Trading days until the source is put right; the other kinds last until the loop ends them."""
    size: PositiveFloat | None = None
    """Default: as in `SIZES`."""
    series_id: str | None = None
    """Of the source; default: the first that is forecast."""

    @model_validator(mode="after")
    def _has_use_for_size(self) -> "Fault":
        if self.size is not None and self.kind not in SIZES:
            raise ValueError(f"found size: {self.size} of {self.kind}, which has none; remove it")
        return self

    @property
    def amount(self) -> float:
        """The size, or the default of the kind."""
        return SIZES.get(self.kind, 0.0) if self.size is None else self.size

    @property
    def is_in_source(self) -> bool:
        """Whether the source is at fault, and not a model."""
        return self.kind in IN_SOURCE


class Faults(Section):
    """All that goes wrong in a replay, in any order."""

    faults: tuple[Fault, ...] = ()


def describe_fault(fault: Fault) -> str:
    """What goes wrong, in words."""
    match fault.kind:
        case FaultKind.UNADJUSTED_SPLIT:
            return f"A split of {fault.amount:g} for one, not adjusted for {fault.days} days"
        case FaultKind.FROZEN_FEED:
            return f"The feed repeats one row for {fault.days} days"
        case FaultKind.MISSING_DAYS:
            return f"No row comes in for {fault.days} days"
        case FaultKind.BIASED_FORECASTS:
            return f"The model in service forecasts {fault.amount:g} deviations too high"
        case FaultKind.POISONED_MODEL:
            return f"A model is put into service by hand whose intervals are {fault.amount:g} times as wide"


def spoil_source(raw: pd.DataFrame, fault: Fault, problem: Problem) -> pd.DataFrame:
    """The source as it looks while the fault lasts; it is not changed itself.

    Args:
        raw: As `stores.sources.read_source` returns it.

    Raises:
        ProblemError: The source lacks the series.
    """
    rows, _, _ = read_cells(raw, problem)
    name = fault.series_id or (problem.forecast_series or (rows["series_id"].iloc[0],))[0]
    is_series = (rows["series_id"] == name).to_numpy()
    if not is_series.any():
        known = ", ".join(sorted(map(str, rows["series_id"].dropna().unique())))
        raise ProblemError(f"{problem.name}: a fault of series {name}, which the source lacks; found {known}")
    dates = rows["timestamp_utc"].dt.tz_convert(problem.time_zone).dt.date.to_numpy()
    is_later: Bools = np.array([day is not pd.NaT and day >= fault.begin for day in dates], dtype=np.bool_)
    is_spoilt = is_series & is_later
    if fault.kind is FaultKind.MISSING_DAYS:
        return raw[~is_spoilt].reset_index(drop=True)
    spoilt = raw.copy()
    columns = set(value_columns(problem).values())
    if fault.kind is FaultKind.FROZEN_FEED:
        before = np.flatnonzero(is_series & ~is_later)
        if len(before):
            last = int(before[np.argmax(rows["timestamp_utc"].iloc[before].to_numpy())])
            for column in columns:
                spoilt[column] = raw[column].mask(is_spoilt, raw[column].iloc[last])
        return spoilt
    for column in columns - {each.column for each in problem.columns.covariates}:
        numbers, _ = read_numbers(raw[column])
        spoilt[column] = np.where(is_spoilt, numbers / fault.amount, numbers)
    return spoilt
