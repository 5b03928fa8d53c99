"""What monitoring can find, each in a sentence for the person who is told."""

from datetime import timedelta
from enum import StrEnum
from typing import Final

from pydantic import BaseModel

from loopcast.evidence.record import RECORD


class Severity(StrEnum):
    """How much a condition asks for."""

    NOTICE = "notice"
    """Stands in the report."""
    ALERT = "alert"
    """Somebody is told."""


class Finding(StrEnum):
    """What was found; together with the series it names one condition, which is told once until it has passed."""

    NO_CHAMPION = "no_champion"
    NO_DATA = "no_data"
    DATA_REFUSED = "data_refused"
    NO_FORECASTS = "no_forecasts"
    NO_LABELS = "no_labels"
    MISSING_STEPS = "missing_steps"
    LATE_SERIES = "late_series"
    DUPLICATED_ROWS = "duplicated_rows"
    REFUSED_ROWS = "refused_rows"
    OUT_OF_RANGE = "out_of_range"
    FROZEN_FEED = "frozen_feed"
    NEW_SERIES = "new_series"
    VANISHED_SERIES = "vanished_series"
    CHANGES_DRIFTED = "changes_drifted"
    VOLATILITY_DRIFTED = "volatility_drifted"
    WIDTH_DRIFTED = "width_drifted"
    LOCATION_DRIFTED = "location_drifted"
    LATE_LABELS = "late_labels"
    COVERAGE_OFF = "coverage_off"
    SKILL_LOST = "skill_lost"
    WORSE_THAN_PREDECESSOR = "worse_than_predecessor"


LINGERING: Final = frozenset({
    Finding.CHANGES_DRIFTED, Finding.VOLATILITY_DRIFTED, Finding.WIDTH_DRIFTED, Finding.LOCATION_DRIFTED,
    Finding.COVERAGE_OFF,
})  # fmt: skip
"""Findings about a window that is nearly the same from day to day, so that they come and go around their threshold."""
LINGER: Final = timedelta(days=14)
"""How long one of those must be gone before it is over. In six years of GOOG they came back within ten days, or after
months."""


class Condition(BaseModel):
    """Something that is not as it should be."""

    model_config = RECORD

    finding: Finding
    series_id: str | None = None
    """None where it concerns the problem as a whole."""
    severity: Severity = Severity.ALERT
    figures: dict[str, float] = {}
    sentence: str
    """What was found, against what, and what to look at."""

    @property
    def key(self) -> str:
        """The same for the same condition on another day."""
        return f"{self.finding.value}/{self.series_id}" if self.series_id else self.finding.value
