"""People are told of many series at once by one message, and what it stands for is not over meanwhile."""

from datetime import UTC, datetime, timedelta

from loopcast.stores.conditions import AlertSeverity, Condition, compare_conditions
from loopcast.stores.telling import bundle_series

MONDAY = datetime(2024, 6, 3, 21, tzinfo=UTC)


def make_conditions(n: int, kind: str = "late_series") -> list[Condition]:
    """The same of some series."""
    return [
        Condition(kind=kind, subject=f"S{k}", severity=AlertSeverity.WARNING, sentence=f"S{k}: the last row is old")
        for k in range(n)
    ]


def test_a_few_series_are_told_one_by_one():
    """Five late series are five things to look at."""
    assert bundle_series(make_conditions(5)) == make_conditions(5)


def test_many_series_with_one_finding_are_one_message():
    """Other findings stay what they are."""
    frozen = make_conditions(1, kind="frozen_feed")

    [late, other] = bundle_series([*make_conditions(200), *frozen])

    assert (late.kind, late.subject) == ("late_series", "")
    assert late.sentence == "200 series, such as S0, S1, S2, S3, S4. S0: the last row is old"
    assert [other] == frozen


def test_while_many_are_told_as_one_none_of_them_is_over():
    """Two series are late, then seven, then none: each that was raised is over once, at the end."""
    first = compare_conditions("load", "monitoring", make_conditions(2), {}, MONDAY)
    open_alerts = {alert.key: alert for alert in first.raised}

    many = compare_conditions(
        "load", "monitoring", bundle_series(make_conditions(7)), open_alerts, MONDAY + timedelta(days=1)
    )
    open_alerts |= {alert.key: alert for alert in many.raised}
    none = compare_conditions("load", "monitoring", [], open_alerts, MONDAY + timedelta(days=2))

    assert ([alert.subject for alert in many.raised], many.recovered) == ([""], ())
    assert sorted(alert.subject for alert in none.recovered) == ["", "S0", "S1"]
