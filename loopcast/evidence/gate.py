"""Whether a challenger becomes champion: a pure decision over paired out-of-sample losses.

The thresholds and their reasons stand in `config.Gate`. What a decision changes in the registry stands in `stores`.
"""

import math
from enum import StrEnum
from typing import Final, NamedTuple

import pandas as pd
from pandera.typing import DataFrame
from pydantic import BaseModel

from loopcast.contracts import OriginLosses
from loopcast.evidence.comparison import Comparison, compare
from loopcast.evidence.formats import format_percent, name_within
from loopcast.evidence.record import RECORD
from loopcast.sections.evidence import Gate

NAIVE_BASELINES: Final = ("random_walk", "historical_simulation")
"""Candidates that know nothing of today's volatility; a model that does not beat each of them is not worth serving."""


class Rule(StrEnum):
    """Which question the gate put to the challenger, beside the naive baselines and its coverage."""

    FIRST_MODEL = "first_model"
    """None more: there is no champion."""
    OTHER_QUESTION = "other_question"
    """None more: the champion forecasts something else, such as another horizon, so no loss of it compares."""
    BETTER_THAN_CHAMPION = "better_than_champion"
    """Is its loss lower than the champion's by more than chance?"""
    NOT_WORSE_THAN_STALE_CHAMPION = "not_worse_than_stale_champion"
    """Is its loss surely within the margin of a champion whose data are old or whose coverage is off?"""
    IN_PLACE_OF_LOST_SKILL = "in_place_of_lost_skill"
    """Is its loss within the margin of that of a champion which monitoring found to have lost its skill?"""
    TAKEN_BACK = "taken_back"
    """None: the same weights were taken out of service, and only a person puts them back."""


class Verdict(BaseModel):
    """What the gate decided, by which rule, why not, and on which figures."""

    model_config = RECORD

    is_promoted: bool
    rule: Rule
    reasons: tuple[str, ...]
    """One sentence for each rule that the challenger failed; empty when it is promoted."""
    figures: dict[str, float]


class _Finding(NamedTuple):
    figures: dict[str, float]
    reasons: list[str]


def decide(
    losses: DataFrame[OriginLosses],
    offered: str,
    champion: DataFrame[OriginLosses] | None,
    *,
    horizon: int,
    gate: Gate,
    champion_age_days: float = 0.0,
    has_champion_lost_skill: bool = False,
    is_other_question: bool = False,
) -> Verdict:
    """Judge the offered candidate of a backtest against the naive baselines and the champion.

    Args:
        losses: Backtest of all candidates, the naive baselines among them.
        offered: The candidate that is the challenger.
        champion: Losses of the champion alone, out of sample for it; common series and origins are compared.
            None: there is no champion, or none whose losses compare.
        horizon: Steps from an origin to its last target.
        gate: The thresholds.
        champion_age_days: How long before the challenger's data the champion's end.
        has_champion_lost_skill: Whether monitoring called for a training because of it. Its losses do not show that:
            a fresh loss is a few dates among hundreds, of which the last have not come true.
        is_other_question: Whether there is a champion whose losses do not compare, because it forecasts something else.

    Raises:
        ValueError: `losses` lack the offered candidate or a naive baseline, or `champion` mixes candidates.
    """
    rows = {str(name): of_name for name, of_name in losses.groupby("candidate")}
    if missing := [name for name in (offered, *NAIVE_BASELINES) if name not in rows]:
        raise ValueError(f"the backtest lacks {missing}, found {sorted(rows)}; the gate needs each of them")
    challenger = rows[offered]
    findings = [_check_naive(challenger, rows[name], name, horizon, gate) for name in NAIVE_BASELINES]
    findings.append(_check_coverage(challenger, gate))
    rule = Rule.OTHER_QUESTION if is_other_question else Rule.FIRST_MODEL
    if champion is not None:
        rule, finding = _check_champion(
            challenger, champion, horizon, gate, champion_age_days, has_lost_skill=has_champion_lost_skill
        )
        findings.append(finding)
    figures = {name: value for found in findings for name, value in found.figures.items() if math.isfinite(value)}
    reasons = tuple(dict.fromkeys(reason for found in findings for reason in found.reasons))
    return Verdict(is_promoted=not reasons, rule=rule, reasons=reasons, figures=figures)


def _check_naive(challenger: pd.DataFrame, naive: pd.DataFrame, name: str, horizon: int, gate: Gate) -> _Finding:
    result = _compare(_pair(challenger, naive), horizon)
    reasons = []
    if result.n_dates < gate.min_dates:
        reasons.append(f"{result.n_dates} out-of-sample dates; needs {gate.min_dates}; start the backtest earlier")
    if result.p_value > gate.naive_alpha:
        reasons.append(_tell_failure(f"better than {name_within(name)}", result, result.p_value, gate.naive_alpha))
    return _Finding(_name_figures(result, name), reasons)


def _check_coverage(challenger: pd.DataFrame, gate: Gate) -> _Finding:
    covered = _measure_coverage(challenger, suffix="")
    reasons = [
        f"the {nominal} % interval covered {format_percent(ratio)}; needs {format_percent(nominal / 100 - tolerance)} "
        f"to {format_percent(nominal / 100 + tolerance)}"
        for nominal, (ratio, tolerance) in _off_coverage(covered, gate).items()
    ]
    return _Finding({f"coverage_{nominal}_ratio": ratio for nominal, ratio in covered.items()}, reasons)


def _check_champion(
    challenger: pd.DataFrame,
    champion: pd.DataFrame,
    horizon: int,
    gate: Gate,
    age_days: float,
    *,
    has_lost_skill: bool,
) -> tuple[Rule, _Finding]:
    if len(names := champion["candidate"].unique()) > 1:
        raise ValueError(f"the champion's losses mix {names.tolist()}; needs those of one candidate")
    pairs = _pair(challenger, champion)
    result = _compare(pairs, horizon)
    covered = _measure_coverage(pairs, suffix="_reference")
    figures = _name_figures(result, "champion") | {"champion_age_days": age_days}
    figures |= {f"champion_coverage_{nominal}_ratio": ratio for nominal, ratio in covered.items()}
    if has_lost_skill:
        reasons = []
        if result.gain_ratio < -gate.margin:
            gain = format_percent(result.gain_ratio, digits=2, sign="+")
            least = format_percent(-gate.margin, digits=2, sign="+")
            reasons.append(f"gain {gain} on the champion, although that has lost its skill; needs {least} or more")
        return Rule.IN_PLACE_OF_LOST_SKILL, _Finding(figures, reasons)
    rule, wanted, p_value = Rule.BETTER_THAN_CHAMPION, "better than the champion", result.p_value
    if weaknesses := _list_weaknesses(covered, age_days, gate):
        rule = Rule.NOT_WORSE_THAN_STALE_CHAMPION
        wanted = f"surely within {format_percent(gate.margin, digits=2)} of the champion ({'; '.join(weaknesses)})"
        p_value = figures["p_not_worse"] = _compare(pairs, horizon, handicap=1 + gate.margin).p_value
    reasons = []
    if result.n_dates < gate.min_dates:
        reasons.append(
            f"the champion's losses share {result.n_dates} dates with the challenger's; needs {gate.min_dates}; "
            f"wait for {gate.min_dates - result.n_dates} more dates in service, or promote it by hand"
        )
    elif p_value > gate.alpha:
        reasons.append(_tell_failure(wanted, result, p_value, gate.alpha))
    return rule, _Finding(figures, reasons)


def _list_weaknesses(covered: dict[int, float], age_days: float, gate: Gate) -> list[str]:
    """Why not-worse is good enough against this champion: its age, its intervals."""
    old = [f"its data are {age_days:.0f} days older"] if age_days > gate.stale_after_days else []
    off = _off_coverage(covered, gate).items()
    return old + [f"its {nominal} % interval covered {format_percent(ratio)}" for nominal, (ratio, _) in off]


def _tell_failure(wanted: str, result: Comparison, p_value: float, alpha: float) -> str:
    gain = format_percent(result.gain_ratio, digits=2, sign="+")
    return f"not {wanted}: gain {gain}, p = {p_value:.3f}; needs p <= {alpha:g}"


def _pair(challenger: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    keys = ["series_id", "origin_utc"]
    return challenger.merge(reference, on=keys, suffixes=("", "_reference"), validate="one_to_one")


def _compare(pairs: pd.DataFrame, horizon: int, handicap: float = 1.0) -> Comparison:
    return compare(
        pairs["pinball"].to_numpy(float),
        pairs["pinball_reference"].to_numpy(float) * handicap,
        pairs["origin_utc"].to_numpy("datetime64[us]"),
        horizon,
    )


def _name_figures(result: Comparison, name: str) -> dict[str, float]:
    return {
        f"gain_vs_{name}_ratio": result.gain_ratio,
        f"t_vs_{name}": result.t_statistic,
        f"p_vs_{name}": result.p_value,
        f"n_dates_vs_{name}": result.n_dates,
    }


def _measure_coverage(rows: pd.DataFrame, suffix: str) -> dict[int, float]:
    return {nominal: float(rows[f"is_covered_{nominal}{suffix}"].mean()) for nominal in (80, 95)}


def _off_coverage(covered: dict[int, float], gate: Gate) -> dict[int, tuple[float, float]]:
    """Observed coverage and allowed distance of each interval that is off."""
    tolerances = {nominal: gate.tolerance(nominal / 100) for nominal in covered}
    return {k: (covered[k], tol) for k, tol in tolerances.items() if abs(covered[k] - k / 100) > tol}
