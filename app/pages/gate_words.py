"""Decisions about models in words: what was decided and why, and the figures on which the gate did."""

from typing import Final, NamedTuple

from app.answers import models as answers
from app.pages.figures import show_percent
from loopcast.evidence.formats import format_chance, name_within
from loopcast.evidence.gate import NAIVE_BASELINES, Rule
from loopcast.stores.decisions import DecisionKind

RULES: Final = {
    Rule.FIRST_MODEL: "It is the first model, and better than the naive baselines",
    Rule.OTHER_QUESTION: "The champion answers another question, so it was judged as a first model",
    Rule.BETTER_THAN_CHAMPION: "It is better than the champion before it by more than chance",
    Rule.NOT_WORSE_THAN_STALE_CHAMPION: (
        "It is not worse than the champion before it, whose data are old or whose coverage is off"
    ),
    Rule.IN_PLACE_OF_LOST_SKILL: "It is not worse than the champion before it, which has lost its skill in service",
}


class GateFigure(NamedTuple):
    """One figure of the gate."""

    label: str
    value: str
    note: str


def tell_decision(decision: answers.Decision) -> str:
    """What was decided and why, in a sentence."""
    reasons = "; ".join(decision.reasons)
    match decision.kind:
        case DecisionKind.PROMOTION:
            known = {rule.value: words for rule, words in RULES.items()}
            return f"Promoted. {known.get(decision.rule, reasons or decision.rule.replace('_', ' '))}."
        case DecisionKind.REJECTION:
            return f"Not promoted: {reasons}."
        case DecisionKind.DEMOTION:
            after = "" if decision.champion_after is None else f" Version {decision.champion_after} took its place."
            return f"Taken out of service: {reasons.rstrip('.')}.{after}"
        case DecisionKind.OBSERVATION:
            return f"Found to be changed in MLflow: {reasons or 'somebody moved the alias there'}."


def list_gate_figures(decision: answers.Decision) -> list[GateFigure]:
    """The figures that the gate weighed, as a person reads them; none where it was not asked."""
    figures, found = decision.figures, list[GateFigure]()
    for rival in ("champion", *NAIVE_BASELINES):
        gain, p_value = figures.get(f"gain_vs_{rival}_ratio"), figures.get(f"p_vs_{rival}")
        if gain is not None:
            name = "the champion before" if rival == "champion" else name_within(rival)
            n_dates = figures.get(f"n_dates_vs_{rival}")
            over = "" if n_dates is None else f" over {n_dates:,.0f} dates"
            found.append(
                GateFigure(f"Loss below {name}", show_percent(gain, sign="+"), f"{_show_chance(p_value)}{over}")
            )
    if (chance := figures.get("p_not_worse")) is not None:
        found.append(GateFigure("Not worse than the champion before", _show_chance(chance), "with the allowed margin"))
    held = {nominal: figures.get(f"coverage_{nominal}_ratio") for nominal in (80, 95)}
    found += [
        GateFigure(f"{nominal} % interval held", show_percent(ratio), f"should be {nominal} %")
        for nominal, ratio in held.items()
        if ratio is not None
    ]
    return found


def _show_chance(p_value: float | None) -> str:
    return "" if p_value is None else format_chance(p_value)
