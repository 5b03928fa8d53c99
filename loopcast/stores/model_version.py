"""A registered model as the rest of the code sees it: which one, what it came from, and nothing of MLflow."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from loopcast.errors import StoreError
from loopcast.model.forecaster import Candidate
from loopcast.stores.environment import TAG_PREFIX

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion


@dataclass(frozen=True)
class ModelVersion:
    """One registered model and what it came from.

    Attributes:
        problem: Name of the problem.
        version: From 1 upwards.
        run_id: The training in MLflow.
        weights_sha256: Of all that was fitted.
        snapshot_sha256: Of the panel it was trained on.
        candidate: Which of the rivals it is.
        trained_until_utc: Last step of that panel.
        created_at_utc: When it was registered.
        tags: All its tags: the lineage, the decisions about it, and the above.
    """

    problem: str
    version: int
    run_id: str
    weights_sha256: str
    snapshot_sha256: str
    candidate: Candidate
    trained_until_utc: datetime
    created_at_utc: datetime
    tags: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the training, as `read_environment` returned it there."""
        return {k.removeprefix(TAG_PREFIX): text for k, text in self.tags.items() if k.startswith(TAG_PREFIX)}

    @classmethod
    def read(cls, found: "MlflowVersion") -> Self:
        """The version as MLflow keeps it.

        Raises:
            StoreError: It was registered by something else.
        """
        try:
            return cls(
                problem=found.name,
                version=int(found.version),
                run_id=found.run_id or "",
                weights_sha256=found.tags["weights_sha256"],
                snapshot_sha256=found.tags["snapshot_sha256"],
                candidate=Candidate(found.tags["candidate"]),
                trained_until_utc=datetime.fromisoformat(found.tags["trained_until_utc"]),
                created_at_utc=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
                tags=dict(found.tags),
            )
        except (KeyError, ValueError) as exc:
            raise StoreError(
                f"{found.name} version {found.version} was not registered by Loopcast: tag {exc}; "
                "delete it in MLflow, or take the alias from it"
            ) from exc
