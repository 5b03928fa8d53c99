"""How often the gate errs, by simulation: equally good challengers, better ones and worse ones.

Returns have fat tails, clustered volatility and a common factor. Each forecaster knows the volatility up to an error
that persists and is shared among series: losses are autocorrelated and cross-correlated, and horizons overlap.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from scipy.special import ndtri

from loopcast.evidence.gate import Verdict, decide
from loopcast.evidence.metrics import interval_ends, pinball_loss
from loopcast.health.skill_cusum import start_skill, watch_skill
from loopcast.sections.evidence import Gate
from loopcast.sections.monitoring import Monitoring
from loopcast.typing import Floats

LEVELS = np.array([0.025, 0.1, 0.5, 0.9, 0.975])
N_DATES, N_SERIES, HORIZON = 500, 3, 5
ORIGINS = pd.bdate_range("2010-01-04", periods=N_DATES, tz="UTC").as_unit("us").repeat(N_SERIES)
SERIES = np.tile([f"S{k}" for k in range(N_SERIES)], N_DATES)
GATE = Gate(coverage_tolerance=0.5)  # coverage has tests of its own; here only losses decide


def simulate_autoregression(rng: np.random.Generator, persistence: float, sd: float, common: float) -> Floats:
    """Stationary values of shape (dates + horizon, series), of which `common` of the variance is shared."""
    n_warm = 200
    size = N_DATES + HORIZON + n_warm
    shock = np.sqrt(common) * rng.normal(size=(size, 1)) + np.sqrt(1 - common) * rng.normal(size=(size, N_SERIES))
    return lfilter([sd * np.sqrt(1 - persistence**2)], [1, -persistence], shock, axis=0)[n_warm:]


def simulate_losses(rng: np.random.Generator, error_sd: dict[str, float]) -> dict[str, pd.DataFrame]:
    """Losses of forecasters on one history, each with its own error of the log volatility."""
    volatility = np.exp(simulate_autoregression(rng, persistence=0.98, sd=0.5, common=0.7))
    fat = np.sqrt(0.4) * rng.standard_t(5, (len(volatility), 1)) + np.sqrt(0.6) * rng.standard_t(5, volatility.shape)
    level = np.vstack([np.zeros((1, N_SERIES)), np.cumsum(volatility * fat / np.sqrt(5 / 3), axis=0)])
    steps = np.arange(1, HORIZON + 1)
    change = np.stack([level[h : h + N_DATES] - level[:N_DATES] for h in steps], axis=-1).reshape(-1, HORIZON)
    losses = {}
    for name, sd in error_sd.items():
        guess = volatility * np.exp(simulate_autoregression(rng, persistence=0.9, sd=sd, common=0.5))
        quantiles = (guess[:N_DATES, :, None] * np.sqrt(steps)).reshape(-1, HORIZON, 1) * ndtri(LEVELS)
        inside = []
        for nominal in (0.8, 0.95):
            lower, upper = interval_ends(quantiles, LEVELS, nominal)
            inside.append(((change >= lower) & (change <= upper)).mean(axis=1))
        losses[name] = pd.DataFrame({
            "candidate": name, "series_id": SERIES, "origin_utc": ORIGINS,
            "pinball": (pinball := pinball_loss(change, quantiles, LEVELS)).mean(axis=1), "of_next_step": pinball[:, 0],
            "is_covered_80": inside[0], "is_covered_95": inside[1],
        })  # fmt: skip
    return losses


def has_lost_skill(champion: pd.DataFrame, baseline: pd.DataFrame) -> bool:
    """Whether monitoring would say so after a year in service."""
    days = pd.DataFrame({"loss": champion.groupby("origin_utc")["of_next_step"].mean()})
    days["baseline_loss"] = baseline.groupby("origin_utc")["of_next_step"].mean()
    return watch_skill(start_skill(LEVELS), days.iloc[-252:] / days["baseline_loss"].mean(), Monitoring()).state.is_lost


def judge(
    n: int,
    seed: int,
    challenger_sd: float,
    champion_sd: float,
    *,
    is_watched: bool = False,
    n_bad: int = 0,
    badness: float = 1.0,
) -> Iterator[Verdict]:
    """Verdicts on `n` simulated histories, with naive baselines that are clearly worse.

    Args:
        is_watched: Whether the gate is told when monitoring says that the champion lost its skill.
        n_bad: Last dates on which the champion's loss is `badness` times what it was.
    """
    rng = np.random.default_rng(seed)
    watched = {"ewma": 0.3} if is_watched else {}
    for _ in range(n):
        losses = simulate_losses(rng, {"lstm": challenger_sd, "champion": champion_sd, **watched})
        challenger, champion = losses["lstm"], losses["champion"]
        is_bad = champion["origin_utc"].isin(ORIGINS.unique()[N_DATES - n_bad :])
        champion.loc[is_bad, ["pinball", "of_next_step"]] *= badness
        naive = [
            challenger.assign(candidate=name, pinball=1.3 * challenger["pinball"])
            for name in ("random_walk", "historical_simulation")
        ]
        yield decide(
            pd.concat([challenger, *naive]), "lstm", champion, horizon=HORIZON, gate=GATE,
            has_champion_lost_skill=is_watched and has_lost_skill(champion, losses["ewma"]),
        )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("n", "is_watched"), [(500, False), (300, True)])
def test_an_equally_good_challenger_is_promoted_in_at_most_nine_of_a_hundred_histories(
    n: int, is_watched: bool
) -> None:
    """A nominal 5 % stays near it, where comparing the means alone would promote every second one."""
    verdicts = list(judge(n, seed=1, challenger_sd=0.15, champion_sd=0.15, is_watched=is_watched))

    assert np.mean([verdict.is_promoted for verdict in verdicts]) <= 0.09
    assert 0.4 < np.mean([verdict.figures["gain_vs_champion_ratio"] > 0 for verdict in verdicts]) < 0.6


def test_an_equally_good_challenger_takes_the_place_of_a_champion_that_lost_its_skill() -> None:
    """A month of a fifth more loss hardly shows in two years of dates; monitoring has seen it."""
    verdicts = list(judge(40, seed=4, challenger_sd=0.15, champion_sd=0.15, is_watched=True, n_bad=25, badness=1.3))

    assert np.mean([verdict.is_promoted for verdict in verdicts]) >= 0.8
    assert np.mean([verdict.figures["p_vs_champion"] <= GATE.alpha for verdict in verdicts]) < 0.5


def test_a_clearly_better_challenger_is_promoted() -> None:
    """A gain of five percent is seen in two years of daily data."""
    verdicts = judge(40, seed=2, challenger_sd=0.15, champion_sd=0.35)

    assert np.mean([verdict.is_promoted for verdict in verdicts]) >= 0.95


def test_a_worse_challenger_is_never_promoted() -> None:
    """Neither a clearly worse one nor one that is worse by a percent."""
    for champion_sd in (0.15, 0.30):
        verdicts = judge(40, seed=3, challenger_sd=0.35, champion_sd=champion_sd)

        assert not any(verdict.is_promoted for verdict in verdicts)
