"""A replay as one picture: the series and its forecasts, what happened, the skill that was gathered, and the CUSUM."""

from datetime import date
from typing import Final, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from loopcast.evidence.ink import ACCENT, BAND_80_ALPHA, GRID, INK, MISS, MUTED, SECOND, STYLE, mark_dates
from loopcast.replay.incidents import (
    POLICY_NAMES,
    Incident,
    describe_delay,
    list_alarms,
    list_incidents,
    name_finding,
)
from loopcast.replay.outcome import Outcome, Policy, What
from loopcast.typing import Floats

WIDE_IN, HIGH_IN = 12.0, 7.6
COLOURS: Final = {Policy.LOOP: ACCENT, Policy.NOTHING: MISS, Policy.QUARTERLY: MUTED}
DEEDS: Final = {What.PROMOTED: "trained: version", What.ROLLED_BACK: "back to version"}
"""What is marked on the path of the loop."""
FOOT: Final = 0.15
"""What is added to the axis of prices below them, for the small words."""
TOLD_HEIGHT: Final = 0.06
"""Height of a line of small words, as a share of the axis."""
NAME_HEIGHT: Final = 0.13
"""Least distance of two names beside the paths of skill, as a share of the axis."""
NOTE_CHARACTER, TOLD_CHARACTER = 0.0063, 0.0052
"""Width of a character of a note, and of a small one, as a share of the picture's width."""
MOST_NOTED: Final = 4
"""Alarms of one kind that are marked; more often, they are in the table alone."""


class Note(NamedTuple):
    """Words at a day."""

    day: date
    lines: tuple[str, ...]
    colour: str


@mpl.rc_context(STYLE)
def draw_timeline(outcome: Outcome) -> Figure:
    """The picture, 1200 dots wide at 100 an inch."""
    figure = Figure(figsize=(WIDE_IN, HIGH_IN), layout="constrained")
    notes = list(_write_notes(outcome))
    rows = _stack_notes(notes, outcome, NOTE_CHARACTER)
    n_rows = max(rows, default=0) + 1 if notes else 1
    grid = figure.subplots(
        4, 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": [0.52 * n_rows + 0.1, 3.2, 1.7, 1.2]}
    )
    lane, price, skill, cusum = grid[:, 0]
    _draw_notes(lane, notes, rows, n_rows)
    _draw_price(price, outcome)
    _draw_told(price, _write_told(outcome), outcome)
    _draw_skill(skill, outcome)
    _draw_cusum(cusum, outcome)
    for note in notes:
        for axes in (price, skill, cusum):
            axes.axvline(_number(note.day), color=note.colour, linewidth=0.8, alpha=0.55, zorder=1)
    mark_dates(cusum, most=12)
    first, last = _number(outcome.days[0]), _number(outcome.days[-1])
    cusum.set_xlim(first, last + 0.13 * (last - first))
    return figure


def _write_notes(outcome: Outcome) -> list[Note]:
    return [Note(each.begin, tuple(_tell(each)), MISS) for each in list_incidents(outcome)]


def _write_told(outcome: Outcome) -> list[Note]:
    """Alarms that no fault explains, in order of time."""
    alarms = [each for each in list_alarms(outcome) if len(each.days) <= MOST_NOTED]
    return sorted(Note(day, (f"told: {name_finding(each.finding)}",), SECOND) for each in alarms for day in each.days)


def _tell(incident: Incident) -> list[str]:
    return [incident.what, f"noticed {describe_delay(incident.delay_days)}", incident.done]


def _stack_notes(notes: list[Note], outcome: Outcome, character: float) -> list[int]:
    """The row of each note, so that none lies over another."""
    first, last = _number(outcome.days[0]), _number(outcome.days[-1])
    ends: list[float] = []
    rows = []
    for note in notes:
        begin = (_number(note.day) - first) / (1.13 * (last - first) or 1.0)
        width = character * (max(map(len, note.lines)) + 2)
        row = next((k for k, end in enumerate(ends) if end <= begin), len(ends))
        ends[row:] = [begin + width, *ends[row + 1 :]]
        rows.append(row)
    return rows


def _draw_notes(axes: Axes, notes: list[Note], rows: list[int], n_rows: int) -> None:
    axes.set(ylim=(0, n_rows), yticks=[])
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)
    axes.tick_params(labelbottom=False)
    for note, row in zip(notes, rows, strict=True):
        x, top = _number(note.day), n_rows - row
        axes.plot([x, x], [0, top - 0.06], color=note.colour, linewidth=0.8, alpha=0.55)
        for k, line in enumerate(note.lines):
            axes.annotate(
                line, (x, top), xytext=(4, -1 - 10.5 * k), textcoords="offset points", va="top", fontsize=8,
                color=note.colour if k == 0 else MUTED, fontweight="normal" if k else "bold", annotation_clip=False,
            )  # fmt: skip


def _draw_price(axes: Axes, outcome: Outcome) -> None:
    days = _numbers(outcome)
    low, high = (_bridge(np.array(path)) for path in (outcome.low, outcome.high))
    axes.fill_between(days, low, high, color=ACCENT, alpha=BAND_80_ALPHA, linewidth=0)
    axes.plot(days, outcome.price, color=INK, linewidth=0.9)
    if min(outcome.price) > 0 and max(outcome.price) > 2 * min(outcome.price):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
    low_end, high_end = axes.get_ylim()
    is_log = axes.get_yscale() == "log"
    axes.set_ylim(low_end / (high_end / low_end) ** FOOT if is_log else low_end - FOOT * (high_end - low_end), high_end)
    axes.set_ylabel(outcome.unit)
    for words, colour, lower in ((outcome.series_id, INK, 0), ("80 % interval, forecast", ACCENT, 12)):
        axes.annotate(
            words, (days[-1], outcome.price[-1]), xytext=(6, -lower), textcoords="offset points", va="center",
            fontsize=8.5, color=colour, annotation_clip=False,
        )  # fmt: skip


def _draw_told(axes: Axes, told: list[Note], outcome: Outcome) -> None:
    """Dots and small words at the foot of the axes: what somebody was told, and nothing was done about."""
    foot = axes.get_xaxis_transform()
    for note, row in zip(told, _stack_notes(told, outcome, TOLD_CHARACTER), strict=True):
        height = TOLD_HEIGHT * (row + 0.5)
        axes.plot(_number(note.day), height, "o", color=SECOND, markersize=3.5, transform=foot)
        axes.annotate(
            note.lines[0], (_number(note.day), height), xycoords=foot, xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=7.5, color=SECOND,
        )  # fmt: skip


def _draw_skill(axes: Axes, outcome: Outcome) -> None:
    """Loss that each arm has saved against the baseline so far, in average daily losses of it."""
    days, ends = _numbers(outcome), []
    for policy in Policy:
        saved = _gather(outcome, policy)
        is_loop = policy is Policy.LOOP
        axes.plot(days, saved, color=COLOURS[policy], linewidth=1.6 if is_loop else 1.1, zorder=3 if is_loop else 2)
        ends.append((float(saved[-1]), policy))
    gathered = dict(zip(outcome.days, _gather(outcome, Policy.LOOP), strict=True))
    for each in outcome.happenings:
        if each.what in DEEDS and each.day != outcome.days[0]:
            place = (_number(each.day), gathered[each.day])
            axes.plot(*place, "o", color=ACCENT, markersize=5, markeredgecolor="white", zorder=4)
            axes.annotate(
                f"{DEEDS[each.what]} {each.version}", place, xytext=(5, 7), textcoords="offset points", fontsize=8,
                color=ACCENT, zorder=5,
            )  # fmt: skip
    axes.axhline(0, color=GRID, linewidth=1.2)
    axes.set_title("Loss saved so far against the EWMA baseline, in days of its loss", fontsize=9, color=MUTED)
    low, high = axes.get_ylim()
    ends.sort()
    places = _spread([end for end, _ in ends], NAME_HEIGHT * (high - low))
    for height, (_, policy) in zip(places, ends, strict=True):
        axes.annotate(
            POLICY_NAMES[policy], (days[-1], height), xytext=(6, 0), textcoords="offset points", va="center",
            fontsize=8.5, color=COLOURS[policy], fontweight="bold" if policy is Policy.LOOP else "normal",
            annotation_clip=False,
        )  # fmt: skip


def _draw_cusum(axes: Axes, outcome: Outcome) -> None:
    days, path = _numbers(outcome), np.nan_to_num(np.array(outcome.cusum))
    axes.fill_between(days, 0, path, color=SECOND, alpha=0.25, linewidth=0)
    axes.plot(days, path, color=SECOND, linewidth=0.9)
    axes.axhline(outcome.threshold, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    over = np.flatnonzero(path > outcome.threshold)
    axes.plot(days[over], path[over], "o", color=MISS, markersize=4)
    axes.annotate(
        "train again", (days[-1], outcome.threshold), xytext=(6, 2), textcoords="offset points", va="bottom",
        fontsize=8.5, color=INK,
    )  # fmt: skip
    axes.set_title("Skill CUSUM of the model in service", fontsize=9, color=MUTED)
    axes.set_ylim(0, max(1.25 * outcome.threshold, 1.08 * float(path.max(initial=0.0))))


def _gather(outcome: Outcome, policy: Policy) -> Floats:
    arm = outcome.arm(policy)
    loss, baseline = np.array(arm.loss), np.array(arm.baseline_loss)
    saved: Floats = np.cumsum(np.nan_to_num(baseline - loss)) / float(np.nanmean(np.append(baseline, np.nan)))
    return saved


def _bridge(path: Floats) -> Floats:
    """The path without gaps of a single day, such as those behind a holiday.

    >>> _bridge(np.array([1.0, np.nan, 3.0, np.nan, np.nan])).tolist()
    [1.0, 2.0, 3.0, nan, nan]
    """
    between = np.full(len(path), np.nan)
    between[1:-1] = (path[:-2] + path[2:]) / 2
    return np.where(np.isnan(path), between, path)


def _spread(values: list[float], least: float) -> list[float]:
    """Ascending values moved apart.

    >>> _spread([0.0, 0.1, 5.0], 1.0)
    [0.0, 1.0, 5.0]
    """
    placed: list[float] = []
    for value in values:
        placed.append(max(value, placed[-1] + least) if placed else value)
    return placed


def _numbers(outcome: Outcome) -> Floats:
    return np.array([_number(day) for day in outcome.days])


def _number(day: date) -> float:
    return float(date2num(day))  # type: ignore[no-untyped-call]
