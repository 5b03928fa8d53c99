"""The monitoring report says in one sentence what is to be done, shows why, and needs nothing but itself."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest

from loopcast.health.condition import Condition, Finding, Severity
from loopcast.health.histogram import Bins, count_values
from loopcast.health.report import N_FIRST, render_monitoring
from loopcast.health.report_account import Event, Pair, pair_columns
from loopcast.health.report_wording import fill_drift, fill_tiles, name_standing, tell_drift, tell_verdict
from loopcast.health.steps import Column
from loopcast.health.verdict import Verdict
from tests.account_of_monitoring import make_account, make_empty_account

CALM = Verdict(is_alerting=False, needs_retraining=False, needs_rollback=False, conditions=())


class Text(HTMLParser):
    """The texts of a page, without its style, and the addresses that it asks for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts, self.tags, self.sources, self._is_style = [], [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        """Note what it is and where it leads."""
        self._is_style = tag == "style"
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in {"src", "href", "xlink:href"}]

    def handle_data(self, data):
        """Note what is read."""
        if not self._is_style:
            self.texts.append(data)

    @property
    def words(self) -> str:
        """All of it in one line."""
        return " ".join(" ".join(self.texts).split())


def conclude(*findings: Finding, severity=Severity.ALERT, **flags) -> Verdict:
    """A verdict over some conditions."""
    conditions = tuple(Condition(finding=f, severity=severity, sentence=f"about {f.value}") for f in findings)
    alerting = bool(conditions) and severity is Severity.ALERT
    return CALM.model_copy(update={"is_alerting": alerting, "conditions": conditions, **flags})


@pytest.mark.parametrize(
    ("verdict", "standing", "sentence"),
    [
        (CALM, "sound", "Nothing that somebody must be told of: the loss is "),
        (conclude(Finding.NEW_SERIES, severity=Severity.NOTICE), "sound", "Nothing that somebody must be told of: "),
        (
            conclude(Finding.WIDTH_DRIFTED),
            "look into it",
            "Nothing that calls for a training or a rollback, but 1 condition to be told of.",
        ),
        (
            conclude(Finding.SKILL_LOST, Finding.COVERAGE_OFF, needs_retraining=True),
            "train again",
            "The champion has lost its skill, so a training begins: 2 conditions to be told of.",
        ),
        (
            conclude(Finding.WORSE_THAN_PREDECESSOR, needs_rollback=True),
            "roll back",
            "The champion does worse than the one before it, which goes back into service: 1 condition to be told of.",
        ),
    ],
    ids=["sound", "notice", "drift", "skill", "worse"],
)
def test_the_first_sentence_says_what_is_to_be_done(verdict, standing, sentence):
    """And stands on the page with its standing."""
    account = make_account(verdict=verdict)

    assert name_standing(account)[1] == standing
    assert tell_verdict(account).startswith(sentence)
    assert f"{standing} Simulated prices" in Text(render_monitoring(account)).words


def test_the_page_needs_nothing_else():
    """No script, no address, no figure twice under one id."""
    page = render_monitoring(make_account(stretch=3.0, bias=1.0))

    text = Text(page)
    assert "script" not in text.tags
    assert "img" not in text.tags
    assert all(source.startswith("#") for source in text.sources)
    assert "url(http" not in page
    assert "@import" not in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_page_is_drawn_in_light_and_dark_and_fits_a_phone():
    """By variables that figures share with it."""
    page = render_monitoring(make_account())

    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page
    assert "var(--accent" in page


def test_every_test_of_drift_stands_there_with_its_threshold_and_promise():
    """The least probable first, and how often nothing would still be called drift."""
    account = make_account(stretch=3.0)

    rows = [cells for _, cells in fill_drift(account)]
    words = Text(render_monitoring(account)).words

    assert len(rows) == len(account.drift.tests) == 15
    assert rows[0][1] in {"Volatility, log", "Width of the 80 % interval"}
    assert all(cell in words for cells in rows for cell in cells)
    assert "0.5 false alarms a year where nothing has changed" in tell_drift(account)


def test_conclusions_come_before_what_they_are_drawn_from_and_notices_last():
    """A few on the first screen, the others folded away."""
    findings = list(Finding)[: N_FIRST + 2]
    verdict = conclude(*findings)
    notice = Condition(finding=Finding.NEW_SERIES, severity=Severity.NOTICE, sentence="a notice")
    page = render_monitoring(
        make_account(verdict=verdict.model_copy(update={"conditions": (notice, *verdict.conditions)}))
    )

    places = [page.index(f"about {finding.value}.") for finding in reversed(findings)]
    assert places == sorted(places)
    assert places[-1] < page.index("a notice.")
    assert places[N_FIRST - 1] < page.index("<summary>3 more</summary>") < places[N_FIRST]


def test_what_was_decided_and_told_is_escaped():
    """A series or a person may be called anything."""
    event = Event(datetime(2024, 3, 8, 22, 1, tzinfo=UTC), "alert raised", "<script>alert(1)</script>")

    page = render_monitoring(make_account(events=(event,)))

    assert "<script>" not in page
    assert "2024-03-08 22:01" in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_day_without_anything_is_told_as_such():
    """With dashes for figures, and without figures that would be empty."""
    page = render_monitoring(make_empty_account())

    text = Text(page)
    assert "svg" not in text.tags
    assert "no row in the last 60 steps" in text.words
    assert "nan" not in text.words
    assert "Nothing was tested: 3 series had too few values" in text.words


def test_training_data_too_short_for_a_threshold_are_told_as_such():
    """That is no fault of the window, which may be full."""
    account = make_empty_account()

    words = tell_drift(replace(account, drift=account.drift.model_copy(update={"n_untested": 0})))

    assert words == "Nothing was tested: no series has 4 windows of training data, which a threshold needs."


def test_a_few_days_tell_nothing_from_chance():
    """A statistic of zero would pass for one that was found."""
    account = make_account()
    few = account.performance.model_copy(update={"n_days": 4})

    [skill, *_] = fill_tiles(replace(account, performance=few))

    assert skill.note == "over 4 days: too few to tell it from chance"


def test_nothing_that_has_come_true_is_no_verdict():
    """Forecasts are there and wait."""
    account = make_account(verdict=CALM)
    overall = account.performance.overall.model_copy(update={"n_judged": 0})

    waiting = replace(account, performance=account.performance.model_copy(update={"overall": overall}))

    assert name_standing(waiting) == ("open", "nothing to judge")
    assert "has come true yet" in tell_verdict(waiting)


def test_columns_are_paired_by_version_and_edges():
    """What was rolled up in other bins, or by another version, cannot be compared."""
    ours, other = (count_values(np.array([0.5]), bins) for bins in (Bins(0.0, 1.0), Bins(0.0, 2.0)))
    window = {(4, Column.PINBALL): ours, (4, Column.INTERVAL_WIDTH): other, (3, Column.LOG_DEVIATION): ours}

    assert pair_columns(window, dict.fromkeys(Column, ours), 4) == {Column.PINBALL: Pair(ours, ours)}
