"""GARCH(1,1) with Student-t shocks, the econometric rival: fitted for each series by `arch`, simulated here."""

import math
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np

from loopcast.config import Problem
from loopcast.features import VARIANCE_FLOOR, Design
from loopcast.model.baselines import _Fitted
from loopcast.model.forecaster import Candidate
from loopcast.model.split import Split
from loopcast.running import decayed_sums
from loopcast.typing import Floats, Ints

MIN_FIT_STEPS: Final = 100
"""Changes below which a series takes the pooled parameters: five parameters need about twenty each."""
LEAST_UNIT: Final = math.sqrt(VARIANCE_FLOOR)
"""Unit of a series that has never moved, in the level's unit."""
BLOCK_VALUES: Final = 5_000_000
"""Simulated changes held at once, over origins, paths and horizons: 40 MB."""


@dataclass(frozen=True)
class GarchT(_Fitted):
    """Quantiles of simulated paths, with the same draws for every origin: a forecast does not depend on its neighbours.

    Source: Bollerslev (1987); the `arch` package for the likelihood.
    """

    candidate: ClassVar = Candidate.GARCH_T
    parameters: dict[str, list[float]]
    """By series: mean, omega, alpha, beta of changes in units of `unit`, degrees of freedom."""
    units: dict[str, float]
    """By series: standard deviation of the changes fitted on, in the level's unit; also of one too short to fit."""
    n_paths: int
    levels: Floats

    @classmethod
    def fit(cls, design: Design, split: Split, problem: Problem) -> Self:
        """As `Forecaster.fit`."""
        until = design.timestamp_utc[split.fit].max()
        parameters, units = {}, {}
        for code, name in enumerate(design.series_ids):
            is_past = (design.series == code) & (design.timestamp_utc <= until) & (design.position > 0)
            changes = design.change[is_past]
            if len(changes) >= problem.features.scales[-1]:
                units[name] = _measure_unit(changes)
            if len(changes) >= MIN_FIT_STEPS and units[name] > LEAST_UNIT:
                parameters[name] = fit_garch(changes / units[name])
        return cls(parameters, units, problem.backtest.garch_simulations, np.asarray(problem.quantiles))

    def quantiles(self, design: Design, rows: Ints) -> Floats:
        """As `Forecaster.quantiles`; a series without parameters of its own takes the median ones, in its own unit."""
        result = np.empty((len(rows), design.horizon, len(self.levels)))
        for code in np.unique(design.series[rows]):
            chosen = np.flatnonzero(design.series[rows] == code)
            name = design.series_ids[code]
            parameters = self.parameters.get(name) or np.median([*self.parameters.values()] or [IID], axis=0).tolist()
            unit = self.units.get(name) or _measure_unit(_warm_up(design, int(code)))
            variance = np.empty_like(design.level)
            for first, last in design.segments[design.series[design.segments[:, 0]] == code]:
                variance[first : last + 1] = filter_variance(design.change[first : last + 1] / unit, parameters)
            draws = _draws(self.n_paths, design.horizon, parameters[4])
            for block in np.array_split(chosen, -(-len(chosen) * draws.size // BLOCK_VALUES)):
                paths = _simulate(variance[rows[block]], parameters, draws)
                result[block] = unit * np.moveaxis(np.quantile(paths, self.levels, axis=1), 0, -1)
        return result


IID: Final = [0.0, 1.0, 0.0, 0.0, 8.0]
"""Parameters of independent shocks, where no series was long enough to fit, or no fit was better."""


def fit_garch(changes: Floats) -> list[float]:
    """Mean, omega, alpha, beta and degrees of freedom of changes with unit deviation, shape (n,).

    Where most changes are zero, the search may end anywhere, such as at a mean of thousands of deviations, and call it
    a maximum. What is less likely than independent shocks is none.
    """
    from arch import arch_model

    model = arch_model(changes, mean="Constant", p=1, o=0, q=1, dist="t", rescale=False)
    fitted = model.fit(disp="off", show_warning=False)
    if not fitted.loglikelihood >= model.fix(IID).loglikelihood:
        return list(IID)
    return [float(value) for value in fitted.params]


def filter_variance(changes: Floats, parameters: list[float]) -> Floats:
    """The variance of the step after each change, shape (n,): v[t+1] = omega + alpha e[t]^2 + beta v[t]."""
    mean, omega, alpha, beta, _ = parameters
    driven = omega + alpha * (changes - mean) ** 2
    start = omega / max(1 - alpha - beta, 1e-3)
    age = np.arange(len(changes))
    return np.asarray(decayed_sums(driven[None], np.array([beta]), age)[0] + start * beta ** (age + 1.0))


def _measure_unit(changes: Floats) -> float:
    return max(float(changes.std()), LEAST_UNIT)


def _warm_up(design: Design, code: int) -> Floats:
    """Changes of a series up to its first ready row, which each of its origins knows, shape (n,)."""
    rows = np.flatnonzero(design.series == code)
    until = rows[design.is_ready[rows]][0]
    return np.asarray(design.change[rows[(rows <= until) & (design.position[rows] > 0)]], dtype=float)


def _draws(n_paths: int, horizon: int, freedom: float) -> Floats:
    """Unit-variance Student-t draws, shape (paths, H), mirrored so that their mean is exactly zero."""
    half = np.random.default_rng(0).standard_t(freedom, (-(-n_paths // 2), horizon))
    return np.asarray(np.r_[half, -half] * np.sqrt((freedom - 2) / freedom), dtype=float)


def _simulate(variance: Floats, parameters: list[float], draws: Floats) -> Floats:
    """Cumulated changes along each path, shape (n, paths, H), from the variance of the next step, shape (n,)."""
    mean, omega, alpha, beta, _ = parameters
    paths = np.empty((len(variance), *draws.shape))
    current = np.repeat(variance[:, None], len(draws), axis=1)
    total = np.zeros_like(current)
    for h in range(draws.shape[1]):
        shock = np.sqrt(current) * draws[:, h]
        total += mean + shock
        paths[..., h] = total
        current = omega + alpha * shock**2 + beta * current
    return paths
