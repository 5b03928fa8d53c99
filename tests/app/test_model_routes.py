"""Model versions and decisions over HTTP: which is champion, what was decided, and where each comes from."""

from uuid import uuid4

import pytest

from app.answers import models as answers
from loopcast.stores.artifacts import record_snapshot
from loopcast.stores.decisions import DecisionKind
from tests.app.client import API, code_of
from tests.app.past import make_reader
from tests.panels import make_panel
from tests.reading_factory import later


@pytest.fixture
def name() -> str:
    """A problem that no other test uses."""
    return f"p{uuid4().hex}"


@pytest.fixture
def read(make_parts, prices, database, name):
    """A problem's past, and what asks for one of its routes."""
    past, client = make_reader(make_parts, prices, database, name)
    return past, lambda path: client.get(f"{API}/problems/{name}/{path}")


def test_versions_say_where_they_stand(read):
    """The latest first: the champion by decision, the one that answers here, and what was decided about each."""
    past, ask = read
    past.register(2)
    past.register(4)
    past.decide(DecisionKind.PROMOTION, 2, None, 2)
    past.decide(DecisionKind.PROMOTION, 3, 2, 3)
    past.decide(DecisionKind.REJECTION, 4, 3, 3, reasons=("not better",))

    found = answers.Models.model_validate(ask("models").json())

    assert (found.champion_version, found.predecessor_version) == (3, 2)
    assert [
        (each.model_version, each.is_champion, each.is_serving, each.last_decision.kind) for each in found.versions
    ] == [(4, False, False, "rejection"), (3, True, True, "promotion"), (2, False, False, "promotion")]
    assert found.versions[0].last_decision.reasons == ["not better"]


def test_a_demotion_puts_another_version_into_service(read):
    """By decision at once; whoever answers follows within seconds."""
    past, ask = read
    past.register(2)
    past.decide(DecisionKind.PROMOTION, 2, None, 2)
    past.decide(DecisionKind.PROMOTION, 3, 2, 3)
    past.decide(DecisionKind.DEMOTION, 3, 3, 2, reasons=("it lost its skill",))

    found = answers.Models.model_validate(ask("models").json())

    assert [(each.model_version, each.is_champion, each.is_serving) for each in found.versions] == [
        (3, False, True), (2, True, False),
    ]  # fmt: skip
    assert (found.champion_version, found.predecessor_version) == (2, None)


def test_a_version_leads_back_to_its_data(read):
    """Snapshot with rows and range, commit, run and execution; figures where they are at hand; decisions about it."""
    past, ask = read
    panel = make_panel(n_series=2, n_steps=30)
    record_snapshot(past.database, past.name, "5a" * 32, "s3://bucket/5a.parquet", panel)
    past.decide(DecisionKind.PROMOTION, 3, None, 3, figures={"gain_vs_ewma_ratio": float("nan")})
    past.decide(DecisionKind.DEMOTION, 9, 9, 3, decided_at_utc=later(1))

    found = answers.ModelVersionDetail.model_validate(ask("models/3").json())

    assert (found.snapshot.url, found.snapshot.n_rows, found.snapshot.n_series) == ("s3://bucket/5a.parquet", 60, 2)
    assert (found.git_commit, found.run_id, found.execution_url) == (
        "c0ffee", "4f6c", "https://flyte.example.org/a1b2c3",
    )  # fmt: skip
    assert found.metrics == {"skill_ratio": 0.031, "coverage_80_ratio": 0.79, "mase": None}
    assert [(each.kind, each.model_version) for each in found.decisions] == [("demotion", "9"), ("promotion", "3")]
    assert found.decisions[1].figures == {"gain_vs_ewma_ratio": None}


def test_a_version_of_which_little_is_known_is_shown(read):
    """Its snapshot was recorded elsewhere; it is not in service; its execution has no page that one may link to."""
    past, ask = read
    past.register(2, execution_url="javascript:alert()", git_commit=None)

    found = answers.ModelVersionDetail.model_validate(ask("models/2").json())

    assert (found.snapshot.sha256, found.snapshot.n_rows, found.metrics, found.decisions) == ("5a" * 32, None, None, [])
    assert (found.execution_url, found.git_commit, found.version.last_decision) == (None, None, None)


@pytest.mark.parametrize("version", ["7", "0", "x", "99999999999"])
def test_a_version_that_is_none_is_refused(read, version):
    """Not found, or no number of one."""
    _, ask = read

    assert code_of(ask(f"models/{version}")) in {(404, "not_found"), (422, "invalid_request")}


def test_decisions_are_told_with_their_figures(read):
    """The latest first; a figure that could not be known is null."""
    past, ask = read
    past.decide(DecisionKind.PROMOTION, 3, None, 3, figures={"p_vs_champion": float("nan"), "coverage_80_ratio": 0.79})
    past.decide(DecisionKind.REJECTION, 4, 3, 3, reasons=("not better",))

    found = answers.Decisions.model_validate(ask("decisions?limit=5").json()).decisions

    assert [(each.kind, each.champion_before, each.champion_after) for each in found] == [
        ("rejection", "3", "3"), ("promotion", None, "3"),
    ]  # fmt: skip
    assert found[1].figures == {"p_vs_champion": None, "coverage_80_ratio": 0.79}
