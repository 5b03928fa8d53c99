"""Following the registry: what is served is always whole, proven, and what the registry says, or what it said last."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loopcast.errors import StoreError
from loopcast.model.folder import load_forecaster
from loopcast.model.forecaster import forecast_panel
from loopcast.settings import Settings
from loopcast.stores.aliases import read_champions
from loopcast.stores.artifacts import record_snapshot
from loopcast.stores.champion_cache import ChampionCache
from loopcast.stores.champions import FixedChampions, NothingServedError, UnknownProblemError, open_version
from loopcast.stores.fetching import fetch_elsewhere, fetch_version
from loopcast.stores.following import FIRST_PAUSE_S, ChampionFollower, Fetch
from loopcast.stores.opened import Stores
from loopcast.stores.promotion import demote, promote
from tests.integration.clients import end_server, wait_until
from tests.integration.models import PANEL, prefer_higher, register_model
from tests.panels import make_panel, make_panel_problem

LONGER = make_panel(n_steps=320)
POLL_S = 0.05


@pytest.fixture(scope="module")
def stores() -> Iterator[Stores]:
    """Stores that no other test fills: a follower follows every problem that there is."""
    home = Path(tempfile.mkdtemp(prefix="lc-", dir="/tmp"))
    yield Stores(Settings(home=home))
    end_server(home)
    shutil.rmtree(home)


@pytest.fixture
def problem(stores: Stores, name: str) -> Iterator[str]:
    """A problem whose first version is champion and whose history is recorded; no longer in service afterwards."""
    put_history(stores, name, PANEL)
    register_and_promote(stores, name)
    yield name
    stores.registry.client.delete_registered_model(name)


@pytest.fixture
def follow(stores: Stores, tmp_path: Path) -> Iterator[Callable[..., ChampionFollower]]:
    """Start a follower with the cache of this test, as a service does when it starts; all stop afterwards."""
    started = []
    cache = ChampionCache(tmp_path / "champions")
    fetch_here = partial(fetch_version, stores, cache)  # in this process, which has MLflow anyway

    def start(fetch: Fetch = fetch_here) -> ChampionFollower:
        follower = ChampionFollower(stores, cache, POLL_S, fetch)
        started.append(follower)
        follower.start()
        return follower

    yield start
    for follower in started:
        follower.stop()


def put_history(stores: Stores, name: str, panel: pd.DataFrame) -> str:
    """Store a panel as the newest history of a problem and return its SHA-256."""
    sha256 = stores.artifacts.put_snapshot(panel)
    record_snapshot(stores.database, name, sha256, stores.artifacts.snapshot_url(sha256), panel)
    return sha256


def register_and_promote(stores: Stores, name: str) -> int:
    """The number of a new version that is champion."""
    number = register_model(stores.registry, name).version
    promote(stores.registry, name, number, prefer_higher(number), actor="ada")
    return number


def registered_files(stores: Stores, name: str, number: int) -> Path:
    """Where the registry keeps the forecaster of a version."""
    run_id = stores.registry.version(name, number).run_id
    [folder] = Path(stores.settings.artifacts).glob(f"mlflow/*/{run_id}/artifacts/model/data/forecaster")
    return folder


@contextmanager
def registry_away(stores: Stores) -> Iterator[None]:
    """While the block runs MLflow's tables cannot be read."""
    with stores.database.connect() as connection:
        connection.execute("ALTER TABLE mlflow.registered_model_aliases RENAME COLUMN version TO elsewhere")
    try:
        yield
    finally:
        with stores.database.connect() as connection:
            connection.execute("ALTER TABLE mlflow.registered_model_aliases RENAME COLUMN elsewhere TO version")


def test_a_champion_is_served_with_all_that_an_answer_needs(stores, problem, follow):
    """Model, history, origins, lineage and figures are those of the registered version."""
    served = follow().get(problem)

    forecaster, _ = load_forecaster(registered_files(stores, problem, 1))
    expected = forecast_panel(forecaster, PANEL, make_panel_problem(name=problem))
    rows = np.array([served.latest[name] for name in ("S0", "S1")])
    levels = served.design.level[rows, None, None] + served.model.quantiles(served.design, rows)
    assert (served.version, served.record.version, served.record.problem) == (1, 1, problem)
    assert np.array_equal(np.exp(levels).reshape(-1, 13), expected.filter(like="q_").to_numpy())
    assert served.background.shape == (served.design.inputs.shape[1],)


def test_a_new_champion_takes_the_place_of_the_old_one_which_a_running_request_keeps(stores, problem, follow):
    """One reference is swapped; what was taken before stays whole."""
    follower = follow()
    before = follower.get(problem)

    register_and_promote(stores, problem)
    wait_until(lambda: follower.get(problem).version == 2)

    assert before.version == before.record.version == 1
    assert follower.counts().n_swaps == 1


def test_a_rollback_is_followed(stores, problem, follow):
    """The version before serves again, from the files that are still here."""
    register_and_promote(stores, problem)
    follower = follow()

    demote(stores.registry, problem, "it lost its skill", actor="ada")
    wait_until(lambda: follower.get(problem).version == 1)

    assert follower.counts().n_swaps == 1


def test_a_newer_history_is_served_with_the_same_model(stores, problem, follow):
    """Forecasts by name start from the newest snapshot, and nothing is fetched again."""
    follower = follow()
    before = follower.get(problem)

    sha256 = put_history(stores, problem, LONGER)
    wait_until(lambda: follower.get(problem).history_sha256 == sha256)

    after = follower.get(problem)
    assert after.model is before.model
    assert after.design.timestamp_utc.max() > before.design.timestamp_utc.max()
    assert follower.counts().n_swaps == 0


def test_a_version_with_changed_weights_is_refused_once_and_the_old_one_stays(stores, problem, follow, caplog):
    """One line in the log and one in the count, however often the registry is looked at."""
    follower = follow()
    number = register_model(stores.registry, problem).version
    spoil(registered_files(stores, problem, number) / "weights.safetensors")

    promote(stores.registry, problem, number, prefer_higher(number), actor="ada")
    wait_until(lambda: follower.counts().n_refused == 1)
    wait_for_looks(follower, n=3)

    assert follower.get(problem).version == 1
    assert (follower.counts().n_refused, follower.counts().n_swaps) == (1, 0)
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert line.startswith(f"{problem}: version 2 refused, version 1 stays: ")


def test_while_a_version_is_refused_the_old_one_still_gets_the_newest_history(stores, problem, follow):
    """A broken challenger does not freeze the forecasts by name."""
    follower = follow()
    number = register_model(stores.registry, problem).version
    spoil(registered_files(stores, problem, number) / "weights.safetensors")
    promote(stores.registry, problem, number, prefer_higher(number), actor="ada")
    wait_until(lambda: follower.counts().n_refused == 1)

    sha256 = put_history(stores, problem, LONGER)

    wait_until(lambda: follower.get(problem).history_sha256 == sha256)
    assert follower.get(problem).version == 1


def test_a_history_from_which_nothing_can_be_forecast_is_refused_once(stores, problem, follow):
    """Too short a history leaves the one before it in service."""
    follower = follow()
    before = follower.get(problem)

    put_history(stores, problem, PANEL.groupby("series_id").head(20))
    wait_until(lambda: follower.counts().n_refused == 1)
    wait_for_looks(follower, n=3)

    assert follower.get(problem) is before
    assert follower.counts().n_refused == 1


def test_a_registry_that_is_away_changes_nothing_and_is_named_once(stores, problem, follow, caplog):
    """An outage is one line in the log; afterwards the following goes on."""
    follower = follow()
    caplog.clear()

    with registry_away(stores):
        wait_until(lambda: caplog.records != [])
        wait_until(lambda: follower.counts().checked_ago_s > 10 * POLL_S)
        assert follower.get(problem).version == 1
    register_and_promote(stores, problem)

    wait_until(lambda: follower.get(problem).version == 2)
    assert sum("asked again" in record.getMessage() for record in caplog.records) == 1


def test_a_problem_whose_alias_was_taken_away_is_served_no_longer(stores, problem, follow):
    """Who deletes the alias in MLflow takes the model out of service."""
    follower = follow()

    stores.registry.client.delete_registered_model_alias(problem, "champion")

    wait_until(lambda: follower.names() == ())
    with pytest.raises(NothingServedError, match="no champion of any problem"):
        follower.get(problem)


def test_a_service_that_starts_again_answers_although_the_registry_is_away(stores, problem, follow):
    """What the machine remembers is served at once, if it is what was decided last."""
    follow().stop()

    with registry_away(stores):
        served = follow().get(problem)

    assert served.version == 1


def test_what_is_remembered_is_not_served_when_another_version_was_decided_meanwhile(stores, problem, follow):
    """The start waits for the registry instead."""
    follow().stop()
    register_and_promote(stores, problem)

    served = follow().get(problem)

    assert served.version == 2


def test_a_service_that_starts_again_while_the_champion_is_refused_serves_the_one_before(stores, problem, follow):
    """What is remembered is better than nothing, and says which version it is."""
    follow().stop()
    number = register_model(stores.registry, problem).version
    spoil(registered_files(stores, problem, number) / "weights.safetensors")
    promote(stores.registry, problem, number, prefer_higher(number), actor="ada")

    follower = follow()

    assert follower.get(problem).version == 1
    assert follower.counts().n_refused == 1


def test_a_damaged_copy_on_this_disk_is_fetched_anew(problem, follow, tmp_path):
    """A broken file of the cache costs a download, and no refusal."""
    follow().stop()
    [weights] = tmp_path.glob("champions/*/1/forecaster/weights.safetensors")
    spoil(weights)

    follower = follow()

    wait_until(lambda: follower.names() == (problem,))
    assert follower.counts().n_refused == 0


def test_the_cache_keeps_the_files_of_the_last_versions_only(stores, problem, follow, tmp_path):
    """A disk does not fill, however many champions come."""
    follower = follow()

    for _ in range(4):
        number = register_and_promote(stores, problem)
        wait_until(lambda number=number: follower.get(problem).version == number)

    wait_until(
        lambda: sorted(each.parent.name for each in tmp_path.glob("champions/*/*/facts.json")) == ["3", "4", "5"]
    )


def test_the_cache_does_not_keep_what_a_killed_fetch_left(problem, follow, tmp_path):
    """An hour later; what another process has just begun stays."""
    follow().stop()
    [folder] = tmp_path.glob("champions/*/")
    left, begun = folder / ".draft-left", folder / ".draft-begun"
    for draft in (left, begun):
        (draft / "whole").mkdir(parents=True)
    os.utime(left, (0, 0))

    follow()

    assert (left.exists(), begun.exists()) == (False, True)


def test_workers_share_what_was_fetched(problem, follow):
    """Two that start at once, with one cache, serve the same."""
    first, second = follow(), follow()

    assert first.get(problem).record == second.get(problem).record


def test_a_version_that_cannot_be_fetched_is_left_alone_for_a_while(problem, follow):
    """Each attempt starts a process; a registry without its artifacts must not keep a processor busy."""
    attempts = []

    def fail(*wanted: object) -> None:
        attempts.append(wanted)
        raise StoreError("the bucket is away")

    started_s = time.monotonic()
    follower = follow(fail)
    wait_for_looks(follower, n=5)
    follower.stop()

    assert set(attempts) == {(problem, 1)}
    assert len(attempts) <= 1 + (time.monotonic() - started_s) / FIRST_PAUSE_S
    assert follower.names() == ()


def test_a_process_of_its_own_fetches_a_version(stores, problem, tmp_path):
    """It puts all that an answer needs into the cache, and says in one sentence why it could not."""
    cache = ChampionCache(tmp_path)

    fetch_elsewhere(stores.settings, cache, problem, 1)
    with pytest.raises(
        StoreError, match=rf"{problem} version 9 was not fetched: {problem} has no version 9; needs one"
    ):
        fetch_elsewhere(stores.settings, cache, problem, 9)

    found = cache.find(problem, 1)
    assert found.facts.record == stores.model_versions.get(problem, 1)
    assert open_version(found.forecaster, found.facts.record).problem.name == problem
    assert [each.name for each in (tmp_path / problem).iterdir()] == ["1"]


def test_the_champions_that_are_read_without_mlflow_are_those_that_it_shows(stores, problem):
    """A challenger is none, and neither is a problem without an alias."""
    register_model(stores.registry, problem)

    assert read_champions(stores.settings, stores.database) == {problem: stores.registry.champion(problem).version}


def test_a_tracking_uri_that_no_service_can_follow_is_named(stores):
    """The sentence says what was found, and what is needed."""
    settings = stores.settings.model_copy(update={"tracking_uri": "sqlite:///runs.db"})

    with pytest.raises(StoreError, match="LOOPCAST_TRACKING_URI: found sqlite, and a service follows an http"):
        read_champions(settings, stores.database)


def test_the_first_answer_needs_neither_mlflow_nor_pytorch(stores, problem, follow, tmp_path):
    """A worker that remembers its champion serves before the imports that take seconds."""
    follow().stop()
    source = """
import sys
from pathlib import Path
from loopcast.settings import Settings
from loopcast.stores.champion_cache import ChampionCache
from loopcast.stores.fetching import fetch_elsewhere, fetch_version
from loopcast.stores.following import FIRST_PAUSE_S, ChampionFollower, Fetch
from loopcast.stores.opened import Stores
home, cache, problem = sys.argv[1:]
follower = ChampionFollower(Stores(Settings(home=Path(home))), ChampionCache(Path(cache)), poll_s=5)
print(follower.serve_remembered(), follower.get(problem).version, "mlflow" in sys.modules, "torch" in sys.modules)
"""
    arguments = [str(stores.settings.home), str(tmp_path / "champions"), problem]

    done = subprocess.run([sys.executable, "-c", source, *arguments], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "1", "False", "False"]


def test_fixed_champions_name_what_they_have():
    """An unknown problem is told apart from a service without any."""
    champions = FixedChampions({"google": None, "apple": None})

    assert champions.names() == ("apple", "google")
    with pytest.raises(UnknownProblemError, match="no champion of `goggle`, needs one of apple, google"):
        champions.get("goggle")
    with pytest.raises(NothingServedError):
        FixedChampions().get("google")


def spoil(file: Path) -> None:
    """Change a byte in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(bytes(content))


def wait_for_looks(follower: ChampionFollower, n: int) -> None:
    """Return after so many more looks at the registry."""
    for _ in range(n):
        last_s = last_look_s(follower)
        wait_until(lambda last_s=last_s: last_look_s(follower) > last_s + POLL_S / 2)


def last_look_s(follower: ChampionFollower) -> float:
    """When the registry was last seen."""
    return time.monotonic() - follower.counts().checked_ago_s
