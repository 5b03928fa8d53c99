"""One line of events from three tables: in order, whole, and page by page."""

from loopcast.stores.actions import ActionKind
from loopcast.stores.decisions import DecisionKind
from loopcast.stores.timeline import EventKind, Timeline
from tests.reading_factory import NOW, later, make_past


def test_events_of_three_tables_stand_in_one_line(database, name):
    """The latest first; an alert stands there twice, when it came and when it went."""
    past = make_past(database, name)
    past.alert(later(1), "drift", link="https://reports.example.org/1")
    past.alert(later(2))
    past.call_for(ActionKind.RETRAIN, later(3))
    past.decide(DecisionKind.REJECTION, 2, 1, 1, reasons=("not better", "too wide"), decided_at_utc=later(4))
    past.decide(DecisionKind.PROMOTION, 3, 1, 3, decided_at_utc=later(5))

    found = Timeline(database).read(name, 10)

    assert [(each.what, each.moment_utc) for each in found] == [
        ("promotion", later(5)),
        ("rejection", later(4)),
        ("retrain_called_for", later(3)),
        ("alert_recovered", later(2)),
        ("alert_raised", later(1)),
    ]
    assert [each.new_champion for each in found] == ["3", None, None, None, None]
    assert [each.sentence for each in found[:2]] == ["By the rule first model", "not better; too wide"]
    assert (found[-1].kind, found[-1].severity, found[-1].link) == (
        EventKind.ALERT, "warning", "https://reports.example.org/1",
    )  # fmt: skip


def test_pages_miss_and_repeat_nothing(database, name):
    """Also where many events share one moment."""
    past = make_past(database, name)
    for version in range(1, 8):
        past.decide(DecisionKind.REJECTION, version, None, None, decided_at_utc=later(version // 4))
    past.alert(NOW, "drift", "late")
    timeline, before, seen = Timeline(database), None, []

    while page := timeline.read(name, 2, before):
        seen += page
        before = (page[-1].moment_utc, page[-1].key)

    assert [each.key for each in seen] == [each.key for each in timeline.read(name, 100)]
    assert len({each.key for each in seen}) == 9


def test_problems_have_lines_of_their_own(database, name):
    """What happened elsewhere is not seen."""
    make_past(database, f"{name}_other").decide(DecisionKind.REJECTION, 1, None, None)

    assert Timeline(database).read(name, 10) == []
