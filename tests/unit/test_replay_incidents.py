"""The table of a replay: which happening belongs to which fault, how soon it was noticed, and what it gained."""

from datetime import date, timedelta

import numpy as np
import pytest

from loopcast.health.condition import Finding
from loopcast.replay.faults import Fault
from loopcast.replay.incidents import list_alarms, list_incidents, summarize_replay
from loopcast.replay.outcome import ArmDays, Happening, Outcome, Policy, What
from loopcast.replay.page import render_replay, write_replay

FIRST = date(2008, 1, 1)
N_DAYS = 300


def at(day: int) -> date:
    """The date of a position."""
    return FIRST + timedelta(days=day)


def happen(day: int, what: What, finding: Finding | None = None, version: int = 1) -> Happening:
    """Something on a day."""
    return Happening(day=at(day), what=what, sentence="so it is", finding=finding, version=version)


def make_outcome(*happenings: Happening, faults: tuple[Fault, ...] = (), nothing: float = 0.5) -> Outcome:
    """A walk in which the loop loses 0.4 a day, the baseline 0.5, and doing nothing as given."""
    loss = {Policy.LOOP: 0.4, Policy.NOTHING: nothing, Policy.QUARTERLY: 0.4}
    return Outcome(
        problem="prices",
        title="Prices <of nothing>",
        unit="USD",
        series_id="S0",
        faults=faults,
        days=tuple(at(day) for day in range(N_DAYS)),
        happenings=happenings,
        arms=tuple(
            ArmDays(policy=p, loss=(each,) * N_DAYS, baseline_loss=(0.5,) * N_DAYS, version=(1,) * N_DAYS)
            for p, each in loss.items()
        ),
        cusum=tuple(np.abs(np.sin(np.arange(N_DAYS))).tolist()),
        threshold=1.75,
        price=tuple(np.linspace(100, 120, N_DAYS).tolist()),
        low=(90.0,) * N_DAYS,
        high=(float("nan"), *(130.0,) * (N_DAYS - 1)),
        n_trainings={Policy.LOOP: 1, Policy.NOTHING: 0, Policy.QUARTERLY: 3},
        wall_s=1.0,
    )


BIAS = Fault(kind="biased_forecasts", begin=at(10))
SPLIT = Fault(kind="unadjusted_split", begin=at(100))


def test_faults_that_were_left_out_are_told():
    """Whoever asked for them learns why the table has none."""
    told = summarize_replay(make_outcome().model_copy(update={"left_out": (BIAS,)}))

    assert f"Left out: bias of 0.5 deviations, {BIAS.begin}, which is no day of this replay\n" in told


def test_a_fault_is_followed_from_its_begin_to_what_was_done():
    """The first finding that speaks of it counts; the gain is that of the days until the next fault."""
    outcome = make_outcome(
        happen(5, What.ALARM, Finding.SKILL_LOST),
        happen(12, What.ALARM, Finding.VOLATILITY_DRIFTED),
        happen(27, What.ALARM, Finding.SKILL_LOST),
        happen(27, What.PROMOTED, version=2),
        happen(100, What.REFUSED),
        happen(104, What.ACCEPTED),
        faults=(BIAS, SPLIT),
    )

    bias, split = list_incidents(outcome)

    assert (bias.begin, bias.noticed, bias.delay_days, bias.by) == (at(10), at(27), 17, "skill lost")
    assert (bias.done, bias.over_nothing_ratio) == ("retrained: version 2", pytest.approx(0.2))
    assert (split.delay_days, split.by, split.done) == (0, "ingest refused", "refused 4 days")


def test_a_fault_that_nobody_noticed_says_so():
    """And nothing was done."""
    [incident] = list_incidents(make_outcome(faults=(BIAS,)))

    assert (incident.noticed, incident.by, incident.done) == (None, "–", "nothing")


def test_alarms_that_no_fault_explains_are_listed_once_for_each_lull():
    """Flicker is one alarm; what a fault explains is none."""
    outcome = make_outcome(
        happen(12, What.ALARM, Finding.SKILL_LOST),
        happen(40, What.ALARM, Finding.VOLATILITY_DRIFTED),
        happen(45, What.ALARM, Finding.VOLATILITY_DRIFTED),
        happen(200, What.ALARM, Finding.VOLATILITY_DRIFTED),
        faults=(BIAS,),
    )

    [alarms] = list_alarms(outcome)

    assert (alarms.finding, alarms.days) == (Finding.VOLATILITY_DRIFTED, (at(40), at(200)))


def test_the_table_names_faults_arms_and_skill():
    """In plain text, for a terminal."""
    text = summarize_replay(make_outcome(happen(27, What.ALARM, Finding.SKILL_LOST), faults=(BIAS,)))

    assert "1  2008-01-11  bias of 0.5 deviations  after 17 days  skill lost  told" in text
    assert "the loop               +20.0 %          1" in text


def test_a_replay_without_anything_is_still_told():
    """No table of faults, three arms."""
    text = summarize_replay(make_outcome())

    assert "what went wrong" not in text
    assert text.count("%") == 3


def test_the_page_needs_nothing_else_and_escapes_texts(tmp_path):
    """One file, its drawing inside, and a picture of 1200 dots beside it."""
    outcome = make_outcome(happen(27, What.ALARM, Finding.SKILL_LOST), faults=(BIAS, SPLIT))

    paths = write_replay(outcome, tmp_path / "replay")

    page = paths.page.read_text(encoding="utf-8")
    assert page == render_replay(outcome)
    assert "Prices &lt;of nothing&gt;" in page
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert int.from_bytes(paths.picture.read_bytes()[16:20], "big") == 1200
