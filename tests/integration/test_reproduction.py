"""A version is rebuilt from its lineage to the last bit, or refused with every difference that can be why."""

import pytest

from loopcast.errors import ReproductionError
from loopcast.evidence.account import Reproduction
from loopcast.settings import Settings
from loopcast.stores.environment import read_environment
from loopcast.stores.lineage import Lineage
from loopcast.stores.opened import Stores
from loopcast.stores.reproduction import reproduce
from tests.integration.models import PANEL, TRAINED_UNTIL_UTC, save_model
from tests.panels import make_panel, make_panel_problem


@pytest.fixture
def stores(shared_home, database) -> Stores:
    """Of the shared work folder, with a commit that no checkout changes."""
    return Stores(Settings(home=shared_home, git_commit="c0ffee"))


@pytest.fixture
def register(stores, name, tmp_path):
    """Register a version of `PANEL`, or one that only says so, with a lineage that can be given."""

    def register_version(trained_on=PANEL, environment=None, git_commit="c0ffee", is_git_dirty=False):
        problem = make_panel_problem(name=name, training={"validation_steps": 120})
        save_model(problem, tmp_path / "model", trained_on)
        snapshot = stores.artifacts.put_snapshot(PANEL)
        here = read_environment() if environment is None else environment
        run = stores.registry.start_run(problem, Lineage(snapshot, git_commit, is_git_dirty, "ada", here))
        version = stores.registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)
        run.finish()
        return version

    return register_version


def test_a_version_is_rebuilt_to_the_last_bit(stores, register, tmp_path):
    """From its snapshot and its settings alone."""
    version = register()

    rebuilt = reproduce(stores, version, tmp_path)

    assert rebuilt == Reproduction(
        problem=version.problem, version=1, weights_sha256=version.weights_sha256, differences=()
    )


def test_differences_that_did_not_matter_are_told(stores, register, tmp_path):
    """The bits decide; a reader may still want to know."""
    version = register(environment=read_environment() | {"arch": "0.1"}, git_commit="0ld", is_git_dirty=True)

    rebuilt = reproduce(stores, version, tmp_path)

    arch, code, changes = rebuilt.differences
    assert arch.startswith("arch was 0.1, here it is ")
    assert code == "the code was 0ld, here it is c0ffee; run `git checkout 0ld`"
    assert changes == "the code had changes that no commit holds; commit them before a training"


def test_other_weights_are_refused_with_each_difference(stores, register, tmp_path):
    """The sentence names both weights and what can be why."""
    version = register(trained_on=make_panel(n_steps=300, seed=1), git_commit="0ld")

    with pytest.raises(ReproductionError) as refused:
        reproduce(stores, version, tmp_path)

    head, *causes = str(refused.value).splitlines()
    assert head.startswith(f"{version.problem} version 1: weights hash to ")
    assert head.endswith(f", needs {version.weights_sha256[:12]}:")
    assert causes == ["- the code was 0ld, here it is c0ffee; run `git checkout 0ld`"]


def test_other_weights_without_a_difference_are_a_fault_of_ours(stores, register, tmp_path):
    """Then the reader can do nothing but tell us."""
    version = register(trained_on=make_panel(n_steps=300, seed=1))

    with pytest.raises(ReproductionError, match="nothing that is recorded differs; report this as a bug"):
        reproduce(stores, version, tmp_path)
