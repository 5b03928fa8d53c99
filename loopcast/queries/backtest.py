"""What the champion says of one series at past origins, beside what came true.

The version was fitted to all that lies before the end of its training data, so that what it says there is no evidence
of its skill. Both sides of that end are judged apart; that of all candidates, refitted as they would have been, is for
`evidence.backtest`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self

import numpy as np
from pydantic import BaseModel

from loopcast.errors import DataRefusedError
from loopcast.evidence.comparison import compare
from loopcast.evidence.formats import format_percent, format_time
from loopcast.evidence.metrics import interval_ends, pinball_loss
from loopcast.evidence.record import RECORD, Moment
from loopcast.features import Design
from loopcast.grid import to_local
from loopcast.model.baselines import Ewma
from loopcast.model.bulk import speed_up
from loopcast.model.forecaster import forecast_rows
from loopcast.queries.champion import Champion, as_moment
from loopcast.queries.kinds import Report
from loopcast.queries.requests import BacktestRequest
from loopcast.queries.tables import open_table
from loopcast.typing import Bools, Floats, Ints, Times

MAX_STEPS: Final = 500_000
"""Origins times horizons of one backtest: a file of some 150 MB, and two thousand years of trading days."""
BLOCK_STEPS: Final = 5_000
"""Of these, computed and written at once: a tenth of a second."""
FORECASTS_FILE: Final = "forecasts.csv"
CLEAR_T: Final = 2.0
"""Statistic from which a gain or a loss is hardly chance."""
RENAMED: Final = {"is_covered_80": "coverage_80_ratio", "is_covered_95": "coverage_95_ratio"}
"""Means of flags, which are shares."""


class StepFigures(BaseModel):
    """How some steps did; losses and widths in the level's unit, None where no actual is known or nothing compares."""

    model_config = RECORD

    horizon: int | None
    """Steps ahead; None for all of them together."""
    n_judged: int
    """Whose actual is known."""
    pinball: float | None
    """Mean loss over the levels."""
    baseline_pinball: float | None
    """The same of the EWMA baseline."""
    skill_ratio: float | None
    """1 - the one / the other; above 0 is better than the baseline."""
    t_statistic: float
    """Of that gain; 0 where the data cannot tell. Above 2 it is hardly chance."""
    p_value: float
    n_dates: int
    coverage_80_ratio: float | None
    coverage_95_ratio: float | None
    width_80: float | None
    width_95: float | None
    baseline_width_80: float | None
    error_ratio: float | None
    """Mean absolute error of the median over that of saying that nothing changes; 1 is no better than that."""


class Stretch(BaseModel):
    """Origins on one side of the end of the training data."""

    model_config = RECORD

    is_evidence: bool
    """Whether they came after it: what the version was fitted to says nothing about its skill."""
    n_origins: int
    first_origin_utc: Moment
    last_origin_utc: Moment
    total: StepFigures
    by_horizon: tuple[StepFigures, ...]


class Backtest(BaseModel):
    """What the champion said of a series, by origins that are evidence and those that are none."""

    model_config = RECORD

    series_id: str
    model_version: int
    candidate: str
    unit: str
    transform: str
    trained_until_utc: Moment
    n_origins: int
    n_pending_steps: int
    """Steps whose actual is not known, also because the series had no such step."""
    stretches: tuple[Stretch, ...]
    """The earlier first; one or two."""
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class _Steps:
    """What is measured of n origins at H horizons, each of shape (n, H); NaN where the actual is not known."""

    pinball: Floats
    baseline_pinball: Floats
    is_covered_80: Floats
    is_covered_95: Floats
    width_80: Floats
    width_95: Floats
    baseline_width_80: Floats
    error: Floats
    persistence_error: Floats

    @classmethod
    def measure(cls, champion: Champion, rows: Ints, quantiles: Floats, changes: Floats) -> Self:
        """The figures of forecasts.

        Args:
            quantiles: Of the change of the level, shape (n, H, K).
            changes: What came true of it, shape (n, H), NaN where it is not known.
        """
        problem, levels = champion.problem, np.asarray(champion.problem.quantiles)
        baseline = Ewma(problem.features.decay, levels).quantiles(champion.design, rows)
        known = np.where(np.isfinite(changes), 0.0, np.nan)
        low_80, high_80 = interval_ends(quantiles, levels, 0.80)
        low_95, high_95 = interval_ends(quantiles, levels, 0.95)
        baseline_low, baseline_high = interval_ends(baseline, levels, 0.80)
        median = quantiles[..., int(np.argmin(np.abs(levels - 0.5)))]
        return cls(
            pinball=pinball_loss(changes, quantiles, levels),
            baseline_pinball=pinball_loss(changes, baseline, levels),
            is_covered_80=np.where((changes >= low_80) & (changes <= high_80), 1.0, known),
            is_covered_95=np.where((changes >= low_95) & (changes <= high_95), 1.0, known),
            width_80=high_80 - low_80 + known,
            width_95=high_95 - low_95 + known,
            baseline_width_80=baseline_high - baseline_low + known,
            error=np.abs(changes - median),
            persistence_error=np.abs(changes),
        )

    @classmethod
    def join(cls, parts: "Sequence[_Steps]") -> Self:
        """Parts one below the other."""
        return cls(**{each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)})


def backtest_series(request: BacktestRequest, champion: Champion, folder: Path, report: Report) -> Backtest:
    """How the champion's forecasts of a series did, and each of them in a CSV in the folder.

    An origin at the end of the training data counts as after it: none of its targets was seen.

    Raises:
        DataRefusedError: The series is not forecast, or has no origins in the range, or too many.
    """
    rows = _choose_rows(request, champion)
    design, problem = champion.design, champion.problem
    report(0.0, f"{len(rows):,} origins of {request.series_id}")
    model = speed_up(champion.model, champion.folder, design, rows)
    is_evidence = design.timestamp_utc[rows] >= np.datetime64(champion.trained_until_utc.replace(tzinfo=None))
    n_at_once = max(BLOCK_STEPS // problem.horizon, 1)
    parts = []
    with open_table(folder / FORECASTS_FILE) as table:
        for first in range(0, len(rows), n_at_once):
            block = rows[first : first + n_at_once]
            quantiles, changes = model.quantiles(design, block), _find_changes(design, block)
            parts.append(_Steps.measure(champion, block, quantiles, changes))
            actual = design.level[block, None] + changes
            table.write(
                forecast_rows(quantiles, design, block, problem).assign(
                    actual=(np.exp(actual) if problem.transform == "log" else actual).ravel(),
                    is_evidence=np.repeat(is_evidence[first : first + n_at_once], problem.horizon),
                )
            )
            n_done = first + len(block)
            report(n_done / len(rows), f"{n_done:,} of {len(rows):,} origins of {request.series_id}")
    steps, origins = _Steps.join(parts), design.timestamp_utc[rows]
    sides = [is_side for is_side in (~is_evidence, is_evidence) if is_side.any()]
    stretches = tuple(_sum_up(steps, origins, is_side, is_evidence=is_side is is_evidence) for is_side in sides)
    return Backtest(
        series_id=request.series_id,
        model_version=champion.version,
        candidate=champion.model.candidate,
        unit=problem.unit,
        transform=problem.transform,
        trained_until_utc=champion.trained_until_utc,
        n_origins=len(rows),
        n_pending_steps=int(np.isnan(steps.error).sum()),
        stretches=stretches,
        sentences=tuple(sentence for each in stretches for sentence in _describe(each, champion)),
    )


def _choose_rows(request: BacktestRequest, champion: Champion) -> Ints:
    """The ready rows of the series in the range of days, ascending."""
    champion.find_latest(request.series_id)
    design, problem = champion.design, champion.problem
    mine = np.flatnonzero(design.is_ready & (design.series == design.series_ids.index(request.series_id)))
    days = to_local(design.timestamp_utc[mine], problem).astype("datetime64[D]")
    since = days[0] if request.since is None else np.datetime64(request.since)
    until = days[-1] if request.until is None else np.datetime64(request.until)
    rows = mine[(days >= since) & (days <= until)]
    if not len(rows):
        raise DataRefusedError(
            f"{request.series_id}: no origin from {since} to {until}; it can be forecast from {days[0]} to {days[-1]}"
        )
    if len(rows) * problem.horizon > MAX_STEPS:
        raise DataRefusedError(
            f"{request.series_id}: {len(rows):,} origins of {problem.horizon} steps from {since} to {until}, needs at "
            f"most {MAX_STEPS // problem.horizon:,} origins; ask for fewer days"
        )
    return rows


def _find_changes(design: Design, rows: Ints) -> Floats:
    """Change of the level from each origin to each target, NaN where the target was not observed, shape (n, H)."""
    following = rows[:, None] + np.arange(1, design.horizon + 1)
    following = np.minimum(following, len(design.level) - 1)
    return np.where(np.isfinite(design.targets[rows]), design.level[following] - design.level[rows, None], np.nan)


def _sum_up(steps: _Steps, origins: Times, is_side: Bools, *, is_evidence: bool) -> Stretch:
    def figures(horizon: int | None) -> StepFigures:
        is_chosen = np.isfinite(steps.error) & is_side[:, None]
        if horizon is not None:
            is_chosen &= np.arange(1, is_chosen.shape[1] + 1) == horizon
        means = {
            each.name: float(values[is_chosen].mean()) if is_chosen.any() else None
            for each in fields(steps)
            for values in [getattr(steps, each.name)]
        }
        error, persistence_error = means.pop("error"), means.pop("persistence_error")
        skill = compare(
            steps.pinball[is_chosen],
            steps.baseline_pinball[is_chosen],
            np.broadcast_to(origins[:, None], is_chosen.shape)[is_chosen],
            horizon or is_chosen.shape[1],
        )
        return StepFigures(
            horizon=horizon,
            n_judged=int(is_chosen.sum()),
            skill_ratio=skill.gain_ratio if np.isfinite(skill.gain_ratio) else None,
            t_statistic=skill.t_statistic,
            p_value=skill.p_value,
            n_dates=skill.n_dates,
            error_ratio=error / persistence_error if error is not None and persistence_error else None,
            **{RENAMED.get(name, name): value for name, value in means.items()},
        )

    found = origins[is_side]
    return Stretch(
        is_evidence=is_evidence,
        n_origins=len(found),
        first_origin_utc=as_moment(found[0]),
        last_origin_utc=as_moment(found[-1]),
        total=figures(None),
        by_horizon=tuple(figures(h) for h in range(1, steps.error.shape[1] + 1)),
    )


def _describe(stretch: Stretch, champion: Champion) -> list[str]:
    """What a stretch shows, in sentences."""
    problem, total = champion.problem, stretch.total
    first, last = (format_time(problem, each) for each in (stretch.first_origin_utc, stretch.last_origin_utc))
    where = f"{stretch.n_origins:,} origins from {first} to {last}"
    if total.skill_ratio is None or total.coverage_80_ratio is None or total.coverage_95_ratio is None:
        return [f"{where}: nothing has come true yet."]
    better = "below" if total.skill_ratio >= 0 else "above"
    surely = "" if abs(total.t_statistic) >= CLEAR_T else ", which may be chance"
    sentences = [
        f"{where}: the pinball loss is {format_percent(abs(total.skill_ratio))} {better} that of the EWMA baseline "
        f"(t = {total.t_statistic:.1f}){surely}; the 80 % interval held {format_percent(total.coverage_80_ratio)} of "
        f"what came true, the 95 % interval {format_percent(total.coverage_95_ratio)}."
    ]
    if not stretch.is_evidence:
        until = format_time(problem, champion.trained_until_utc)
        sentences.append(
            f"That is no evidence of skill: version {champion.version} was trained on the data until {until}, and saw "
            "what came true."
        )
    return sentences
