"""Metrics of Evidently's that read what monitoring found, and no raw rows; importing this takes seconds.

They find their figures in the tables that `Report.run` hands on as `additional_data`; panels plot their values.
"""

from typing import Final

import numpy as np
import pandas as pd
from evidently.core.datasets import Dataset
from evidently.core.metric_types import SingleValue, SingleValueCalculation, SingleValueMetric
from evidently.core.report import Context

from loopcast.health.histogram import N_CORE, N_TAIL, Bins, Histogram, measure_ks, measure_wasserstein
from loopcast.health.report_account import Pair
from loopcast.health.steps import Column

FIGURES: Final = "figures"
"""Table with the columns group, name, value."""
ROLLUPS: Final = "rollups"
"""Table with the columns column, low_edge, live, trained: a row for each bin, and after them one for the last edge."""
TRAINED: Final = "deviation in training"
"""Group of the unit of each column's Wasserstein distance."""
KS: Final = "ks"
WASSERSTEIN: Final = "wasserstein"


class MonitoringFigure(SingleValueMetric):  # type: ignore[misc]  # Evidently tells mypy no types
    """One figure of monitoring, such as the skill or the share of late labels."""

    group: str
    name: str


class MonitoringFigureCalculation(SingleValueCalculation[MonitoringFigure]):  # type: ignore[misc]  # as above
    """Looks the figure up."""

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> SingleValue:
        """The value in the table of figures."""
        return self.result(read_figure(context, self.metric.group, self.metric.name))

    def display_name(self) -> str:
        """Group and name, as a person says them."""
        return f"{self.metric.group}: {self.metric.name}"


class RollUpDistance(SingleValueMetric):  # type: ignore[misc]  # as above
    """Distance of a column's roll-ups in the window from its histogram in training."""

    column: str
    distance: str
    """`ks`, or `wasserstein` in deviations of training."""


class RollUpDistanceCalculation(SingleValueCalculation[RollUpDistance]):  # type: ignore[misc]  # as above
    """Measures it on the bins, however many rows they count."""

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> SingleValue:
        """The distance."""
        table = context.additional_data[ROLLUPS].as_dataframe()
        pair = read_pair(table[table["column"] == self.metric.column])
        if self.metric.distance == KS:
            return self.result(measure_ks(*pair))
        return self.result(measure_wasserstein(*pair) / read_figure(context, TRAINED, self.metric.column))

    def display_name(self) -> str:
        """Which distance of which column."""
        return f"{self.metric.column.replace('_', ' ')}: {self.metric.distance} distance from training"


def read_figure(context: Context, group: str, name: str) -> float:
    """A value of the table of figures."""
    table = context.additional_data[FIGURES].as_dataframe()
    return float(table.loc[(table["group"] == group) & (table["name"] == name), "value"].iloc[0])


def write_pair(column: Column, pair: Pair) -> pd.DataFrame:
    """A column's rows for the table of roll-ups."""
    counts = [np.append(each.counts, 0) for each in pair]
    return pd.DataFrame(
        {"column": column.value, "low_edge": pair.live.bins.edges, "live": counts[0], "trained": counts[1]}
    )


def read_pair(rows: pd.DataFrame) -> Pair:
    """The histograms of such rows, without their moments."""
    edges = rows["low_edge"].to_numpy(dtype=float)
    bins = Bins(float(edges[N_TAIL]), float(edges[N_TAIL + N_CORE]))
    counts = [rows[name].to_numpy(dtype=np.int64)[:-1] for name in ("live", "trained")]
    return Pair(*(Histogram(bins, each) for each in counts))
