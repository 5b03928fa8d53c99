"""Which features, how long ago, widen or narrow a network's intervals: Shapley values of feature x lag-bucket groups.

The value explained is the log-stretch averaged over the horizons: +0.1 means intervals a tenth wider than the
baseline's. A group that is left out takes the mean of its feature over the validation origins.
"""

from typing import Final

import numpy as np
import pandas as pd
import torch

from loopcast.config import Problem
from loopcast.families import lag_buckets
from loopcast.features import Design, build_design, window_rows
from loopcast.model.forecaster import Forecaster
from loopcast.model.residual import Residual
from loopcast.model.split import split_for_service
from loopcast.typing import Floats, Ints

MAX_ORIGINS: Final = 40
"""Origins explained for the global picture; the mean of absolute values then moves by a few percent between samples."""
PERMUTATIONS: Final = 1
"""Random orders, each walked forth and back, for each origin; its noise averages out over the origins."""


def explain_forecaster(forecaster: Forecaster, panel: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """A frame that keeps `contracts.Explanation`; without rows for a plain formula, which explains itself."""
    if not isinstance(forecaster, Residual):
        return pd.DataFrame(columns=["feature", "lag_bucket", "importance"])
    design = build_design(panel, problem)
    return explain_globally(forecaster, design, split_for_service(design, problem).validation, problem)


def explain_globally(forecaster: Residual, design: Design, rows: Ints, problem: Problem) -> pd.DataFrame:
    """The mean absolute Shapley value of each group over an even sample of the rows.

    Returns:
        Columns feature, lag_bucket, importance (of the log-stretch); buckets nearest first.

    Source: Lundberg and Lee (2017), A Unified Approach to Interpreting Model Predictions.
    """
    chosen = rows[np.linspace(0, len(rows) - 1, min(MAX_ORIGINS, len(rows))).astype(int)]
    buckets = lag_buckets(problem)
    values = np.stack([explain_origin(forecaster, design, row, rows, problem) for row in chosen])
    names = [(feature, name) for feature in design.feature_names for name, _, _ in buckets]
    frame = pd.DataFrame(names, columns=["feature", "lag_bucket"])
    return frame.assign(importance=np.abs(values).mean(axis=0).ravel())


def explain_origin(forecaster: Residual, design: Design, row: int, background: Ints, problem: Problem) -> Floats:
    """The Shapley values of one origin's groups, shape (F, buckets), in log-stretch.

    Args:
        background: Rows whose mean features stand for a group that is left out.
    """
    from shap.explainers import Permutation

    buckets = lag_buckets(problem)
    n_features, length = design.inputs.shape[1], problem.network.context_length
    window = design.inputs[window_rows(design, np.array([row]), length)[0]]
    absent = np.broadcast_to(design.inputs[background].mean(axis=0), window.shape)
    bucket_of_row = np.zeros(length, dtype=np.int64)
    for index, (_, first, last) in enumerate(buckets):
        bucket_of_row[length - 1 - last : length - first] = index
    shares = design.calendar_patterns[design.calendar[row]] - forecaster.calendar_mean
    calendar = torch.from_numpy(shares.astype(np.float32))

    @torch.no_grad()
    def log_stretch(present: Floats) -> Floats:
        is_present = present.reshape(-1, n_features, len(buckets))[:, :, bucket_of_row].transpose(0, 2, 1) > 0
        windows = torch.from_numpy(np.where(is_present, window, absent))
        _, stretch = forecaster.answer(windows, calendar.expand(len(windows), -1, -1))
        return stretch.mean(dim=1).double().numpy()

    n_groups = n_features * len(buckets)
    explainer = Permutation(log_stretch, np.zeros((1, n_groups)), seed=0)
    rounds = PERMUTATIONS * (2 * n_groups + 1)
    values = explainer(np.ones((1, n_groups)), max_evals=rounds, silent=True).values
    return np.asarray(values[0], dtype=float).reshape(n_features, len(buckets))
