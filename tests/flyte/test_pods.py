"""What was registered runs as on a cluster: each task in a pod of its own, which has nothing but its command."""

from pathlib import Path

import pytest

from launchplans.monitoring import monitoring_on_demand
from launchplans.training import training_on_demand
from loopcast.stores.decisions import DecisionKind
from loopcast.stores.opened import Stores
from tests.flyte.propeller import Cluster, PodFailedError
from tests.monitored import N_TRAINED, make_service

pytestmark = pytest.mark.slow

CONSOLE = "https://flyte.example.org/console"


@pytest.fixture
def cluster(stores: Stores, tmp_path: Path) -> Cluster:
    """One whose pods are told where the stores are."""
    settings = stores.settings
    environment = {
        "LOOPCAST_DATABASE_URL": stores.database.url,
        "LOOPCAST_ARTIFACTS_URL": settings.artifacts,
        "LOOPCAST_CONSOLE_URL": CONSOLE,
    }
    return Cluster(tmp_path, environment)


def test_a_poisoned_model_is_rolled_back_by_pods_that_share_the_stores_alone(stores, cluster, tmp_path):
    """From judging to acting each step finds what the one before left; none reads or writes where it stands."""
    service = make_service(stores, "pods", tmp_path)
    service.promote()
    service.promote(bias=3.0)
    service.forecast(N_TRAINED + 1, N_TRAINED + 8)
    service.publish(N_TRAINED + 9)

    outcome = cluster.execute(monitoring_on_demand, "f0123456789abcdef001", config=service.problem)

    decision = stores.decisions.history("pods")[0]
    assert outcome.action == "Version 1 is back in service in the place of 2"
    assert (decision.kind, decision.champion_after) == (DecisionKind.DEMOTION, "1")
    assert "f0123456789abcdef001" in decision.actor
    assert {each.alert.link for each in stores.alerts.history("pods")} == {
        f"{CONSOLE}/projects/team/domains/production/executions/f0123456789abcdef001"
    }
    assert [command[-1] for command in cluster.commands.values()] == [
        "take_in_data", "judge_champion", "report_day", "tell_people", "claim_action", "roll_champion_back",
        "sum_up_day",
    ]  # fmt: skip
    assert sum((folder / "out" / "deck.html").exists() for folder in cluster.commands) == 1
    assert [file for folder in cluster.commands for file in (folder / "cwd").iterdir()] == []


def test_a_failure_in_a_pod_is_told_in_a_sentence_with_its_execution(stores, cluster, tmp_path):
    """The workflow's handler gets the error as the cluster words it, traceback and all."""
    service = make_service(stores, "lost", tmp_path)

    with pytest.raises(PodFailedError, match="Traceback"):
        cluster.execute(training_on_demand, "f0123456789abcdef003", config=service.problem)

    [episode] = stores.alerts.history("lost")
    assert episode.alert.sentence.startswith(
        f"The training workflow failed: SourceError: {tmp_path}/prices.csv: nothing"
    )
    assert episode.alert.link.endswith("/executions/f0123456789abcdef003")
