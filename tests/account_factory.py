"""Accounts with plausible figures, for tests of what is said and drawn: a simulated price and its forecasts."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from loopcast.config import Problem
from loopcast.evidence.account import Account, CandidateEvidence, SnapshotFacts
from loopcast.evidence.comparison import compare
from loopcast.evidence.gate import Rule, Verdict
from loopcast.evidence.metrics import observed_ratios, pinball_loss, score
from loopcast.model.forecaster import quantile_column
from loopcast.sections.data import Columns, Source
from loopcast.typing import Floats

SPREADS = {
    "lstm": 0.93, "linear": 1.0, "har": 0.82, "garch_t": 1.2, "ewma": 0.8, "historical_simulation": 1.5,
    "random_walk": 1.9,
}  # fmt: skip
"""Factor on the true standard deviation, so that candidates differ as they do in life."""


def make_problem(**changes: Any) -> Problem:
    """A daily price in dollars; keys as in a YAML."""
    keys: dict[str, Any] = {
        "name": "google", "title": "Daily price of Google's stock", "unit": "USD",
        "source": Source(uri="sample://stocks/GOOG"), "columns": Columns(timestamp="date", target="close"),
        "frequency": "B", "transform": "log", "time_zone": "America/New_York",
    }  # fmt: skip
    return Problem(**keys | changes)


def make_account(
    problem: Problem | None = None, *, n_dates: int = 600, offered: str = "lstm", **changes: Any
) -> Account:
    """An account of one simulated series, with any of its fields replaced."""
    problem = problem or make_problem()
    rng, horizon, levels = np.random.default_rng(7), problem.horizon, np.asarray(problem.quantiles)
    times = pd.date_range("2010-01-04 05:00", periods=n_dates + horizon, freq=problem.offset, tz="UTC").as_unit("us")
    volatility = 0.013 * np.exp(0.5 * np.sin(np.arange(len(times)) / 40))
    level = np.log(500) + np.cumsum(volatility * rng.standard_t(6, len(times)) / np.sqrt(1.5))
    steps = np.arange(1, horizon + 1)
    actual = np.stack([level[h : h + n_dates] for h in steps], axis=1)
    last, scale = level[:n_dates], volatility[:n_dates, None] * np.sqrt(steps)
    quantiles = {
        name: last[:, None, None] + spread * scale[..., None] * ndtri(levels) for name, spread in SPREADS.items()
    }
    dates = times[:n_dates].tz_localize(None).to_numpy()
    loss = {name: pinball_loss(actual, values, levels).mean(axis=1) for name, values in quantiles.items()}
    restore = np.exp if problem.transform == "log" else np.asarray
    candidates = tuple(
        CandidateEvidence(
            name=name,
            score=score(
                actual, values, levels, last=last, mean_change=np.full(n_dates, 0.01),
                rms_change=np.full(n_dates, 0.014), dates=dates, transform=problem.transform,
            ),
            vs_ewma=None if name == "ewma" else compare(loss[name], loss["ewma"], dates, horizon),
            vs_garch=None if name == "garch_t" else compare(loss[name], loss["garch_t"], dates, horizon),
        )
        for name, values in quantiles.items()
    )  # fmt: skip
    fields: dict[str, Any] = {
        "problem": problem,
        "series_id": "GOOG",
        "snapshot": SnapshotFacts(
            sha256="4be7a1c0" * 8, n_rows=12_431, n_series=5, first_utc=times[0], last_utc=times[-1], n_refused=0,
            notes=("FB is short: 197 rows before the first tested origin; it is pooled in training only.",),
        ),
        "candidates": candidates,
        "offered": offered,
        "n_series": 1,
        "verdict": Verdict(is_promoted=True, rule=Rule.FIRST_MODEL, reasons=(), figures={"coverage_80_ratio": 0.8}),
        "history": pd.DataFrame({"timestamp_utc": times[:n_dates], "target": restore(last)}),
        "fan": _tabulate(times[n_dates : n_dates + horizon], restore(quantiles["lstm"][-1]), levels),
        "track": _make_track(times, restore(actual), restore(quantiles["lstm"]), levels),
        "calibration": pd.DataFrame({"level": levels, "observed_ratio": observed_ratios(actual, quantiles["lstm"])}),
        "learning_curves": _make_curves(rng),
        "explanation": _make_explanation(rng),
        "lineage": {
            "Git commit": "9f2c1d7", "Execution": "local-2026-01-05", "Environment": "Python 3.11.7, torch 2.13.0",
            "Seed": "0 to 4", "Weights": "c0ffee12",
        },
    }  # fmt: skip
    return Account(**fields | changes)


def _tabulate(times: pd.DatetimeIndex, values: Floats, levels: Floats) -> pd.DataFrame:
    columns = {quantile_column(level): values[:, k] for k, level in enumerate(levels)}
    return pd.DataFrame({"timestamp_utc": times, **columns})


def _make_track(times: pd.DatetimeIndex, actual: Floats, quantiles: Floats, levels: Floats) -> pd.DataFrame:
    n_dates, horizon = actual.shape
    return pd.concat([
        _tabulate(times[h : h + n_dates], quantiles[:, h - 1], levels)
        .rename(columns={"timestamp_utc": "target_utc"})
        .assign(origin_utc=times[:n_dates], horizon=h, actual=actual[:, h - 1])
        for h in range(1, horizon + 1)
    ])  # fmt: skip


def _make_curves(rng: np.random.Generator) -> pd.DataFrame:
    epochs = np.arange(1, 41)
    return pd.concat([
        pd.DataFrame({
            "seed": seed, "epoch": epochs,
            "train_loss": 0.285 - 0.012 * (1 - np.exp(-epochs / 8)) + 0.0008 * rng.normal(size=len(epochs)),
            "validation_loss": 0.281 - 0.008 * (1 - np.exp(-epochs / 6)) + 0.00012 * (epochs - 14).clip(0)
            + 0.0004 * rng.normal(size=len(epochs)),
        })
        for seed in range(5)
    ])  # fmt: skip


def _make_explanation(rng: np.random.Generator) -> pd.DataFrame:
    features = (
        "change", "log_variance_1", "log_variance_5", "log_variance_22", "log_variance_66", "log_variance_expanding",
        "change_5", "change_22", "volume", "overnight_change", "week_of_quarter",
    )  # fmt: skip
    buckets = ("0", "1-4", "5-21", "22-43", "44-83")
    weight = np.outer(rng.gamma(1.2, 1.0, len(features)), [1, 0.7, 0.45, 0.2, 0.1])
    return pd.DataFrame([
        {"feature": feature, "lag_bucket": bucket, "importance": weight[i, j]}
        for i, feature in enumerate(features) for j, bucket in enumerate(buckets)
    ])  # fmt: skip
