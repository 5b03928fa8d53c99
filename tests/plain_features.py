"""The features once more, segment by segment in plain pandas: slow, and short enough to be read as their definition."""

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.panel import segment_ids


def measure_features(panel: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """One row for each of the panel: `scale`, and a column for each feature, NaN where unknown."""
    parts = [_measure(rows, problem) for _, rows in panel.groupby(segment_ids(panel, problem))]
    features = pd.concat(parts)
    if problem.columns.series_id is not None:
        for length in problem.features.scales[:2]:
            at_once = features[f"variance_{length}"].groupby(panel["timestamp_utc"])
            features[f"market_variance_{length}"] = at_once.transform("mean")
    return features


def _measure(rows: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    scales = problem.features.scales
    level = np.log(rows["target"]) if problem.transform == "log" else rows["target"]
    change = level.diff()
    variance = (rows["range_variance"] if problem.columns.ohlc else change**2).mask(rows["is_filled"])
    recent = variance.ewm(alpha=1 - problem.features.decay).mean()
    scale = np.sqrt(np.maximum(recent, np.maximum(1e-30, 1e-4 * variance.expanding().mean())))
    change = change.fillna(0.0)
    before = scale.shift(fill_value=scale.iloc[0])

    features = pd.DataFrame({"scale": scale, "change": (change / before).clip(-5, 5)})
    means = {f"variance_{m}": variance.rolling(m, min_periods=1).mean() for m in scales}
    for name, mean in (means | {"variance_all": variance.expanding().mean()}).items():
        features[name] = (0.5 * np.log(np.maximum(mean, 1e-4 * scale**2)) - np.log(scale)).clip(-3, 3)
    for m in scales[1:3]:
        features[f"change_{m}"] = (change.rolling(m, min_periods=1).sum() / (scale * m**0.5)).clip(-5, 5)
    if problem.columns.ohlc:
        features["overnight_change"] = (rows["overnight_change"] / scale).clip(-5, 5)
    for covariate in problem.columns.covariates:
        values = rows[f"covariate_{covariate.column}"]
        if covariate.transform == "log":
            values = np.log(values.where(values > 0))
        window = values.rolling(scales[-1], min_periods=5)
        features[covariate.column] = ((values - window.mean()) / (window.std() + 1e-9)).clip(-4, 4)
    return features
