"""A day in a few hundred bytes: the figures that are drawn, and the worst of what was found."""

from loopcast.health.condition import Condition, Finding, Severity
from loopcast.health.day import DayJudgement
from loopcast.health.day_summary import ASPECTS, MAX_CONDITIONS, Aspect, DaySummary, summarize_judgement
from loopcast.health.drift import Measure
from loopcast.health.report_account import MonitoringAccount
from tests.account_of_monitoring import make_account, make_empty_account


def judge(account: MonitoringAccount, **changes) -> DayJudgement:
    """The judgement that an account shows; parts of the verdict as given."""
    return DayJudgement(
        quality=account.quality,
        drift=account.drift,
        performance=account.performance,
        skill=account.skill,
        shadow=account.shadow,
        verdict=account.verdict.model_copy(update=changes),
    )


def test_a_summary_says_what_the_judgement_says():
    """The figures of the window, and how near each alarm was."""
    account = make_account(bias=2.0)

    found = summarize_judgement(judge(account))

    assert found.overall == account.performance.overall
    assert (found.n_tests, found.n_rows) == (len(account.drift.tests), account.quality.n_rows)
    assert found.skill_statistic == max(account.skill.statistics) > found.skill_threshold
    assert set(found.drift_excess) == set(Measure)
    assert found.severity_of(Aspect.SKILL) is Severity.ALERT
    assert found.severity_of(Aspect.DATA) is None


def test_a_summary_survives_the_database():
    """Also that of a day on which nothing was known, whose figures are no numbers."""
    for account in (make_account(), make_empty_account()):
        found = summarize_judgement(judge(account))

        assert str(DaySummary.model_validate_json(found.model_dump_json())) == str(found)


def test_alerts_come_first_and_the_rest_is_counted():
    """Where a feed breaks for a thousand series, one day still takes little room."""
    notices = tuple(
        Condition(finding=Finding.NEW_SERIES, series_id=f"S{k}", severity=Severity.NOTICE, sentence="It is new")
        for k in range(MAX_CONDITIONS)
    )
    alert = Condition(finding=Finding.NO_DATA, sentence="Nothing came")

    found = summarize_judgement(judge(make_account(), conditions=(*notices, alert)))

    assert (found.n_conditions, len(found.conditions), found.conditions[0]) == (51, MAX_CONDITIONS, alert)
    assert found.severity_of(Aspect.DATA) is Severity.ALERT


def test_every_finding_is_about_something():
    """So that none is left out of the strip of days."""
    assert set(ASPECTS) == set(Finding)
