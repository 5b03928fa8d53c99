"""A replay as a whole: one archive, one first model, and three ways of looking after it, side by side."""

import time
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.evidence.formats import name_candidate
from loopcast.evidence.metrics import interval_ends
from loopcast.health.steps import Column, measure_columns
from loopcast.progress import track
from loopcast.replay.archive import Archive, View, as_moment
from loopcast.replay.faults import Faults
from loopcast.replay.log import Library, Log
from loopcast.replay.loop import Loop
from loopcast.replay.outcome import ArmDays, Outcome, Policy, What
from loopcast.replay.service import Service, walk_unwatched
from loopcast.replay.versions import (
    Version,
    judge_challenger,
    train_challenger,
    train_side_by_side,
)
from loopcast.typing import Floats, Ints

N_SEEDS: Final = 2
"""Networks of each model of a replay: three fewer than usual, for two fifths of the time."""


def run_replay(
    raw: pd.DataFrame,
    problem: Problem,
    faults: Faults,
    start: date,
    end: date,
    n_processes: int,
    n_seeds: int = N_SEEDS,
) -> Outcome:
    """Walk from one date to another, both included, and tell what happened.

    Args:
        raw: As `stores.sources.read_source` returns it.
        n_processes: Fits at once.
        n_seeds: Networks of each model.

    Raises:
        ProblemError: There is no day to walk, or a fault concerns what is not there.
        DataRefusedError: No first model can be made of what was known before.
    """
    began = time.monotonic()
    problem = problem.model_copy(update={"training": problem.training.model_copy(update={"n_seeds": n_seeds})})
    archive = Archive(raw, problem, faults, start, end)
    views = list(track(archive.views(), len(archive.days), f"{problem.name}: days come in"))
    first = _train_first(archive.prior(), problem, n_processes)
    n_days = len(views)

    loop = Loop(Service(archive, Library(archive), first.version), n_processes)
    loop.service.tell(views[0], What.PROMOTED, first.sentence)
    for _ in track(loop.walk(views), n_days, f"{problem.name}: {n_days} days"):
        pass
    still = Service(archive, Library(archive), first.version)
    for _ in walk_unwatched(still, views, {}):
        pass
    changes = _train_quarterly(views, first.version, problem, n_processes)
    quarterly = Service(archive, Library(archive), first.version)
    for _ in walk_unwatched(quarterly, views, changes):
        pass
    arms = {Policy.LOOP: loop.service, Policy.NOTHING: still, Policy.QUARTERLY: quarterly}
    return Outcome(
        problem=problem.name,
        title=problem.title,
        unit=problem.unit,
        series_id=loop.service.library.series_ids[0],
        faults=archive.faults,
        left_out=archive.left_out,
        days=tuple(archive.days),
        happenings=tuple(loop.service.happenings),
        arms=tuple(_judge_arm(policy, service, views) for policy, service in arms.items()),
        cusum=tuple(loop.cusum),
        threshold=problem.monitoring.skill_threshold,
        **_read_band(archive, loop.service.log)._asdict(),
        n_trainings={Policy.LOOP: loop.n_trainings, Policy.NOTHING: 0, Policy.QUARTERLY: len(changes)},
        wall_s=time.monotonic() - began,
    )


class _First(NamedTuple):
    version: Version
    sentence: str


def _train_first(eve: View, problem: Problem, n_processes: int) -> _First:
    """The model in service when the walk begins: it goes before the gate, and serves whatever that says."""
    if eve.refusal is not None:
        raise DataRefusedError(eve.refusal)
    challenger = train_challenger(eve, problem, 1, n_processes)
    verdict = judge_challenger(challenger, None, eve, problem)
    name = name_candidate(challenger.version.candidate)
    said = "passes the gate" if verdict.is_promoted else f"serves although {'; '.join(verdict.reasons)}"
    return _First(challenger.version, f"Version 1 ({name}) {said}")


def _train_quarterly(views: list[View], first: Version, problem: Problem, n_processes: int) -> dict[int, Version]:
    """A version behind the first day of each quarter whose data are accepted, by the position of the day."""
    chosen: dict[tuple[int, int], int] = {}
    for day, view in enumerate(views):
        quarter = (view.day.year, (view.day.month - 1) // 3)
        if quarter != (views[0].day.year, (views[0].day.month - 1) // 3) and view.refusal is None:
            chosen.setdefault(quarter, day)
    days = list(chosen.values())
    versions = train_side_by_side(
        [views[day] for day in days], first.candidate, problem, first.number + len(views), n_processes
    )
    return dict(zip(days, versions, strict=True))


def _judge_arm(policy: Policy, service: Service, views: list[View]) -> ArmDays:
    """The losses of each day's forecasts, by what came true in the end."""
    archive, log, n_days = service.archive, service.log, len(views)
    loss = baseline = np.full(n_days, np.nan)
    steps = log.steps(0, archive.truth())
    if steps is not None:
        day = np.repeat([each.number for each in log.entries], archive.problem.horizon)
        values = measure_columns(steps, archive.problem)
        loss, baseline = (_average(values[each], day, n_days) for each in (Column.PINBALL, Column.BASELINE_PINBALL))
    return ArmDays(
        policy=policy, loss=tuple(loss.tolist()), baseline_loss=tuple(baseline.tolist()), version=tuple(service.serving)
    )


def _average(values: Floats, day: Ints, n_days: int) -> Floats:
    """Mean of what is known on each day, NaN where nothing is, shape (n_days,)."""
    is_known = np.isfinite(values)
    n = np.bincount(day[is_known], minlength=n_days)
    total = np.bincount(day[is_known], values[is_known], n_days)
    means: Floats = np.divide(total, n, out=np.full(n_days, np.nan), where=n > 0)
    return means


class _Band(NamedTuple):
    price: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def _read_band(archive: Archive, log: Log) -> _Band:
    """The drawn series by day, and the 80 % interval of the forecast that looked furthest ahead to it."""
    problem, name = archive.problem, log.library.series_ids[0]
    times, values = archive.edition(()).observed[name]
    ends = np.array([as_moment(end) for end in archive.ends])
    price = values[np.maximum(np.searchsorted(times, ends, side="right") - 1, 0)]
    low, high = np.full(len(ends), np.nan), np.full(len(ends), np.nan)
    steps = log.steps(0, archive.truth())
    if steps is not None:
        far = steps.take((steps.horizon == problem.horizon) & (steps.series == 0))
        scale = np.ones(len(far))
        if problem.transform == "log":
            scale = archive.edition(()).look_up(name, far.origin_utc, archive.truth().until) / far.origin_value
        at = np.searchsorted(ends, far.target_utc)
        inside = at < len(ends)
        quantiles = (far.quantiles * scale[:, None])[:, None]
        ends_of = interval_ends(quantiles, np.asarray(problem.quantiles), 0.80)
        for path, found in zip((low, high), ends_of, strict=True):
            path[at[inside]] = found[inside, 0]
    return _Band(tuple(price.tolist()), tuple(low.tolist()), tuple(high.tolist()))
