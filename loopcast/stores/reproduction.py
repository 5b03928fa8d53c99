"""Rebuilds a model version from what its lineage names, and says whether it is the same to the last bit."""

from pathlib import Path

from loopcast.errors import ReproductionError
from loopcast.evidence.account import Reproduction
from loopcast.model.fitting import refit_candidate
from loopcast.model.folder import digest_forecaster, load_forecaster
from loopcast.stores.environment import compare_environments, read_environment
from loopcast.stores.lineage import read_git
from loopcast.stores.model_version import ModelVersion
from loopcast.stores.opened import Stores


def reproduce(stores: Stores, model: ModelVersion, folder: Path) -> Reproduction:
    """Train a version again on its snapshot and compare the weights.

    Args:
        stores: Where the version and its snapshot lie.
        model: The version.
        folder: For the version's files.

    Raises:
        ReproductionError: Other weights came out; the message names each difference that can be why.
    """
    _, problem = load_forecaster(stores.registry.fetch(model, folder))
    panel = stores.artifacts.get_snapshot(model.snapshot_sha256)
    differences = compare_environments(model.environment, read_environment())
    commit, is_dirty = read_git(stores.settings)
    then = model.tags.get("git_commit", "unknown")
    if commit != then:
        differences.append(f"the code was {then}, here it is {commit}; run `git checkout {then}`")
    if is_dirty or model.tags.get("is_git_dirty") == "true":
        differences.append("the code had changes that no commit holds; commit them before a training")
    rebuilt = refit_candidate(model.candidate, panel, problem, stores.settings.seed_processes)
    found = digest_forecaster(rebuilt)
    if found != model.weights_sha256:
        causes = "\n- ".join(differences or ["nothing that is recorded differs; report this as a bug"])
        raise ReproductionError(
            f"{model.problem} version {model.version}: weights hash to {found[:12]}, needs "
            f"{model.weights_sha256[:12]}:\n- {causes}"
        )
    return Reproduction(
        problem=model.problem, version=model.version, weights_sha256=found, differences=tuple(differences)
    )
