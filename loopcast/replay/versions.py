"""Model versions of a replay: how they are trained as of a day, put before the gate, and asked for forecasts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from pandera.typing import DataFrame

from loopcast.config import Problem
from loopcast.contracts import OriginLosses
from loopcast.evidence.backtest import backtest_panel, measure_losses
from loopcast.evidence.gate import Verdict, decide
from loopcast.features import Design, build_design
from loopcast.model.fitting import refit_candidate
from loopcast.model.forecaster import Candidate
from loopcast.model.processes import open_workers
from loopcast.model.served import Answering
from loopcast.model.split import forecast_calendar
from loopcast.progress import track
from loopcast.replay.archive import View
from loopcast.replay.faults import Fault, FaultKind
from loopcast.typing import Floats, Ints

MOST_DATES: Final = 4
"""Dates of a walk forward, in units of `gate.min_dates`: two years tell of the present, and take a third of six."""
LEAST_DATES: Final = 2
"""The same where little is known yet: fewer say nothing of coverage."""


@dataclass(frozen=True)
class Distorted:
    """A model whose answers are wrong in a known way.

    Attributes:
        answering: The model itself.
        stretch: What its quantiles are multiplied by.
        shift: What is added to them, in EWMA deviations over the horizon.
        since_utc: The first origin of which that is so.
    """

    answering: Answering
    stretch: float
    shift: float
    since_utc: np.datetime64

    def quantiles(self, design: Design, rows: Ints) -> Floats:
        """As `Forecaster.quantiles`."""
        right = self.answering.quantiles(design, rows)
        reach = design.ewma_deviation[rows, None] * np.sqrt(np.arange(1, design.horizon + 1))
        is_wrong = (design.timestamp_utc[rows] >= self.since_utc)[:, None, None]
        return np.where(is_wrong, self.stretch * right + self.shift * reach[..., None], right)


@dataclass(frozen=True)
class Version:
    """A model version.

    Attributes:
        number: From 1, in the order in which they were made.
        faults: Numbers of the faults that its answers have.
        losses: Of the candidate in its walk forward; None where there was none.
        trained_until: Label of the last step that was known.
    """

    number: int
    candidate: Candidate
    answering: Answering
    losses: DataFrame[OriginLosses] | None
    trained_until: np.datetime64
    faults: tuple[int, ...] = ()


@dataclass(frozen=True)
class Challenger:
    """A version with the evidence that the gate reads: the losses of all candidates."""

    version: Version
    losses: DataFrame[OriginLosses]


def train_challenger(view: View, problem: Problem, number: int, n_processes: int) -> Challenger:
    """Fit what a training on that evening would have offered, with its walk forward."""
    fitting = shorten_evidence(problem, view)
    backtest = backtest_panel(view.panel, fitting, n_processes)
    candidate = Candidate(backtest.evidence.offered)
    forecaster = refit_candidate(candidate, view.panel, fitting, n_processes)
    losses = DataFrame[OriginLosses](backtest.losses)
    own = DataFrame[OriginLosses](losses[losses["candidate"] == candidate])
    return Challenger(Version(number, candidate, forecaster, own, _last_step(view)), losses)


def train_side_by_side(
    views: Sequence[View], candidate: Candidate, problem: Problem, first_number: int, n_processes: int
) -> list[Version]:
    """One version for each view, without a walk forward; a process fits one at a time."""
    if not views:
        return []
    design = build_design(views[0].panel, problem)
    with open_workers(design, problem, min(n_processes, len(views))) as workers:
        jobs = [(candidate, view.panel) for view in views]
        fitted = dict(track(workers.run(_fit_alone, jobs), len(jobs), f"{problem.name}: trainings by the calendar"))
    return [Version(first_number + k, candidate, fitted[k], None, _last_step(view)) for k, view in enumerate(views)]


def _fit_alone(design: Design, problem: Problem, candidate: Candidate, panel: pd.DataFrame) -> Answering:
    return refit_candidate(candidate, panel, problem, n_processes=1)


def judge_challenger(challenger: Challenger, champion: Version | None, view: View, problem: Problem) -> Verdict:
    """What the gate decides on that evening: the champion brings its walk forward and its days in service.

    Args:
        champion: Which has lost its skill, because for nothing else is a challenger trained; None for none yet.
    """
    theirs, age_days = None, 0.0
    if champion is not None:
        design = build_design(view.panel, problem)
        rows = np.flatnonzero(design.is_origin & (design.timestamp_utc >= champion.trained_until))
        since = measure_losses(design, rows, champion.answering.quantiles(design, rows), problem)
        parts = [since.assign(candidate=champion.candidate.value)]
        together = pd.concat(parts if champion.losses is None else [champion.losses, *parts], ignore_index=True)
        key = ["candidate", "series_id", "origin_utc"]
        theirs = DataFrame[OriginLosses](together.drop_duplicates(key, keep="first"))
        age_days = float((challenger.version.trained_until - champion.trained_until) / np.timedelta64(1, "D"))
    return decide(
        challenger.losses,
        challenger.version.candidate,
        theirs,
        horizon=problem.horizon,
        gate=problem.gate,
        champion_age_days=age_days,
        has_champion_lost_skill=champion is not None,
    )


def shorten_evidence(problem: Problem, view: View) -> Problem:
    """The problem with a walk forward over the recent past: enough for the gate, and not all the years before."""
    design = build_design(view.panel, problem)
    n_known = len(forecast_calendar(design, problem))
    earliest, latest = (n_known - problem.horizon - n * problem.gate.min_dates for n in (MOST_DATES, LEAST_DATES))
    configured = problem.backtest.initial_steps
    if configured is None and earliest <= n_known // 2:
        return problem
    initial = earliest if configured is None else min(max(configured, earliest), latest)
    backtest = problem.backtest.model_copy(update={"initial_steps": max(initial, 1)})
    return problem.model_copy(update={"backtest": backtest})


def distort(version: Version, fault: Fault, fault_number: int, since_utc: np.datetime64) -> Version:
    """The version with the wrong answers of a fault from an origin on."""
    is_poisoned = fault.kind is FaultKind.POISONED_MODEL
    wrong = Distorted(
        version.answering,
        stretch=fault.amount if is_poisoned else 1.0,
        shift=0.0 if is_poisoned else fault.amount,
        since_utc=since_utc,
    )
    return replace(version, answering=wrong, faults=(*version.faults, fault_number))


def _last_step(view: View) -> np.datetime64:
    last = view.panel["timestamp_utc"].max().tz_convert("UTC").tz_localize(None)
    return np.datetime64(last, "us")
