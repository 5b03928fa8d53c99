"""What widens or narrows one forecast's intervals: exact Shapley values of families of features, while a caller waits.

The value explained is the log-stretch averaged over the horizons: +0.1 means intervals a tenth wider than the
baseline's. Finer values, of each feature at each lag, are for `explanation`.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np

from loopcast.errors import AttributionError
from loopcast.families import Family, describe_family, list_features
from loopcast.features import Design
from loopcast.model.served import ServedModel
from loopcast.model.session import GraphSession
from loopcast.model.stretch import MAX_LOG_STRETCH
from loopcast.typing import Bools, Floats, Floats32


@dataclass(frozen=True)
class Attribution:
    """Why intervals are as wide as they are; G groups.

    Attributes:
        groups: Each in words, G <= 8.
        values: What each adds to the log-stretch, shape (G,); together the difference of `found` and `expected`.
        expected: Log-stretch of the average step.
        found: Log-stretch of the forecast.
    """

    groups: tuple[str, ...]
    values: Floats
    expected: float
    found: float


def attribute_width(model: ServedModel, design: Design, row: int, background: Floats32) -> Attribution:
    """The Shapley values of the forecast from a row.

    Every combination of families is asked for; one that is left out takes the background's value at every lag.

    Args:
        row: A ready one.
        background: Features of the average step, shape (F,).

    Raises:
        AttributionError: The model is a plain formula, which explains itself.

    Source: Shapley (1953), A value for n-person games.
    """
    session = model.answering
    if not isinstance(session, GraphSession):
        raise AttributionError(
            f"{model.problem.name}: the model in service is {model.candidate.value}, a formula of few inputs; only the "
            "width of linear and lstm can be attributed to features"
        )
    family_of_feature = [family for _, family in list_features(model.problem)]
    families = [each for each in Family if each in family_of_feature]
    window, calendar = session.read_inputs(design, np.array([row]))
    is_kept = _lay_coalitions(len(families))[0][:, [families.index(each) for each in family_of_feature]]
    windows = np.where(is_kept[:, None], window, background)
    calendars = np.broadcast_to(calendar, (len(windows), *calendar.shape[1:]))
    if model.problem.features.calendar:
        # The calendar is added to what the networks make of the past, which need not be computed anew for it.
        past, ahead = session.answer(windows, calendars, "past_stretch", "calendar_stretch")
        families.append(Family.CALENDAR)
        past = np.concatenate([past, past + ahead])
    else:
        [past] = session.answer(windows, calendars, "past_stretch")
    stretch = np.clip(past, -MAX_LOG_STRETCH, MAX_LOG_STRETCH).mean(axis=(1, 2), dtype=float)
    weights = _lay_coalitions(len(families))[1]
    return Attribution(
        groups=tuple(describe_family(each, model.problem) for each in families),
        values=weights @ stretch,
        expected=float(stretch[0]),
        found=float(stretch[-1]),
    )


@lru_cache
def _lay_coalitions(n_players: int) -> tuple[Bools, Floats]:
    """Who is in each coalition, shape (2^n, n), from nobody to all; each coalition's weight for each, (n, 2^n)."""
    coalitions = (np.arange(2**n_players)[:, None] >> np.arange(n_players) & 1).astype(bool)
    others = coalitions.sum(axis=1)[:, None] - coalitions
    shares = np.array([1 / (n_players * comb(n_players - 1, size)) for size in range(n_players)])
    return coalitions, (np.where(coalitions, 1.0, -1.0) * shares[others]).T
