"""How candidates are judged, and when one may become champion."""

from typing import Annotated

from pydantic import Field

from loopcast.sections.base import PositiveInt, Section, Share


class Backtest(Section):
    """The walk forward that judges every candidate."""

    initial_steps: PositiveInt | None = None
    """Steps of the forecast series before the first tested block. Default: half of them."""
    refit_steps: PositiveInt = 127
    """Steps that a fit stays in service before the next fold; half a year of trading days."""
    min_history_steps: PositiveInt = 250
    """Rows that a series needs before a fold to be scored in it."""
    max_origins: PositiveInt = 100_000
    """Origins scored at most; of a larger panel every 2nd, 4th, 8th … time is taken, and where less than twice
    `gate.min_dates` would be left, some of the series. A long horizon or many quantiles lower it further, so that the
    forecasts of all candidates stay below half a gigabyte."""
    garch_simulations: PositiveInt = 2000
    """Simulated paths for each origin of the GARCH baseline."""


class Gate(Section):
    """When a challenger may become champion."""

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Level of the one-sided Diebold-Mariano test against the champion; in simulation 7 % of equally good ones pass."""
    naive_alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.10
    """Level of the test against the naive baselines, for any challenger."""
    margin: Share = 0.005
    """Relative loss by which a challenger may be worse when the champion is stale or miscalibrated."""
    coverage_tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.03
    """Allowed distance of the 80 % interval's coverage from nominal; half of it for the 95 % interval."""
    min_dates: PositiveInt = 120
    """Common out-of-sample dates below which nothing is promoted: fewer hardly tell autocorrelation from skill."""
    stale_after_days: PositiveInt = 90
    """Age of the champion's data, against the challenger's, from which not-worse is good enough."""

    def tolerance(self, nominal_ratio: float) -> float:
        """Allowed distance of an interval's coverage from nominal; half for what is wider than 80 %.

        >>> Gate(coverage_tolerance=0.03).tolerance(0.8), Gate(coverage_tolerance=0.03).tolerance(0.95)
        (0.03, 0.015)
        """
        return self.coverage_tolerance if nominal_ratio <= 0.8 else self.coverage_tolerance / 2
