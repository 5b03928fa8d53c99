"""Health and events over HTTP: what is wrong now, what was at each look, and what happened, page by page."""

from uuid import uuid4

import pytest

from app.answers import health as answers
from loopcast.health.condition import Severity
from loopcast.health.day_summary import Aspect
from loopcast.settings import Settings
from loopcast.stores.actions import ActionKind
from loopcast.stores.conditions import AlertSeverity
from loopcast.stores.decisions import DecisionKind
from loopcast.stores.evidently_project import identify_project
from tests.app.client import API, code_of
from tests.app.past import make_reader
from tests.reading_factory import later


@pytest.fixture
def name() -> str:
    """A problem that no other test uses."""
    return f"p{uuid4().hex}"


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Where both user interfaces have an address, one of them with a password."""
    return Settings(
        home=tmp_path, evidently_url="https://evidently.example.org/", tracking_uri="https://ada:pw@mlflow.example.org"
    )


@pytest.fixture
def read(make_parts, prices, database, name, settings):
    """A problem's past, and what asks for one of its routes."""
    past, client = make_reader(make_parts, prices, database, name, settings=settings)
    return past, lambda path, **query: client.get(f"{API}/problems/{name}/{path}", params=query)


def test_health_before_anybody_looked(read):
    """Nothing is known, and nothing is wrong."""
    _, ask = read

    found = answers.Health.model_validate(ask("health").json())

    assert (found.model_version, found.last_look, found.open_alerts, found.open_actions) == (3, None, [], [])
    assert found.curve.as_of_utc == []
    assert found.links == answers.HealthLinks(evidently=None, mlflow="https://mlflow.example.org/#/runs/4f6c")


def test_health_tells_what_is_wrong_now(read):
    """Open alerts, the gravest first, and what is to be done; what is over is not among them."""
    past, ask = read
    past.alert(later(0), "drift", "late", link="reports/page.html")
    past.alert(later(1), "drift", "late", "gone", severity=AlertSeverity.CRITICAL, link="https://reports.example.org")
    past.alert(later(2), "drift", "gone")
    past.call_for(ActionKind.RETRAIN, later(3))
    past.look(later(3), bias=2.0)

    found = answers.Health.model_validate(ask("health").json())

    assert [(each.kind, each.severity, each.link) for each in found.open_alerts] == [
        ("gone", "critical", "https://reports.example.org"),
        ("drift", "warning", None),
    ]
    assert [(each.kind, each.state) for each in found.open_actions] == [("retrain", "due")]
    assert found.last_look.skill_excess > 1
    assert Aspect.SKILL in {each.aspect for each in found.last_look.conditions}
    assert found.links.evidently == f"https://evidently.example.org/projects/{identify_project(past.name)}"


def test_health_over_time_is_that_of_each_look(read):
    """Earliest first, with the worst that each found of each aspect."""
    past, ask = read
    past.look(later(1), bias=2.0)
    past.look(later(0))

    curve = answers.Health.model_validate(ask("health").json()).curve

    assert curve.as_of_utc == [later(0), later(1)]
    assert curve.worst[Aspect.SKILL] == [None, Severity.ALERT]
    assert curve.worst[Aspect.DATA] == [None, None]
    assert curve.skill_excess[1] > 1 > curve.skill_excess[0]
    assert all(each > 0 for each in curve.drift_excess)


def test_events_are_told_page_by_page(read):
    """The latest first; each page says where the next begins."""
    past, ask = read
    past.alert(later(0), "drift", link="javascript:alert()")
    for version in (1, 2, 3):
        past.decide(DecisionKind.PROMOTION, version, version - 1 or None, version, decided_at_utc=later(version))

    first = answers.Events.model_validate(ask("timeline", limit=2).json())
    second = answers.Events.model_validate(ask("timeline", limit=2, before=first.next_before).json())

    assert [each.subject for each in first.events] == ["3", "2"]
    assert [(each.what, each.subject, each.link) for each in second.events] == [
        ("promotion", "1", None), ("alert_raised", "S0", None),
    ]  # fmt: skip
    assert (first.events[0].new_champion, first.events[0].actor, second.next_before) == ("3", "ada", None)


@pytest.mark.parametrize("before", ["yesterday", "2024-01-01T00:00:00~d1", "~", "2024-13-01T00:00:00Z~d1"])
def test_a_place_that_is_none_is_refused(read, before):
    """One is told where such a place comes from."""
    _, ask = read

    answer = ask("timeline", before=before)

    assert code_of(answer) == (422, "invalid_request")
    assert "next_before" in answer.json()["error"]["message"]


def test_a_service_without_addresses_links_nowhere(make_parts, prices, database, name, settings):
    """MLflow on the database alone has no page to link to."""
    bare = Settings(home=settings.home, tracking_uri="sqlite:///mlflow.db")
    past, client = make_reader(make_parts, prices, database, name, settings=bare)
    past.look(later(0))

    found = client.get(f"{API}/problems/{name}/health").json()

    assert found["links"] == {"evidently": None, "mlflow": None}
