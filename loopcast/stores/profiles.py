"""The profile of each model version: what it was trained on, as monitoring holds it against the live data.

It is made at the training and kept beside the model; for a version of before, when it is first asked for.
"""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from loopcast.health.profile import Profile, profile_model
from loopcast.model.served import open_served_model
from loopcast.sections.monitoring import Monitoring
from loopcast.stores.artifacts import ArtifactStore

if TYPE_CHECKING:
    from loopcast.stores.model_version import ModelVersion
    from loopcast.stores.registry import Registry

PROFILE: Final = "profile"
"""Name of the text among the artifacts of a training's run."""


def read_profile(
    registry: "Registry", artifacts: ArtifactStore, version: "ModelVersion", limits: Monitoring
) -> Profile:
    """The profile of a version, for the window of the limits; where none can be read, it is made.

    Raises:
        StoreError: It has to be made, and the version's files or snapshot cannot be had.
    """
    with suppress(ValueError):  # it was damaged
        stored = registry.read_text(version, name_profile(limits))
        if stored is not None:
            return Profile.model_validate_json(stored)
    with TemporaryDirectory(prefix="loopcast-profile-") as folder:
        model = open_served_model(registry.fetch(version, Path(folder)))
        profile = profile_model(model, artifacts.get_snapshot(version.snapshot_sha256), model.problem, limits)
    registry.keep_text(version, name_profile(limits), profile.model_dump_json())
    return profile


def name_profile(limits: Monitoring) -> str:
    """What the profile for a window is called.

    >>> name_profile(Monitoring(window_steps=60))
    'profile-60'
    """
    return f"{PROFILE}-{limits.window_steps}"
