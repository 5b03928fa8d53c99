"""Why the newest forecast of a series is as wide as it is: each feature in each bucket of lags by itself.

The value explained is that of `model.attribution`, whose few families answer while a caller waits; both lead from the
same expected width to the same found one.
"""

import math
from datetime import datetime
from typing import Final

import numpy as np
from pydantic import BaseModel

from loopcast.errors import AttributionError
from loopcast.evidence.formats import format_percent
from loopcast.evidence.record import RECORD
from loopcast.families import lag_buckets
from loopcast.model.session import GraphSession
from loopcast.model.stretch import MAX_LOG_STRETCH
from loopcast.queries.champion import Champion, as_moment
from loopcast.queries.kinds import Report
from loopcast.queries.requests import ExplanationRequest
from loopcast.queries.shapley import ShapleyValues, estimate_shapley
from loopcast.queries.wording import Group, describe_effect, name_groups
from loopcast.typing import Bools, Floats

MAX_ERROR: Final = 0.0001
"""Standard error of each value, in log-stretch: a hundredth of a percent of the width, below what anybody acts on."""
MAX_ROUNDS: Final = 1000
"""Random orders, each walked forth and back: for 60 groups a quarter of a minute of one core."""
BLOCK_WINDOWS: Final = 256
"""Windows answered at once: a few hundredths of a second, and some MB."""
MAX_SENTENCES: Final = 8
MIN_TOLD: Final = 0.0025
"""Log-stretch below which a group is left out of the sentences: a quarter of a percent of the width."""


class GroupValue(BaseModel):
    """What one feature in one bucket of lags does to the width."""

    model_config = RECORD

    feature: str
    lag_bucket: str
    """Steps before the origin, such as 1–4; empty for the calendar of the steps ahead."""
    log_stretch: float
    """Its Shapley value."""
    error: float
    """Standard error of that."""
    width_ratio: float
    """e to that power: 1.1 makes the intervals a tenth wider."""


class Explanation(BaseModel):
    """Why intervals are as wide as they are: the expected log-stretch and all values add up to the one found."""

    model_config = RECORD

    series_id: str
    model_version: int
    origin_utc: datetime
    expected_log_stretch: float
    """With every feature at its mean."""
    found_log_stretch: float
    expected_width_ratio: float
    """Width over the baseline's, likewise."""
    found_width_ratio: float
    additivity_error: float
    """Difference of the found log-stretch from the sum of the rest: rounding."""
    n_rounds: int
    """Random orders that were walked forth and back."""
    max_error: float
    """Largest standard error."""
    groups: tuple[GroupValue, ...]
    """Greatest first."""
    sentences: tuple[str, ...]
    """The weightiest of them in words."""


def explain_latest(request: ExplanationRequest, champion: Champion, report: Report) -> Explanation:
    """The explanation of the newest forecast of a series.

    Raises:
        AttributionError: The model is a plain formula, which explains itself.
        DataRefusedError: The series is not forecast.
    """
    session, problem, design = champion.model.answering, champion.problem, champion.design
    if not isinstance(session, GraphSession):
        raise AttributionError(
            f"{problem.name}: version {champion.version}, which is in service, is {champion.model.candidate.value}, a "
            "formula of few inputs; only the width of linear and lstm can be attributed to features"
        )
    row = champion.find_latest(request.series_id)
    window, calendar = session.read_inputs(design, np.array([row]))
    groups = name_groups(design.feature_names, window[0], champion.background, problem)
    has_calendar = bool(problem.features.calendar)
    outputs = ("past_stretch", "calendar_stretch") if has_calendar else ("past_stretch",)
    n_past, n_features = len(groups) - has_calendar, len(design.feature_names)
    sizes = [last - first + 1 for _, first, last in lag_buckets(problem)]
    bucket_of_step = np.repeat(np.arange(len(sizes)), sizes)[::-1]

    def stretch(kept: Bools) -> Floats:
        """Log-stretch of each coalition; the calendar of the steps ahead is the last player."""
        is_kept = kept[:, :n_past].reshape(len(kept), n_features, -1)[:, :, bucket_of_step].transpose(0, 2, 1)
        worths = []
        for first in range(0, len(kept), BLOCK_WINDOWS):
            block = slice(first, first + BLOCK_WINDOWS)
            windows = np.where(is_kept[block], window, champion.background)
            past, *ahead = session.answer(windows, np.repeat(calendar, len(windows), axis=0), *outputs)
            moved = past + sum(each * kept[block, -1, None, None] for each in ahead)
            worths.append(np.clip(moved, -MAX_LOG_STRETCH, MAX_LOG_STRETCH).mean(axis=(1, 2), dtype=float))
        return np.concatenate(worths)

    share = 0.0

    def tell(n_rounds: int, error: float) -> None:
        nonlocal share
        share = max(share, n_rounds / MAX_ROUNDS, min((MAX_ERROR / error) ** 2 if error else 1.0, 1.0))
        known = f": shares of the width are known to {format_percent(error, 2)}" if np.isfinite(error) else ""
        report(share, f"{n_rounds} random orders of {len(groups)} groups{known}")

    found = estimate_shapley(stretch, len(groups), max_error=MAX_ERROR, max_rounds=MAX_ROUNDS, tell=tell)
    return _describe(request.series_id, champion, row, groups, found)


def _describe(series_id: str, champion: Champion, row: int, groups: list[Group], found: ShapleyValues) -> Explanation:
    order = np.argsort(-np.abs(found.values), kind="stable")
    return Explanation(
        series_id=series_id,
        model_version=champion.version,
        origin_utc=as_moment(champion.design.timestamp_utc[row]),
        expected_log_stretch=found.expected,
        found_log_stretch=found.found,
        expected_width_ratio=math.exp(found.expected),
        found_width_ratio=math.exp(found.found),
        additivity_error=found.found - found.expected - float(found.values.sum()),
        n_rounds=found.n_rounds,
        max_error=float(found.errors.max()),
        groups=tuple(
            GroupValue(
                feature=groups[i].feature,
                lag_bucket=groups[i].lag_bucket,
                log_stretch=float(found.values[i]),
                error=float(found.errors[i]),
                width_ratio=math.exp(found.values[i]),
            )
            for i in order
        ),
        sentences=tuple(
            describe_effect(groups[i], float(found.values[i]), champion.problem)
            for i in order[:MAX_SENTENCES]
            if abs(found.values[i]) > max(MIN_TOLD, 2 * found.errors[i])
        ),
    )
