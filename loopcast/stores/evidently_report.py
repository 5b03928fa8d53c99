"""A day's monitoring as a run of Evidently's: figures and roll-ups by our metrics, plots by its own on a small sample.

Importing this takes seconds.
"""

import math
from collections.abc import Iterator
from datetime import UTC
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from evidently import Report
from evidently.core.report import Snapshot
from evidently.metrics import MeanValue
from evidently.tests import lte

from loopcast.health.condition import Severity
from loopcast.health.drift import Measure, highest_excess
from loopcast.health.histogram import read_quantiles
from loopcast.health.performance import Figures
from loopcast.health.report_account import MonitoringAccount, Pair
from loopcast.health.steps import Column
from loopcast.stores.evidently_metrics import (
    FIGURES,
    KS,
    ROLLUPS,
    TRAINED,
    WASSERSTEIN,
    MonitoringFigure,
    RollUpDistance,
    write_pair,
)
from loopcast.stores.evidently_project import name_day
from loopcast.typing import Floats

SAMPLE_ROWS: Final = 2_000
"""Rows behind each plot, of window and training: as smooth as a screen shows, and a hundredth of a second."""
FLAGS: Final = (Column.IS_COVERED_80, Column.IS_COVERED_95)
"""Columns of which a distribution says no more than their mean, which is among the figures."""
DRIFT: Final = "drift, in thresholds"
SKILL: Final = "skill"
LABELS: Final = "labels"
QUALITY: Final = "quality"
CONDITIONS: Final = "conditions"


class Figure(NamedTuple):
    """A value that Evidently keeps."""

    group: str
    name: str
    value: float
    limit: float | None = None
    """Above it the figure is a failed test."""


def run_report(account: MonitoringAccount) -> Snapshot:
    """The run, with every figure that has a value; nothing in it grows with the number of forecasts."""
    figures = [each for each in list_figures(account) if math.isfinite(each.value)]
    metrics = [
        MonitoringFigure(
            group=each.group, name=each.name, tests=[] if each.limit is None else [lte(each.limit, is_critical=False)]
        )
        for each in figures
        if each.group != TRAINED
    ]
    distances = [
        RollUpDistance(column=column.value, distance=distance, tests=[])
        for column in account.columns
        for distance in (KS, WASSERSTEIN)
    ]
    plots = [MeanValue(column=column.value, tests=[]) for column in account.columns if column not in FLAGS]
    rollups = [write_pair(column, pair) for column, pair in account.columns.items()]
    return Report([*metrics, *distances, *plots], include_tests=False).run(
        sample_columns(account, is_live=True),
        sample_columns(account, is_live=False),
        additional_data={
            FIGURES: pd.DataFrame(figures, columns=Figure._fields),
            **({ROLLUPS: pd.concat(rollups)} if rollups else {}),
        },
        timestamp=account.as_of.astimezone(UTC).replace(tzinfo=None),
        metadata={"model_version": str(account.model_version), "problem": account.problem.name},
        tags=[f"version {account.model_version}"],
        name=name_day(account.as_of),
    )


def list_figures(account: MonitoringAccount) -> Iterator[Figure]:
    """What is kept of a day, NaN where there was nothing to judge."""
    performance, limits = account.performance, account.limits
    yield from _list_skill("all horizons", performance.overall)
    for horizon, figures in performance.by_horizon.items():
        yield from _list_skill(f"horizon {horizon}", figures)
    yield Figure(SKILL, "CUSUM", account.skill.statistics[-1] if account.skill.statistics else math.nan,
                 account.skill.threshold)  # fmt: skip
    yield Figure(LABELS, "known", performance.label_ratio)
    yield Figure(LABELS, "late", performance.late_ratio, limits.max_late_ratio)
    yield from (Figure(DRIFT, measure.value, highest_excess(account.drift, measure), 1.0) for measure in Measure)
    yield Figure(QUALITY, "rows", account.quality.n_rows)
    yield Figure(QUALITY, "refused", account.quality.refused_ratio, account.problem.quality.max_refused_ratio)
    yield Figure(QUALITY, "duplicated", account.quality.duplicated_ratio, limits.max_duplicated_ratio)
    for severity in Severity:
        n = sum(each.severity is severity for each in account.verdict.conditions)
        yield Figure(CONDITIONS, severity.value, n, 0 if severity is Severity.ALERT else None)
    for column, pair in account.columns.items():
        yield Figure(TRAINED, column.value, pair.trained.deviation or 1.0)


def sample_columns(account: MonitoringAccount, *, is_live: bool) -> pd.DataFrame:
    """Evenly spaced quantiles of each column: a sample that any number of rows fits into, and without chance."""
    levels = (np.arange(SAMPLE_ROWS) + 0.5) / SAMPLE_ROWS
    columns = {column.value: _sample(pair, levels, is_live=is_live) for column, pair in account.columns.items()}
    return pd.DataFrame(columns or {"no_column": np.zeros(1)})


def _sample(pair: Pair, levels: Floats, *, is_live: bool) -> Floats:
    return read_quantiles(pair.live if is_live else pair.trained, levels)


def _list_skill(scope: str, figures: Figures) -> Iterator[Figure]:
    yield Figure(SKILL, f"skill, {scope}", figures.skill_ratio)
    yield Figure(SKILL, f"80 % coverage, {scope}", figures.coverage_80_ratio)
    yield Figure(SKILL, f"95 % coverage, {scope}", figures.coverage_95_ratio)
    yield Figure(SKILL, f"MASE, {scope}", figures.mase)
