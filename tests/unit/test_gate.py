"""The decision to promote, rule by rule."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from loopcast.contracts import OriginLosses
from loopcast.evidence.gate import Rule, Verdict, decide
from loopcast.sections.evidence import Gate

N_DATES = 250
NOISE = np.random.default_rng(0).normal(size=(4, N_DATES))
"""One row of common noise, which every forecaster meets, and rows of each one's own."""


def make_losses(candidate: str, mean: float, *, own: int = 1, coverage: float = 0.8, n_dates: int = N_DATES,
                start: str = "2020-01-01") -> pd.DataFrame:  # fmt: skip
    """Losses of two series around a mean; `own` picks the candidate's own noise."""
    origins = pd.date_range(start, periods=n_dates, tz="UTC").as_unit("us")
    pinball = mean + 0.1 * NOISE[0, :n_dates] + 0.01 * NOISE[own, :n_dates]
    frame = pd.concat([
        pd.DataFrame({
            "candidate": candidate, "series_id": series, "origin_utc": origins, "pinball": pinball,
            "is_covered_80": coverage, "is_covered_95": 0.95,
        })
        for series in ("A", "B")
    ])  # fmt: skip
    return OriginLosses.validate(frame)


def make_backtest(challenger: pd.DataFrame, naive: float = 1.2) -> pd.DataFrame:
    """The challenger's losses beside those of the naive baselines."""
    return pd.concat([
        challenger,
        make_losses("random_walk", naive, own=2),
        make_losses("historical_simulation", naive - 0.02, own=3),
    ])  # fmt: skip


def judge(
    challenger: pd.DataFrame, champion: pd.DataFrame | None = None, *, naive: float = 1.2, **changes: Any
) -> Verdict:
    """The verdict on an LSTM under the default thresholds."""
    return decide(make_backtest(challenger, naive), "lstm", champion, **{"horizon": 5, "gate": Gate()} | changes)


def test_a_first_model_that_beats_the_naive_baselines_is_promoted() -> None:
    """There is nobody else to beat."""
    verdict = judge(make_losses("lstm", 1.0))

    assert (verdict.is_promoted, verdict.rule, verdict.reasons) == (True, Rule.FIRST_MODEL, ())
    assert verdict.figures["gain_vs_random_walk_ratio"] == pytest.approx(1 / 6, abs=0.01)
    assert verdict.figures["coverage_80_ratio"] == pytest.approx(0.8)


@pytest.mark.parametrize(("naive", "is_promoted"), [(1.2, True), (0.9, False)])
def test_a_champion_of_another_question_has_no_say(naive: float, is_promoted: bool) -> None:
    """Its losses do not compare, so the challenger is judged as a first model, under a rule of its own name."""
    verdict = judge(make_losses("lstm", 1.0), naive=naive, is_other_question=True)

    assert (verdict.is_promoted, verdict.rule) == (is_promoted, Rule.OTHER_QUESTION)
    assert verdict.figures == judge(make_losses("lstm", 1.0), naive=naive).figures


@pytest.mark.parametrize("offered", ["lstm", "historical_simulation"])
def test_a_first_model_no_better_than_the_naive_baselines_is_refused(offered: str) -> None:
    """That holds for a naive baseline itself, which does not beat itself."""
    verdict = decide(make_backtest(make_losses("lstm", 1.2)), offered, None, horizon=5, gate=Gate())

    assert not verdict.is_promoted
    assert any("not better than historical simulation: gain " in reason for reason in verdict.reasons)


def test_each_interval_off_its_nominal_coverage_is_a_reason() -> None:
    """A sharp loss does not excuse intervals that do not hold."""
    verdict = judge(make_losses("lstm", 1.0, coverage=0.7))

    assert verdict.reasons == ("the 80 % interval covered 70.0 %; needs 77.0 % to 83.0 %",)


def test_too_short_a_backtest_is_a_reason() -> None:
    """It is told once, although every baseline has as few dates."""
    verdict = judge(make_losses("lstm", 1.0, n_dates=100))

    assert verdict.reasons == ("100 out-of-sample dates; needs 120; start the backtest earlier",)


def test_a_challenger_better_than_the_champion_is_promoted() -> None:
    """Three percent, beyond chance."""
    verdict = judge(make_losses("lstm", 0.97), make_losses("linear", 1.0, own=2))

    assert (verdict.is_promoted, verdict.rule) == (True, Rule.BETTER_THAN_CHAMPION)
    assert verdict.figures["gain_vs_champion_ratio"] == pytest.approx(0.03, abs=0.005)


def test_a_challenger_as_good_as_the_champion_is_refused() -> None:
    """A fresh champion gives way to a better one alone."""
    verdict = judge(make_losses("lstm", 1.0), make_losses("linear", 1.0, own=2))

    assert not verdict.is_promoted
    assert verdict.reasons[0].startswith("not better than the champion: gain ")


@pytest.mark.parametrize(("champion_coverage", "age_days"), [(0.8, 91), (0.7, 0)], ids=["old data", "coverage off"])
@pytest.mark.parametrize(("challenger", "is_promoted"), [(1.0, True), (1.02, False)])
def test_a_weak_champion_gives_way_to_one_that_is_not_worse(
    champion_coverage: float, age_days: int, challenger: float, is_promoted: bool
) -> None:
    """Fresh and calibrated counts for half a percent of loss, and for no more."""
    champion = make_losses("linear", 1.0, own=2, coverage=champion_coverage)

    verdict = judge(make_losses("lstm", challenger), champion, champion_age_days=age_days)

    assert (verdict.is_promoted, verdict.rule) == (is_promoted, Rule.NOT_WORSE_THAN_STALE_CHAMPION)


def test_a_refusal_before_a_weak_champion_names_its_weakness() -> None:
    """The reader learns why not-worse was asked."""
    verdict = judge(make_losses("lstm", 1.02), make_losses("linear", 1.0, own=2), champion_age_days=120)

    (reason,) = verdict.reasons
    assert reason.startswith("not surely within 0.50 % of the champion (its data are 120 days older): gain -")


def test_only_dates_in_common_are_compared() -> None:
    """Losses of calm years must not be held against those of a crisis."""
    champion = make_losses("linear", 1.0, own=2)
    before = make_losses("linear", 0.5, start="2010-01-01")

    alone = judge(make_losses("lstm", 0.97), champion)
    verdict = judge(make_losses("lstm", 0.97), pd.concat([before, champion]))

    assert verdict == alone


@pytest.mark.parametrize(("start", "n_common"), [("2020-08-01", 37), ("2030-01-01", 0)])
def test_a_champion_with_too_few_dates_in_common_keeps_its_place(start: str, n_common: int) -> None:
    """Nothing is decided on a month; the message says what to do."""
    verdict = judge(make_losses("lstm", 0.5), make_losses("linear", 1.0, start=start))

    assert verdict.reasons == (
        f"the champion's losses share {n_common} dates with the challenger's; needs 120; "
        f"wait for {120 - n_common} more dates in service, or promote it by hand",
    )


@pytest.mark.parametrize(("challenger", "is_promoted"), [(1.0, True), (1.02, False)])
def test_a_champion_that_lost_its_skill_gives_way_to_one_that_is_not_worse(
    challenger: float, is_promoted: bool
) -> None:
    """Its months of good losses are those of a model that it is no longer."""
    champion = make_losses("linear", 1.0, own=2)

    verdict = judge(make_losses("lstm", challenger), champion, has_champion_lost_skill=True)

    assert (verdict.is_promoted, verdict.rule) == (is_promoted, Rule.IN_PLACE_OF_LOST_SKILL)
    assert all(
        "on the champion, although that has lost its skill; needs -0.50 % or more" in reason
        for reason in verdict.reasons
    )


def test_a_champion_that_lost_its_skill_and_was_never_backtested_gives_way() -> None:
    """Put into service by hand, it has a few weeks of losses, which nobody can test."""
    champion = make_losses("linear", 1.0, n_dates=20)

    verdict = judge(make_losses("lstm", 1.0), champion, has_champion_lost_skill=True)

    assert verdict.is_promoted
    assert verdict.figures["n_dates_vs_champion"] == 20


def test_in_place_of_lost_skill_nothing_comes_that_is_no_better_than_naive() -> None:
    """The champion's weakness is no merit of the challenger."""
    champion = make_losses("linear", 1.0, own=2)

    assert not judge(make_losses("lstm", 1.0), champion, naive=0.9, has_champion_lost_skill=True).is_promoted


def test_the_order_of_rows_changes_nothing() -> None:
    """Rows are paired by series and origin, never by position."""
    challenger, champion = make_losses("lstm", 0.99), make_losses("linear", 1.0, own=2)

    shuffled = judge(challenger.sample(frac=1, random_state=1), champion.sample(frac=1, random_state=2))

    assert shuffled.figures == pytest.approx(judge(challenger, champion).figures)


def test_a_verdict_survives_json() -> None:
    """It is stored as a row and tagged on a version."""
    verdict = judge(make_losses("lstm", 0.5), make_losses("linear", 1.0, start="2030-01-01"))

    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_a_backtest_without_a_naive_baseline_is_refused() -> None:
    """The rule would otherwise pass by absence."""
    with pytest.raises(ValueError, match="the backtest lacks \\['random_walk', 'historical_simulation'\\]"):
        decide(make_losses("lstm", 1.0), "lstm", None, horizon=5, gate=Gate())


def test_champion_losses_of_several_candidates_are_refused() -> None:
    """A champion is one model."""
    mixed = pd.concat([make_losses("linear", 1.0), make_losses("har", 1.0)])

    with pytest.raises(ValueError, match="mix \\['linear', 'har'\\]"):
        judge(make_losses("lstm", 1.0), mixed)
