"""Do the live inputs and forecasts still look like those of training: filtered first, then tested.

Changes are divided by the deviation that the EWMA expected, so that clustered volatility does not pass for drift, and
their distribution is compared by the Kolmogorov-Smirnov and the Wasserstein distance. Volatility itself, the width of
the intervals and the place of the median are watched by their means over the window. Every test has the chance, by its
calibration on the training data, that an unchanged year would show as much; Holm's procedure holds the sum over all
series and tests to the accepted number of false alarms a year.

Source: Raza, Prasad and Li (2015), Pattern Recognition 48(3); Holm (1979), Scandinavian Journal of Statistics 6(2).
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from pydantic import BaseModel

from loopcast.evidence.record import RECORD
from loopcast.health.calibration import LevelCalibration, ShapeCalibration
from loopcast.health.condition import Condition, Finding, Severity
from loopcast.health.histogram import count_values, measure_ks, measure_wasserstein
from loopcast.health.profile import Profile
from loopcast.health.steps import Column
from loopcast.health.watched import POOLED, Track, pool_tracks
from loopcast.sections.monitoring import Monitoring
from loopcast.typing import Floats

LEAST_PART: Final = 0.5
"""Part of the window that must be known for a series to be tested."""


class Measure(StrEnum):
    """How a series is tested."""

    KS = "ks"
    """Kolmogorov-Smirnov distance of the standardised changes."""
    WASSERSTEIN = "wasserstein"
    """Their Wasserstein distance, in deviations of training: it sees single wild values too."""
    VOLATILITY = "volatility"
    """Mean logarithm of the EWMA deviation."""
    WIDTH = "width"
    """Mean width of the next step's 80 % interval, in EWMA deviations."""
    LOCATION = "location"
    """Mean place of the next step's median, in EWMA deviations from the last value."""


LEVELS: Final = {
    Measure.VOLATILITY: Column.LOG_DEVIATION,
    Measure.WIDTH: Column.INTERVAL_WIDTH,
    Measure.LOCATION: Column.MEDIAN_LOCATION,
}
FINDINGS: Final = {
    Measure.KS: Finding.CHANGES_DRIFTED,
    Measure.WASSERSTEIN: Finding.CHANGES_DRIFTED,
    Measure.VOLATILITY: Finding.VOLATILITY_DRIFTED,
    Measure.WIDTH: Finding.WIDTH_DRIFTED,
    Measure.LOCATION: Finding.LOCATION_DRIFTED,
}


class DriftTest(BaseModel):
    """One test of one series."""

    model_config = RECORD

    series_id: str
    """`*` for the mean over all series."""
    measure: Measure
    statistic: float
    trained: float
    """The level in training; 0 for a distance."""
    low: float
    """Thresholds, at the share of the accepted false alarms that Holm's procedure left for this test."""
    high: float
    yearly_probability: float
    """Chance that an unchanged year shows as much at least once."""
    n_values: int
    is_drifted: bool


class Drift(BaseModel):
    """The tests of a window, and what their thresholds promise."""

    model_config = RECORD

    tests: tuple[DriftTest, ...]
    false_alarms_per_year: float
    """That are accepted, over all tests together, where nothing has changed."""
    n_untested: int
    """Series that the profile knows and that have too few values in the window."""
    conditions: tuple[Condition, ...]


class _Measured(NamedTuple):
    series_id: str
    measure: Measure
    statistic: float
    trained: float
    n_values: int
    fullness: float
    """What the statistic is multiplied by to be that of a full window: a distance goes with one over the root of n."""
    calibration: ShapeCalibration | LevelCalibration

    def yearly_probability(self, floor: float) -> float:
        if self.measure in LEVELS and abs(self.statistic - self.trained) < floor:
            return 1.0
        return self.calibration.yearly_probability(self.statistic * self.fullness)

    def thresholds(self, probability: float, floor: float) -> tuple[float, float]:
        if isinstance(self.calibration, LevelCalibration):
            low, high = self.calibration.thresholds(probability)
            return min(low, self.trained - floor), max(high, self.trained + floor)
        return 0.0, self.calibration.threshold(probability) / self.fullness


def measure_drift(tracks: Mapping[str, Track], profile: Profile, limits: Monitoring) -> Drift:
    """Hold a window of the live series against the profile; without values nothing is tested and nothing has drifted.

    Args:
        tracks: Of the live series up to now, a window long or longer, as `split_tracks` gives them.
    """
    means = {name: watch.means for name, watch in profile.watches.items()}
    live = {name: track for name, track in tracks.items() if name in means}
    recent = {name: track.last(profile.window_steps) for name, track in pool_tracks(live, means).items()}
    found = [
        each for name, track in recent.items() if name in profile.watches for each in _measure(name, track, profile)
    ]
    chances = [each.yearly_probability(limits.drift_floor) for each in found]
    tests, is_open = [], True
    for rank, k in enumerate(np.argsort(chances, kind="stable")):
        each, chance = found[k], chances[k]
        share = -math.expm1(-limits.false_alarms_per_year / (len(found) - rank))
        is_open = is_open and chance <= share
        low, high = each.thresholds(share, limits.drift_floor)
        tests.append(
            DriftTest(
                series_id=each.series_id,
                measure=each.measure,
                statistic=each.statistic,
                trained=each.trained,
                low=low,
                high=high,
                yearly_probability=chance,
                n_values=each.n_values,
                is_drifted=is_open,
            )
        )
    return Drift(
        tests=tuple(sorted(tests, key=lambda each: (each.series_id, list(Measure).index(each.measure)))),
        false_alarms_per_year=limits.false_alarms_per_year,
        n_untested=len(profile.watches.keys() - {each.series_id for each in found}),
        conditions=_tell(tests),
    )


def highest_excess(drift: Drift, measure: Measure) -> float:
    """How far the series that drifted furthest is on its way to the threshold: above 1 is drift, NaN is untested."""
    return max((_excess(each) for each in drift.tests if each.measure is measure), default=math.nan)


def _excess(test: DriftTest) -> float:
    if test.measure not in LEVELS:
        return test.statistic / test.high
    far, room = test.statistic - test.trained, (test.low, test.high)[test.statistic > test.trained] - test.trained
    return far / room


def _measure(name: str, track: Track, profile: Profile) -> list[_Measured]:
    """The statistics of one series for which the window holds enough values."""
    watch, window = profile.watches[name], profile.window_steps
    found, changes = [], _known(track, Column.STANDARDISED_CHANGE, window)
    if len(changes):
        reference, fullness = watch.changes.restore(), math.sqrt(len(changes) / window)
        counted = count_values(changes, reference.bins)
        distance = measure_wasserstein(counted, reference) / (reference.deviation or 1.0)
        for measure, statistic, calibration in (
            (Measure.KS, measure_ks(counted, reference), watch.ks),
            (Measure.WASSERSTEIN, distance, watch.wasserstein),
        ):
            found.append(_Measured(name, measure, statistic, 0.0, len(changes), fullness, calibration))
    for measure, column in LEVELS.items():
        if len(values := _known(track, column, window)):
            level, trained = float(values.mean()), watch.means[column]
            found.append(_Measured(name, measure, level, trained, len(values), 1.0, watch.levels[column]))
    return found


def _known(track: Track, column: Column, window: int) -> Floats:
    """The known values of a column; none where they are too few."""
    values = track.values[column]
    values = values[np.isfinite(values)]
    return values if len(values) >= LEAST_PART * window else values[:0]


def _tell(tests: Sequence[DriftTest]) -> tuple[Condition, ...]:
    """One condition for each series and finding; where all series together drift, that one is told for each of them."""
    together = {FINDINGS[each.measure] for each in tests if each.is_drifted and each.series_id == POOLED}
    conditions: dict[tuple[str, Finding], Condition] = {}
    for each in tests:  # the clearest first
        key = (each.series_id, FINDINGS[each.measure])
        if each.is_drifted and key not in conditions:
            is_pooled = each.series_id == POOLED
            conditions[key] = Condition(
                finding=key[1],
                series_id=None if is_pooled else each.series_id,
                severity=Severity.NOTICE if key[1] in together and not is_pooled else Severity.ALERT,
                figures={
                    "statistic": each.statistic,
                    "trained": each.trained,
                    "low": each.low,
                    "high": each.high,
                    "yearly_probability": each.yearly_probability,
                },
                sentence=f"{'All series together' if is_pooled else each.series_id}: {_describe(each)}",
            )
    return tuple(conditions.values())


def _describe(test: DriftTest) -> str:
    now, before, low, high, n = test.statistic, test.trained, test.low, test.high, test.n_values
    if test.measure is Measure.VOLATILITY:
        now, low, high = (math.exp(min(level - before, 700.0)) for level in (now, low, high))
        return f"volatility over the last {n} steps is {now:.2f} times its level in training; {_range(low, high)}"
    if test.measure is Measure.WIDTH:
        place = f"the 80 % interval of the last {n} forecasts is {now:.2f} EWMA deviations wide"
        return f"{place}, {before:.2f} in training; {_range(low, high)}"
    if test.measure is Measure.LOCATION:
        place = f"the median of the last {n} forecasts lies {now:.2f} EWMA deviations from the last value"
        return f"{place}, {before:.2f} in training; {_range(low, high)}"
    name = "Kolmogorov-Smirnov" if test.measure is Measure.KS else "Wasserstein"
    return (
        f"the last {n} changes, freed of their volatility, are distributed otherwise than in training: "
        f"{name} distance {now:.3f}, expected up to {high:.3f}"
    )


def _range(low: float, high: float) -> str:
    return f"expected {low:.2f} to {high:.2f}"
