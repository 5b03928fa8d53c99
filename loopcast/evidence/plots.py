"""The figures of a report, each drawn from an `Account`. How they look and are written out stands in `ink`."""

from typing import Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from loopcast.config import Problem
from loopcast.evidence.account import TRACK_ORIGINS, Account
from loopcast.evidence.formats import format_value
from loopcast.evidence.ink import (
    ACCENT,
    BAND_80_ALPHA,
    BAND_95_ALPHA,
    INK,
    MISS,
    MUTED,
    SECOND,
    STYLE,
    mark_dates,
    open_figure,
)
from loopcast.model.forecaster import quantile_column
from loopcast.typing import Floats, Times

FAN_HISTORY_STEPS: Final = 42
"""Observations before the forecast, two months of trading days; at least four horizons are shown."""
LOWEST_COVERAGE: Final = 0.7
"""Where the axis of coverage begins unless a horizon lies below, so that reports can be compared by eye."""
WIDE_IN: Final = 9.2
HALF_IN: Final = 4.5
BANDS: Final = ((0.95, BAND_95_ALPHA), (0.80, BAND_80_ALPHA))


@mpl.rc_context(STYLE)
def draw_fan(account: Account) -> Figure:
    """The next forecast as a fan over the recent observations, the ends of its intervals written beside it."""
    problem, fan = account.problem, account.fan
    recent = account.history.tail(max(FAN_HISTORY_STEPS, 4 * len(fan)))
    observed, last = _local(recent["timestamp_utc"], problem), float(recent["target"].iloc[-1])
    times = np.concatenate([observed[-1:], _local(fan["timestamp_utc"], problem)])
    paths = {
        level: np.concatenate([[last], fan[quantile_column(level)].to_numpy(float)])
        for level in (0.025, 0.1, 0.5, 0.9, 0.975)
    }
    figure, (axes,) = open_figure(WIDE_IN, 3.8)
    _draw_bands(axes, times, paths)
    axes.plot(observed, recent["target"], color=INK, linewidth=1.3, label="observed")
    axes.plot(times, paths[0.5], color=ACCENT, linewidth=1.5, linestyle=(0, (3, 2)), label="median forecast")
    axes.plot(times[:1], [last], "o", color=INK, markersize=3.5)
    for level, path in paths.items():
        axes.annotate(
            format_value(float(path[-1])), (times[-1], path[-1]), xytext=(5, 0), textcoords="offset points",
            va="center", fontsize=8, color=ACCENT if level == 0.5 else MUTED,
        )  # fmt: skip
    _finish_dates(axes, problem)
    return figure


@mpl.rc_context(STYLE)
def draw_track(account: Account) -> Figure:
    """Past forecasts of the last horizon, out of sample, over what came true; misses of the 95 % interval marked."""
    problem = account.problem
    track = account.track[account.track["horizon"] == account.track["horizon"].max()].tail(TRACK_ORIGINS)
    times, actual = _local(track["target_utc"], problem), track["actual"].to_numpy(float)
    paths = {level: track[quantile_column(level)].to_numpy(float) for level in (0.025, 0.1, 0.9, 0.975)}
    is_missed = (actual < paths[0.025]) | (actual > paths[0.975])
    figure, (axes,) = open_figure(WIDE_IN, 3.3)
    _draw_bands(axes, times, paths)
    axes.plot(times, actual, color=INK, linewidth=1.1, label="came true")
    axes.plot(times[is_missed], actual[is_missed], "o", color=MISS, markersize=3.5, label="outside the 95 % interval")
    _finish_dates(axes, problem)
    return figure


@mpl.rc_context(STYLE)
def draw_calibration(account: Account) -> Figure:
    """Share of actuals below each quantile against its level; a calibrated forecast lies on the diagonal."""
    figure, (axes,) = open_figure(HALF_IN, 3.4)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)), label="calibrated")
    levels, observed = account.calibration["level"], account.calibration["observed_ratio"]
    axes.plot(levels, observed, "o-", color=ACCENT, linewidth=1.2, markersize=4, label="observed")
    axes.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="level of the quantile", ylabel="share of actuals below it", aspect="equal"
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(loc="upper left")
    return figure


@mpl.rc_context(STYLE)
def draw_horizons(account: Account) -> Figure:
    """Coverage and mean width of both intervals at each horizon."""
    score, is_log = account.offer.score, account.problem.transform == "log"
    figure, (coverage, width) = open_figure(HALF_IN, 3.4, n_columns=2)
    horizons = np.arange(1, len(score.pinball_by_horizon) + 1)
    for interval, colour in ((score.interval_80, ACCENT), (score.interval_95, SECOND)):
        widths = np.asarray(interval.width_by_horizon) * (100 if is_log else 1)
        name = f"{100 * interval.nominal_ratio:.0f} %"
        coverage.axhline(interval.nominal_ratio, color=colour, linewidth=1, linestyle=(0, (3, 3)))
        coverage.plot(horizons, interval.coverage_ratio_by_horizon, "o-", color=colour, markersize=3.5, label=name)
        width.plot(horizons, widths, "o-", color=colour, markersize=3.5)
    coverage.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    coverage.set(title="Coverage", xlabel="horizon, steps")
    lowest = min(*score.interval_80.coverage_ratio_by_horizon, LOWEST_COVERAGE)
    coverage.set_ylim(lowest - 0.02 * (lowest < LOWEST_COVERAGE), 1)
    width.set(title=f"Width, {'%' if is_log else account.problem.unit}", xlabel="horizon, steps")
    width.set_ylim(bottom=0)
    for axes in (coverage, width):
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.margins(x=0.1)
    coverage.legend(loc="lower left", ncols=2, handlelength=1)
    return figure


@mpl.rc_context(STYLE)
def draw_learning(account: Account) -> Figure:
    """Validation loss by epoch of every seed, its best epoch marked, and the training losses behind."""
    figure, (axes,) = open_figure(HALF_IN, 3.4)
    for k, (_, curve) in enumerate(account.learning_curves.groupby("seed")):
        best = curve.loc[curve["validation_loss"].idxmin()]
        names = ("training", "validation", "best epoch") if k == 0 else (None, None, None)
        axes.plot(curve["epoch"], curve["train_loss"], color=MUTED, alpha=0.45, linewidth=0.9, label=names[0])
        axes.plot(curve["epoch"], curve["validation_loss"], color=ACCENT, linewidth=1.2, label=names[1])
        axes.plot(best["epoch"], best["validation_loss"], "o", color=SECOND, markersize=4.5, label=names[2], zorder=3)
    axes.set(xlabel="epoch", ylabel="pinball loss, standardised")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.legend(loc="center right")  # between the two bundles of lines
    return figure


@mpl.rc_context(STYLE)
def draw_explanation(account: Account) -> Figure:
    """Share of each feature and lag bucket in the mean absolute Shapley value, the weightiest feature first."""
    if account.explanation is None:
        raise ValueError("the account has no explanation; draw it only where there is one")
    table = account.explanation.pivot_table("importance", "feature", "lag_bucket", aggfunc="sum")
    table = table[list(dict.fromkeys(account.explanation["lag_bucket"]))] / account.explanation["importance"].sum()
    table = table.loc[table.sum(axis=1).sort_values(ascending=False).index].fillna(0.0)
    figure, (axes,) = open_figure(HALF_IN, max(3.4, 0.6 + 0.26 * len(table)))
    top = float(table.to_numpy().max())
    for (row, column), share in np.ndenumerate(table.to_numpy(float)):
        strength = share / top if top > 0 else 0.0
        axes.add_artist(Rectangle((column, row), 1, 1, facecolor=ACCENT, alpha=0.05 + 0.6 * strength, linewidth=0))
        axes.text(column + 0.5, row + 0.5, f"{100 * share:.0f}", ha="center", va="center", fontsize=8, color=INK)
    axes.set(xlim=(0, table.shape[1]), ylim=(len(table), 0), xlabel="steps before the origin")
    axes.set_xticks(np.arange(table.shape[1]) + 0.5, [str(bucket) for bucket in table.columns])
    axes.set_yticks(np.arange(len(table)) + 0.5, [str(feature).replace("_", " ") for feature in table.index])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


def _draw_bands(axes: Axes, times: Times, paths: dict[float, Floats]) -> None:
    for nominal, alpha in BANDS:
        low, high = (paths[round(level, 3)] for level in ((1 - nominal) / 2, (1 + nominal) / 2))
        name = f"{100 * nominal:.0f} % interval"
        axes.fill_between(times, low, high, color=ACCENT, alpha=alpha, linewidth=0, label=name)


def _finish_dates(axes: Axes, problem: Problem) -> None:
    mark_dates(axes)
    axes.margins(x=0.01)
    axes.set_ylabel(problem.unit)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, borderaxespad=0.3, handlelength=1.6)


def _local(times_utc: pd.Series, problem: Problem) -> Times:
    """Wall-clock times of the problem's zone, which matplotlib draws without converting again."""
    local: Times = times_utc.dt.tz_convert(problem.time_zone).dt.tz_localize(None).to_numpy("datetime64[us]")
    return local
