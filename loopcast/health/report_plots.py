"""The figures of a monitoring report. How figures look and are written out stands in `evidence.ink`."""

from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from loopcast.evidence.ink import ACCENT, INK, MISS, MUTED, SECOND, STYLE, mark_dates, open_figure
from loopcast.health.histogram import Histogram, read_quantiles
from loopcast.health.report_account import MonitoringAccount
from loopcast.health.steps import WATCHED, Column
from loopcast.typing import Floats

WIDE_IN: Final = 9.2
HALF_IN: Final = 4.5
N_BARS: Final = 60
"""Bars of a drawn histogram."""
SHOWN_TAIL: Final = 0.002
"""Share of the values on either side that is not drawn."""
TITLES: Final = {
    Column.STANDARDISED_CHANGE: "change / EWMA deviation",
    Column.LOG_DEVIATION: "log EWMA deviation",
    Column.INTERVAL_WIDTH: "width of the 80 % interval",
    Column.MEDIAN_LOCATION: "place of the median",
}


@mpl.rc_context(STYLE)
def draw_cusum(account: MonitoringAccount) -> Figure:
    """The path of the skill CUSUM against its threshold, triggers marked."""
    skill = account.skill
    figure, (axes,) = open_figure(WIDE_IN, 2.9)
    days = np.array(skill.days, dtype="datetime64[D]")
    statistics = np.array(skill.statistics, dtype=float)
    axes.axhline(skill.threshold, color=MISS, linewidth=1, linestyle=(0, (3, 3)), label="a training begins")
    axes.fill_between(days, 0, statistics, color=ACCENT, alpha=0.16, linewidth=0)
    axes.plot(days, statistics, color=ACCENT, linewidth=1.3, label="loss beyond the baseline's, in daily losses")
    is_trigger = np.isin(days, np.array(skill.triggers, dtype="datetime64[D]"))
    axes.plot(days[is_trigger], statistics[is_trigger], "o", color=MISS, markersize=4.5, label="trigger", zorder=3)
    mark_dates(axes)
    axes.margins(x=0.01)
    axes.set_ylim(0, 1.15 * max(skill.threshold, *statistics.tolist(), 0.0))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.3, handlelength=1.6)
    return figure


@mpl.rc_context(STYLE)
def draw_columns(account: MonitoringAccount) -> Figure:
    """Distribution of each watched column in the window and in training, from roll-ups."""
    shown = [column for column in WATCHED if column in account.columns]
    figure, all_axes = open_figure(WIDE_IN, 2.7, n_columns=len(shown))
    for axes, column in zip(all_axes, shown, strict=True):
        live, trained = account.columns[column]
        ends = np.concatenate(
            [read_quantiles(each, np.array([SHOWN_TAIL, 1 - SHOWN_TAIL])) for each in (live, trained)]
        )
        edges = np.linspace(ends.min(), max(ends.max(), ends.min() + live.bins.width), N_BARS + 1)
        axes.stairs(_share_bars(trained, edges), edges, color=MUTED, alpha=0.3, fill=True, label="training")
        axes.stairs(_share_bars(live, edges), edges, color=ACCENT, linewidth=1.3, label="window")
        axes.set_title(TITLES[column])
        axes.yaxis.set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    all_axes[0].legend(loc="upper left", handlelength=1, borderaxespad=0.1)
    return figure


@mpl.rc_context(STYLE)
def draw_skill(account: MonitoringAccount) -> Figure:
    """Skill over the EWMA baseline at each horizon."""
    figures = account.performance.by_horizon
    figure, (axes,) = open_figure(HALF_IN, 2.9)
    axes.axhline(0, color=INK, linewidth=1)
    axes.bar(list(figures), [each.skill_ratio for each in figures.values()], color=ACCENT, alpha=0.75, width=0.6)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    _finish_horizons(axes, len(figures))
    return figure


@mpl.rc_context(STYLE)
def draw_coverage(account: MonitoringAccount) -> Figure:
    """Coverage of both intervals at each horizon, against nominal and what is tolerated around it."""
    figures = account.performance.by_horizon
    figure, (axes,) = open_figure(HALF_IN, 2.9)
    for nominal, name, colour in ((0.80, "coverage_80_ratio", ACCENT), (0.95, "coverage_95_ratio", SECOND)):
        tolerance = account.limits.tolerance(nominal)
        axes.axhspan(nominal - tolerance, min(nominal + tolerance, 1), color=colour, alpha=0.10, linewidth=0)
        axes.axhline(nominal, color=colour, linewidth=1, linestyle=(0, (3, 3)))
        found = [getattr(each, name) for each in figures.values()]
        axes.plot(list(figures), found, "o-", color=colour, markersize=4, label=f"{100 * nominal:.0f} %")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.3, handlelength=1)
    _finish_horizons(axes, len(figures))
    return figure


def _share_bars(histogram: Histogram, edges: Floats) -> Floats:
    """Shares of the values between other edges, as if they lay evenly within a bin."""
    return np.diff(np.interp(edges, histogram.bins.edges, histogram.shares))


def _finish_horizons(axes: Axes, n_horizons: int) -> None:
    axes.set_xlabel("horizon, steps")
    axes.set_xlim(0.4, n_horizons + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
