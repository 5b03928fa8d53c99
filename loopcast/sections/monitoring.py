"""When monitoring speaks, and when it acts."""

from typing import Annotated

from pydantic import Field

from loopcast.sections.base import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Section, Share


class Monitoring(Section):
    """What the live window is held against.

    Drift alerts; loss of skill retrains; a champion that is worse than the one before it is rolled back.
    """

    window_steps: PositiveInt = 60
    """Observed steps of a series that are compared with the training data: a quarter of trading days. Shorter windows
    see less, longer ones later."""
    false_alarms_per_year: PositiveFloat = 0.5
    """Drift alarms that are accepted where nothing has changed, over all series and tests together: one in two years.
    Thresholds follow from it and from the training data."""
    drift_floor: NonNegativeFloat = 0.1
    """Least shift of a level that is called drift, in its unit: a tenth of the volatility, or a tenth of an EWMA
    deviation of the intervals' width or the median's place. Less changes no decision."""
    max_late_ratio: Share = 0.05
    """Share of steps whose time has passed and whose actual is missing: above it labels are late. One step in twenty is
    a holiday that the calendar does not know."""
    max_missing_ratio: Share = 0.10
    """Missing steps of a series in the window, above those of its training data."""
    max_duplicated_ratio: Share = 0.01
    """Share of rows that repeat a series and time. As `quality.max_refused_ratio`: a source that repeats itself more
    often has changed."""
    late_steps: PositiveInt = 5
    """Steps without a new row after which a series is late: markets have been closed for four in a row."""
    range_factor: Annotated[float, Field(gt=1)] = 3.0
    """A one-step change is out of range beyond this multiple of the largest in training: larger ones are mistakes of
    the feed (an unadjusted split, a wrong unit) far more often than moves."""
    frozen_factor: Annotated[float, Field(gt=1)] = 3.0
    """A feed is frozen when a value repeats this many times longer than ever in training, and `frozen_steps` at
    least."""
    frozen_steps: PositiveInt = 5
    """Shortest run of one value that is called frozen: a week of trading days."""
    skill_floor: NonNegativeFloat = 0.10
    """Loss above the EWMA baseline's, as a share of it, that the skill CUSUM lets pass each day: less than that is not
    worth a training. In 2008 the error doubled while the error relative to the naive forecast moved by 1.2 %."""
    skill_threshold: PositiveFloat = 1.75
    """Excess loss beyond the floor, in daily baseline losses, that triggers a retraining. A bias of one deviation
    gathers it in 3 to 4 days, half a deviation in about 17; an unbiased model came near it once in 40 stock-years."""
    skill_memory_days: PositiveInt = 33
    """Memory of the baseline's average loss: a decay of 0.97."""
    skill_clip: PositiveFloat = 1.5
    """Most that one day may add or take: below the threshold, so that a single wild day never retrains."""
    cooldown_days: NonNegativeInt = 60
    """Judged days after a trigger in which no other is raised: a retraining needs that long to show its effect."""
    rollback_alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.002
    """Level of the one-sided Diebold-Mariano test by which the champion must be worse than its predecessor. Asked
    each day, with the CUSUM beside it, it rolls an equally good champion back in 3 years of 100."""
    rollback_days: PositiveInt = 60
    """Common judged days below which that test is not asked: after 30 it would err twice as often. A gross failure does
    not wait for it."""
    rollback_margin: Share = 0.01
    """Loss above the predecessor's, as a share of it, below which nothing is rolled back, however sure."""
    coverage_tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.20
    """Distance of the 80 % interval's coverage from nominal that alerts; half of it for the 95 % interval. A quarter
    has some twelve independent weeks: a sound model of a stock is 0.10 off once a year, 0.15 every five years."""
    min_judged: PositiveInt = 30
    """Judged days below which skill and coverage are told, but nothing is concluded from them."""

    def tolerance(self, nominal_ratio: float) -> float:
        """Distance of an interval's coverage from nominal that alerts.

        >>> Monitoring(coverage_tolerance=0.2).tolerance(0.8), Monitoring(coverage_tolerance=0.2).tolerance(0.95)
        (0.2, 0.1)
        """
        return self.coverage_tolerance if nominal_ratio <= 0.8 else self.coverage_tolerance / 2
