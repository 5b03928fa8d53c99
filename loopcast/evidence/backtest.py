"""The walk forward that judges every candidate as it would have served: refitted now and then, never seeing ahead.

Each fold fits all candidates on what was known when its test block began, and scores them on the same origins.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.evidence.account import TRACK_ORIGINS, CandidateEvidence, Evidence, choose_drawn_series
from loopcast.evidence.comparison import Comparison, compare
from loopcast.evidence.metrics import interval_ends, observed_ratios, pinball_loss, score
from loopcast.evidence.thinning import thin_folds
from loopcast.features import Design, build_design
from loopcast.model.folder import FORECASTERS
from loopcast.model.forecaster import Candidate, forecast_rows
from loopcast.model.processes import Workers, open_workers
from loopcast.model.residual import Lstm
from loopcast.model.split import Split, split_walk_forward
from loopcast.model.training import TrainedNetwork, train_network
from loopcast.progress import track
from loopcast.typing import Floats, Ints


@dataclass(frozen=True)
class Backtest:
    """What a walk forward showed.

    Attributes:
        evidence: Of all candidates, and which of them is offered.
        losses: A frame that keeps `contracts.OriginLosses`, of all candidates.
        track: A frame that keeps `contracts.Track`: the offered candidate's last forecasts of one series.
    """

    evidence: Evidence
    losses: pd.DataFrame
    track: pd.DataFrame


def backtest_panel(panel: pd.DataFrame, problem: Problem, n_processes: int) -> Backtest:
    """Fit and score every candidate in every fold, in processes side by side.

    Args:
        panel: A frame that keeps `contracts.Panel`.
    """
    with open_workers(build_design(panel, problem), problem, n_processes) as workers:
        return run_backtest(workers, choose_drawn_series(panel, problem))


def run_backtest(workers: Workers, series_id: str) -> Backtest:
    """Fit and score every candidate in every fold.

    Args:
        workers: Hold the design and the problem.
        series_id: The series whose forecasts are kept to be drawn.
    """
    design, problem = workers.design, workers.problem
    folds = thin_folds(split_walk_forward(design, problem), design, problem)
    quantiles = _forecast_folds(workers, folds)
    rows = np.concatenate([fold.test for fold in folds])
    evidence, losses = [], []
    for candidate, values in quantiles.items():
        evidence.append(_judge(design, rows, values, quantiles, candidate, problem))
        losses.append(measure_losses(design, rows, values, problem).assign(candidate=candidate.value))
    offered = min(quantiles, key=lambda each: next(e.score.pinball for e in evidence if e.name == each))
    return Backtest(
        evidence=Evidence(
            candidates=tuple(evidence),
            offered=offered.value,
            n_series=len(np.unique(design.series[rows])),
            observed_ratios=tuple(observed_ratios(design.changes(rows), quantiles[offered]).tolist()),
        ),
        losses=pd.concat(losses, ignore_index=True),
        track=_track(design, rows, quantiles[offered], series_id, problem),
    )


def measure_losses(design: Design, rows: Ints, quantiles: Floats, problem: Problem) -> pd.DataFrame:
    """Loss and coverage at each origin: `contracts.OriginLosses` without the candidate.

    Args:
        rows: Origins, shape (n,).
        quantiles: Of the changes from them, shape (n, H, K).
    """
    levels, actual = np.asarray(problem.quantiles), design.changes(rows)
    inside = {}
    for nominal in (0.80, 0.95):
        lower, upper = interval_ends(quantiles, levels, nominal)
        inside[nominal] = ((actual >= lower) & (actual <= upper)).mean(axis=1)
    return pd.DataFrame(
        {
            "series_id": np.asarray(design.series_ids, dtype=object)[design.series[rows]],
            "origin_utc": pd.DatetimeIndex(design.timestamp_utc[rows]).tz_localize("UTC"),
            "pinball": pinball_loss(actual, quantiles, levels).mean(axis=1),
            "is_covered_80": inside[0.80],
            "is_covered_95": inside[0.95],
        }
    )


def fit_fold(
    design: Design, problem: Problem, fold: Split, candidate: Candidate, seed: int | None
) -> TrainedNetwork | Floats:
    """One trained network of the LSTM, or the quantiles of any other candidate at the tested origins."""
    if seed is not None:
        return train_network(design, fold, problem, seed)
    fitted = FORECASTERS[candidate].fit(design, fold, problem)
    return fitted.quantiles(design, fold.test)


def _forecast_folds(workers: Workers, folds: list[Split]) -> dict[Candidate, Floats]:
    """Quantiles of each candidate at the tested origins of all folds, shape (n, H, K)."""
    design, problem = workers.design, workers.problem
    jobs: list[tuple[int, Candidate, int | None]] = []
    for k in range(len(folds)):
        jobs += [(k, Candidate.LSTM, seed) for seed in problem.training.seeds]
        jobs += [(k, candidate, None) for candidate in Candidate if candidate is not Candidate.LSTM]
    results = workers.run(fit_fold, [(folds[k], candidate, seed) for k, candidate, seed in jobs])
    done = dict(track(results, len(jobs), f"{problem.name}: backtest of {len(folds)} folds"))
    quantiles: dict[Candidate, Floats] = {}
    for candidate in Candidate:
        parts = []
        for k, fold in enumerate(folds):
            found = [done[i] for i, (fold_of_job, name, _) in enumerate(jobs) if (fold_of_job, name) == (k, candidate)]
            networks = [each for each in found if isinstance(each, TrainedNetwork)]
            if networks:
                parts.append(Lstm.from_networks(networks, design, fold, problem).quantiles(design, fold.test))
            else:
                parts += [each for each in found if isinstance(each, np.ndarray)]
        quantiles[candidate] = np.concatenate(parts)
    return quantiles


def _judge(
    design: Design,
    rows: Ints,
    values: Floats,
    quantiles: dict[Candidate, Floats],
    candidate: Candidate,
    problem: Problem,
) -> CandidateEvidence:
    actual, levels, dates = design.changes(rows), np.asarray(problem.quantiles), design.timestamp_utc[rows]
    level = design.level[rows]
    mean_change, rms_change = _in_sample_changes(design, rows)

    def loss(name: Candidate) -> Floats:
        return np.asarray(pinball_loss(actual, quantiles[name], levels).mean(axis=1), dtype=float)

    def versus(name: Candidate) -> Comparison | None:
        return None if name is candidate else compare(loss(candidate), loss(name), dates, design.horizon)

    return CandidateEvidence(
        name=candidate.value,
        score=score(
            actual + level[:, None],
            values + level[:, None, None],
            levels,
            last=level,
            mean_change=mean_change,
            rms_change=rms_change,
            dates=dates,
            transform=problem.transform,
        ),
        vs_ewma=versus(Candidate.EWMA),
        vs_garch=versus(Candidate.GARCH_T),
    )


def _in_sample_changes(design: Design, rows: Ints) -> tuple[Floats, Floats]:
    """Mean absolute and root mean square one-step change of each row's series before its first tested origin."""
    mean, square = np.zeros(len(design.series_ids)), np.zeros(len(design.series_ids))
    for code in np.unique(design.series[rows]):
        before = design.timestamp_utc < design.timestamp_utc[rows[design.series[rows] == code]].min()
        changes = design.change[(design.series == code) & before & (design.position > 0)]
        mean[code], square[code] = np.abs(changes).mean(), np.sqrt((changes**2).mean())
    return mean[design.series[rows]], square[design.series[rows]]


def _track(design: Design, rows: Ints, quantiles: Floats, series_id: str, problem: Problem) -> pd.DataFrame:
    chosen = np.flatnonzero(design.series[rows] == design.series_ids.index(series_id))[-TRACK_ORIGINS:]
    frame = forecast_rows(quantiles[chosen], design, rows[chosen], problem)
    levels = design.level[rows[chosen], None] + design.changes(rows[chosen])
    return frame.assign(actual=(np.exp(levels) if problem.transform == "log" else levels).ravel())
