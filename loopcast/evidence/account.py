"""What a training is accounted for with: the records that the report, its plots and its sentences are made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from pydantic import BaseModel

from loopcast.config import Problem
from loopcast.evidence.comparison import Comparison
from loopcast.evidence.gate import Verdict
from loopcast.evidence.metrics import Score
from loopcast.evidence.record import RECORD
from loopcast.features import build_design
from loopcast.model.forecaster import Forecaster, forecast_rows

TRACK_ORIGINS: Final = 250
"""Past forecasts of the drawn series that are kept and shown: a year of trading days."""


class IngestFacts(BaseModel):
    """What became of a source's rows."""

    model_config = RECORD

    n_rows: int
    n_refused: int
    notes: tuple[str, ...] = ()


class SnapshotFacts(BaseModel):
    """The data that the model was trained on."""

    model_config = RECORD

    sha256: str
    n_rows: int
    n_series: int
    first_utc: datetime
    last_utc: datetime
    n_refused: int
    notes: tuple[str, ...] = ()


class CandidateEvidence(BaseModel):
    """One candidate's score, and how it compares with the two baselines; None where a baseline did not run."""

    model_config = RECORD

    name: str
    score: Score
    vs_ewma: Comparison | None
    vs_garch: Comparison | None


class Evidence(BaseModel):
    """What a walk forward showed of all candidates."""

    model_config = RECORD

    candidates: tuple[CandidateEvidence, ...]
    offered: str
    """The candidate with the lowest loss; of equals the simplest."""
    n_series: int
    """Series that were scored: those that are forecast, and the pooled ones with enough history."""
    observed_ratios: tuple[float, ...]
    """Share of actuals at or below each of the problem's quantiles, of the offered candidate."""


@dataclass(frozen=True)
class Account:
    """Everything that a report says; columns of quantiles are named by `quantile_column`."""

    problem: Problem
    series_id: str
    """The series that is drawn."""
    snapshot: SnapshotFacts
    candidates: tuple[CandidateEvidence, ...]
    offered: str
    """The candidate that the gate was asked about."""
    n_series: int
    """Series that were scored."""
    verdict: Verdict | None
    """None: the gate was not asked."""
    history: pd.DataFrame
    """timestamp_utc, target: the drawn series up to its last observation, in the target's own unit."""
    fan: pd.DataFrame
    """timestamp_utc and every quantile: the next forecast, in the target's own unit."""
    track: pd.DataFrame
    """origin_utc, target_utc, horizon, actual and the quantiles of both intervals: the drawn series out of sample."""
    calibration: pd.DataFrame
    """level, observed_ratio: share of actuals at or below each quantile."""
    learning_curves: pd.DataFrame
    """seed, epoch, train_loss, validation_loss; no rows where nothing was trained by epochs."""
    explanation: pd.DataFrame | None
    """feature, lag_bucket, importance: mean absolute Shapley value; buckets in the order in which they first appear."""
    lineage: Mapping[str, str]

    @property
    def offer(self) -> CandidateEvidence:
        """The evidence of the candidate that is offered."""
        return next(candidate for candidate in self.candidates if candidate.name == self.offered)

    @property
    def ranking(self) -> list[CandidateEvidence]:
        """All candidates, the lowest pinball loss first."""
        return sorted(self.candidates, key=lambda candidate: candidate.score.pinball)


def choose_drawn_series(panel: pd.DataFrame, problem: Problem) -> str:
    """The series that reports draw: the first that is forecast and in the panel."""
    present = panel["series_id"].unique()
    named = [name for name in problem.forecast_series if name in present]
    return str((named or list(present))[0])


def describe_snapshot(sha256: str, panel: pd.DataFrame, facts: IngestFacts) -> SnapshotFacts:
    """What is worth knowing of a panel that was kept under this name."""
    times = panel["timestamp_utc"]
    return SnapshotFacts(
        sha256=sha256,
        n_rows=len(panel),
        n_series=panel["series_id"].nunique(),
        first_utc=times.min(),
        last_utc=times.max(),
        n_refused=facts.n_refused,
        notes=facts.notes,
    )


class TrainingOutcome(BaseModel):
    """What a training led to."""

    model_config = RECORD

    problem: str
    version: int
    candidate: str
    is_promoted: bool
    report: str
    """Path of the page."""


class Reproduction(BaseModel):
    """A model version that was rebuilt to the last bit."""

    model_config = RECORD

    problem: str
    version: int
    weights_sha256: str
    differences: tuple[str, ...]
    """What is different here and did not matter."""


def draw_up_account(
    problem: Problem,
    snapshot: SnapshotFacts,
    panel: pd.DataFrame,
    forecaster: Forecaster,
    evidence: Evidence,
    verdict: Verdict | None,
    track: pd.DataFrame,
    curves: pd.DataFrame,
    explanation: pd.DataFrame,
    lineage: Mapping[str, str],
) -> Account:
    """The account of a training, with the latest forecast of the series that is drawn."""
    series_id = choose_drawn_series(panel, problem)
    history = panel.loc[(panel["series_id"] == series_id) & ~panel["is_filled"], ["timestamp_utc", "target"]]
    design = build_design(panel, problem)
    # The last ready step: behind a fresh gap there may be none at the very end, and a report must not fail for that.
    rows = np.flatnonzero(design.is_ready & (design.series == design.series_ids.index(series_id)))[-1:]
    forecast = forecast_rows(forecaster.quantiles(design, rows), design, rows, problem)
    fan = forecast.rename(columns={"target_utc": "timestamp_utc"})
    return Account(
        problem=problem,
        series_id=series_id,
        snapshot=snapshot,
        candidates=evidence.candidates,
        offered=evidence.offered,
        n_series=evidence.n_series,
        verdict=verdict,
        history=history.reset_index(drop=True),
        fan=fan.drop(columns=["series_id", "origin_utc", "horizon"]).reset_index(drop=True),
        track=track,
        calibration=pd.DataFrame({"level": problem.quantiles, "observed_ratio": evidence.observed_ratios}),
        learning_curves=curves,
        explanation=explanation if len(explanation) else None,
        lineage=lineage,
    )
