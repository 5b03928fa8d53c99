"""What a training found, in sentences, the same in the terminal and in the report.

The sentences say what the figures say, also when that is little: a gain within chance, a point forecast no better than
persistence, a candidate that is not the LSTM.
"""

from collections.abc import Iterator
from textwrap import fill
from typing import Final

import numpy as np

from loopcast.evidence.account import Account
from loopcast.evidence.comparison import Comparison
from loopcast.evidence.formats import (
    align_columns,
    format_chance,
    format_gain,
    format_loss,
    format_percent,
    format_time,
    format_value,
    name_candidate,
    name_loss_unit,
    name_within,
)
from loopcast.evidence.gate import Rule, Verdict
from loopcast.evidence.metrics import Score
from loopcast.model.forecaster import quantile_column

NOTABLE_RATIO: Final = 0.01
"""Change of the point forecast's error below which the words say that it is no better than persistence."""
COIN_STANDARD_ERRORS: Final = 1.96
"""Distance of a share of right directions from one half at which it is no coin any more."""
ONE_SIDED_RATIO = 0.95
"""Share of calls to one side from which the share of right ones says nothing about foresight."""
LINE_LENGTH: Final = 100


def summarize(account: Account) -> str:
    """The account as a terminal prints it: the candidates, best first, and what came out in sentences."""
    header = ["", name_loss_unit(account.problem), "vs EWMA", "t", "vs GARCH", "t", "in 80 %", "in 95 %"]
    rows = [
        [
            name_candidate(candidate.name) + (" *" if candidate.name == account.offered else ""),
            format_loss(account.problem, candidate.score.pinball),
            *format_gain(candidate.vs_ewma),
            *format_gain(candidate.vs_garch),
            format_percent(candidate.score.interval_80.coverage_ratio),
            format_percent(candidate.score.interval_95.coverage_ratio),
        ]
        for candidate in account.ranking
    ]
    key = "Pinball loss out of sample; gains and their t statistics; coverage of the intervals. * offered."
    bullets = [fill(s, LINE_LENGTH, initial_indent="- ", subsequent_indent="  ") for s in tell(account)]
    return "\n".join([account.problem.title, "", *align_columns([header, *rows]), key, "", *bullets])


def tell(account: Account) -> list[str]:
    """What came out, in sentences: the offer, its skill and its limits, the gate, the next forecast, the data."""
    return [
        _tell_offer(account),
        _tell_skill(account),
        _tell_coverage(account),
        _tell_point(account.offer.score),
        _tell_direction(account.offer.score),
        _tell_verdict(account.verdict),
        _tell_forecast(account),
        _tell_data(account),
    ]


def _tell_offer(account: Account) -> str:
    offer, best, unit = account.offer, account.ranking[0], name_loss_unit(account.problem)
    loss = {c.name: f"{format_loss(account.problem, c.score.pinball)} {unit}" for c in account.candidates}
    name = name_within(offer.name)
    text = f"{name[0].upper()}{name[1:]} is offered for promotion"
    if offer.name != "lstm":
        text += ", not the LSTM" if "lstm" in loss else "; no LSTM was trained"
    text += f": over {offer.score.n_dates:,} out-of-sample dates of {_count_series(account.n_series)} "
    text += f"its pinball loss is {loss[offer.name]}"
    if offer is not best:
        return f"{text}; the lowest, {loss[best.name]}, is that of {name_within(best.name)}."
    text += f", the lowest of {len(loss)} candidates"
    return f"{text}; the LSTM's is {loss['lstm']}." if offer.name != "lstm" and "lstm" in loss else f"{text}."


def _tell_skill(account: Account) -> str:
    offer, alpha = account.offer, account.problem.gate.alpha
    baselines = {"ewma": offer.vs_ewma, "garch_t": offer.vs_garch}
    parts = [
        _compare_words(result, alpha, name_within(name))
        for name, result in baselines.items()
        if name != offer.name and result is not None and np.isfinite(result.gain_ratio)
    ]
    return f"That is {' and '.join(parts)}." if parts else "No volatility baseline ran beside it."


def _compare_words(result: Comparison, alpha: float, baseline: str) -> str:
    side = "below" if result.gain_ratio >= 0 else "above"
    is_chance = result.gain_ratio >= 0 and result.p_value > alpha
    note = f"t = {result.t_statistic:.1f}{', within chance' if is_chance else ''}"
    return f"{format_percent(abs(result.gain_ratio))} {side} {baseline} ({note})"


def _tell_coverage(account: Account) -> str:
    score, gate = account.offer.score, account.problem.gate
    intervals = [(i, gate.tolerance(i.nominal_ratio)) for i in (score.interval_80, score.interval_95)]
    held = " and ".join(
        f"its {format_percent(i.nominal_ratio, digits=0)} interval held {format_percent(i.coverage_ratio)}"
        for i, _ in intervals
    )
    off = [
        f"the {format_percent(i.nominal_ratio, digits=0)} interval is off by more than {100 * allowed:g} points"
        for i, allowed in intervals
        if abs(i.coverage_ratio - i.nominal_ratio) > allowed
    ]
    return f"Of what came true {held}: {' and '.join(off) or 'both within tolerance'}."


def _tell_point(score: Score) -> str:
    if not np.isfinite(score.mae_ratio):
        return "The series did not move, so nothing can be said of the point forecast."
    if score.mae_ratio > 1 - NOTABLE_RATIO:
        return (
            "As a point forecast it does not beat saying that nothing changes: its mean absolute error is "
            f"{score.mae_ratio:.3f} times that of persistence. The value lies in the intervals."
        )
    gain = format_percent(1 - score.mae_ratio)
    return f"As a point forecast its mean absolute error is {gain} below that of saying that nothing changes."


def _tell_direction(score: Score) -> str:
    if not np.isfinite(score.direction_ratio):
        return "Its median never moves, so it calls no direction."
    if (one_sided := max(score.rise_ratio, 1 - score.rise_ratio)) > ONE_SIDED_RATIO:
        side = "a rise" if score.rise_ratio > 0.5 else "a fall"
        right = f"right in {format_percent(score.direction_ratio)}, give or take {100 * score.direction_se:.1f}"
        always = "always" if one_sided == 1 else "nearly always"
        return f"It {always} calls {side}, {right}: that is the drift of the series, not foresight."
    distance = (score.direction_ratio - 0.5) / score.direction_se if score.direction_se > 0 else 0.0
    judged = "better than a coin" if distance > COIN_STANDARD_ERRORS else "no better than a coin"
    share = f"{format_percent(score.direction_ratio)} of directions right, give or take {100 * score.direction_se:.1f}"
    return f"It calls {share}: {judged}."


def _tell_verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return "The gate has not been asked yet."
    if not verdict.is_promoted:
        return f"The gate did not promote it: {'. '.join(_capitalize(verdict.reasons))}."
    figures = verdict.figures
    match verdict.rule:
        case Rule.FIRST_MODEL:
            why = "the first model, and better than the naive baselines"
        case Rule.OTHER_QUESTION:
            why = (
                "the champion answers another question (horizon, quantiles, target or the like), so it is judged as a "
                "first model, and it is better than the naive baselines"
            )
        case Rule.BETTER_THAN_CHAMPION:
            gain = format_percent(figures["gain_vs_champion_ratio"])
            why = f"{gain} better than the champion before it ({format_chance(figures['p_vs_champion'])})"
        case Rule.NOT_WORSE_THAN_STALE_CHAMPION:
            why = "not worse than the champion before it, whose data are old or whose coverage is off"
        case Rule.IN_PLACE_OF_LOST_SKILL:
            why = "not worse than the champion before it, which has lost its skill in service"
    return f"The gate promoted it: {why}."


def _capitalize(sentences: tuple[str, ...]) -> Iterator[str]:
    return (sentence if k == 0 else sentence[0].upper() + sentence[1:] for k, sentence in enumerate(sentences))


def _tell_forecast(account: Account) -> str:
    last, unit = account.fan.iloc[-1], account.problem.unit
    low_95, low_80, middle, high_80, high_95 = (
        format_value(last[quantile_column(level)]) for level in (0.025, 0.1, 0.5, 0.9, 0.975)
    )
    when = format_time(account.problem, last["timestamp_utc"])
    return (
        f"Its forecast of {account.series_id} for {when}: median {middle} {unit}, 80 % interval {low_80} to {high_80}, "
        f"95 % interval {low_95} to {high_95}."
    )


def _tell_data(account: Account) -> str:
    data, problem = account.snapshot, account.problem
    span = f"{format_time(problem, data.first_utc)} to {format_time(problem, data.last_utc)}"
    series = _count_series(data.n_series)
    return f"Trained on {data.n_rows:,} rows of {series}, {span}; {data.n_refused:,} rows were refused."


def _count_series(n_series: int) -> str:
    return "one series" if n_series == 1 else f"{n_series} series"
