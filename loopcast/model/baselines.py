"""The rivals that need no optimiser: random walk, historical simulation, EWMA, and HAR on range variances."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Self

import numpy as np
import pandas as pd
from scipy.special import ndtri

from loopcast.config import Problem
from loopcast.features import VARIANCE_FLOOR, Design
from loopcast.model.forecaster import Candidate
from loopcast.model.split import Split
from loopcast.model.stretch import MAX_LOG_STRETCH
from loopcast.typing import Floats, Ints

HISTORY_STEPS: Final = 500
"""Past changes whose quantiles historical simulation repeats: two years of trading, the usual regulatory window."""
BLOCK_ROWS: Final = 2048


class _Fitted:
    """State of a dataclass whose fields are arrays, or values that JSON holds."""

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
        """As `Forecaster.state`."""
        fields = asdict(self)  # type: ignore[call-overload]  # every subclass is a dataclass
        arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
        return {name: value for name, value in fields.items() if name not in arrays}, arrays

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]], problem: Problem) -> Self:
        """As `Forecaster.from_state`."""
        return cls(**values, **arrays)


@dataclass(frozen=True)
class RandomWalk(_Fitted):
    """A Gaussian random walk: each series' past standard deviation, growing with the square root of the horizon."""

    candidate: ClassVar = Candidate.RANDOM_WALK
    deviations: dict[str, float]
    pooled: float
    levels: Floats

    @classmethod
    def fit(cls, design: Design, split: Split, problem: Problem) -> Self:
        """As `Forecaster.fit`; a series that is not in training takes the pooled deviation."""
        rows = split.fit[design.position[split.fit] > 0]
        moves = pd.Series(design.change[rows]).groupby(np.asarray(design.series_ids)[design.series[rows]]).std(ddof=0)
        return cls(
            deviations={str(name): float(value) for name, value in moves.items()},
            pooled=float(design.change[rows].std()),
            levels=np.asarray(problem.quantiles),
        )

    def quantiles(self, design: Design, rows: Ints) -> Floats:
        """As `Forecaster.quantiles`."""
        deviations = np.array([self.deviations.get(name, self.pooled) for name in design.series_ids])
        steps = np.sqrt(np.arange(1, design.horizon + 1))
        shape: Floats = ndtri(self.levels)
        return deviations[design.series[rows], None, None] * steps[:, None] * shape


@dataclass(frozen=True)
class HistoricalSimulation(_Fitted):
    """Quantiles of the series' own last changes over the same horizon; nothing is fitted."""

    candidate: ClassVar = Candidate.HISTORICAL_SIMULATION
    levels: Floats

    @classmethod
    def fit(cls, design: Design, split: Split, problem: Problem) -> Self:
        """As `Forecaster.fit`."""
        return cls(np.asarray(problem.quantiles))

    def quantiles(self, design: Design, rows: Ints) -> Floats:
        """As `Forecaster.quantiles`."""
        result = np.empty((len(rows), design.horizon, len(self.levels)))
        heads = rows - design.position[rows]
        for h in range(1, design.horizon + 1):
            available = np.minimum(HISTORY_STEPS, design.position[rows] + 1 - h)
            for n in np.unique(available):
                group = np.flatnonzero(available == n)
                for block in np.array_split(group, -(-len(group) // BLOCK_ROWS)):
                    ends = rows[block, None] - np.arange(max(n, 1))
                    moves = design.level[ends] - design.level[np.maximum(ends - h, heads[block, None])]
                    result[block, h - 1] = np.quantile(moves, self.levels, axis=1).T
        return result


@dataclass(frozen=True)
class Ewma(_Fitted):
    """Normal quantiles around the last value, with the exponentially weighted deviation of the changes.

    Source: RiskMetrics Technical Document (1996).
    """

    candidate: ClassVar = Candidate.EWMA
    decay: float
    levels: Floats

    @classmethod
    def fit(cls, design: Design, split: Split, problem: Problem) -> Self:
        """As `Forecaster.fit`."""
        return cls(problem.features.decay, np.asarray(problem.quantiles))

    def quantiles(self, design: Design, rows: Ints) -> Floats:
        """As `Forecaster.quantiles`."""
        steps = np.sqrt(np.arange(1, design.horizon + 1))
        shape: Floats = ndtri(self.levels)
        return design.ewma_deviation[rows, None, None] * steps[:, None] * shape


@dataclass(frozen=True)
class Har(_Fitted):
    """Filtered historical simulation around a log-linear regression of the coming variance on past variances.

    Source: Corsi (2009), a heterogeneous autoregressive model of realised volatility.
    """

    candidate: ClassVar = Candidate.HAR
    coefficients: Floats
    """Shape (H, 4 + F'): intercept, the log-variance features, and the two lagged changes."""
    baseline: Floats
    """Quantiles of the targets standardised by the regression, shape (H, K)."""
    columns: Ints
    """Which features enter."""

    @classmethod
    def fit(cls, design: Design, split: Split, problem: Problem) -> Self:
        """As `Forecaster.fit`."""
        names = [f"variance_{m}" for m in problem.features.scales] + [
            f"change_{m}" for m in problem.features.scales[1:3]
        ]
        columns = np.array([design.feature_names.index(name) for name in names])
        rows = split.fit
        regressors = _with_intercept(design, rows, columns)
        coefficients = np.empty((design.horizon, regressors.shape[1]))
        total = np.zeros(len(rows))
        for h in range(1, design.horizon + 1):
            total += np.nan_to_num(design.variance[rows + h])
            ratio = 0.5 * np.log(np.maximum(total / h, VARIANCE_FLOOR)) - np.log(design.scale[rows])
            coefficients[h - 1] = np.linalg.lstsq(regressors, np.maximum(ratio, -5.0), rcond=None)[0]
        stretch = _stretch(regressors, coefficients)
        baseline = np.quantile(design.targets[rows] / stretch, problem.quantiles, axis=0).T
        return cls(coefficients, baseline, columns)

    def quantiles(self, design: Design, rows: Ints) -> Floats:
        """As `Forecaster.quantiles`."""
        stretch = _stretch(_with_intercept(design, rows, self.columns), self.coefficients)
        return np.asarray((design.step_scale(rows) * stretch)[..., None] * self.baseline, dtype=float)


def _stretch(regressors: Floats, coefficients: Floats) -> Floats:
    """How much wider than the scale the coming step is, shape (n, H)."""
    log_stretch = np.clip(regressors @ coefficients.T, -MAX_LOG_STRETCH, MAX_LOG_STRETCH)
    return np.asarray(np.exp(log_stretch), dtype=float)


def _with_intercept(design: Design, rows: Ints, columns: Ints) -> Floats:
    return np.asarray(np.c_[np.ones(len(rows)), design.inputs[rows][:, columns]], dtype=float)
