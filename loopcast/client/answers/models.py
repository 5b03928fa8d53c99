"""What is answered of model versions, and of what was decided about them."""

from collections.abc import Mapping
from uuid import UUID

from pydantic import AwareDatetime

from loopcast.client.answers.base import Answer


class Decision(Answer):
    """What was decided about a version, by which rule and on which figures."""

    id: UUID
    kind: str
    model_version: str
    champion_before: str | None
    champion_after: str | None
    rule: str
    reasons: tuple[str, ...]
    figures: Mapping[str, float | None]
    actor: str
    decided_at_utc: AwareDatetime


class Decisions(Answer):
    """Decisions, the latest first."""

    problem: str
    decisions: tuple[Decision, ...]


class ModelVersion(Answer):
    """A trained model."""

    model_version: int
    candidate: str
    trained_until_utc: AwareDatetime
    registered_at_utc: AwareDatetime
    is_champion: bool
    is_serving: bool
    last_decision: Decision | None
    snapshot_sha256: str
    run_url: str | None


class Models(Answer):
    """The versions of a problem, the latest first."""

    problem: str
    champion_version: int | None
    predecessor_version: int | None
    versions: tuple[ModelVersion, ...]


class Snapshot(Answer):
    """The data that a version was trained on."""

    sha256: str
    url: str | None
    n_rows: int | None
    n_series: int | None
    first_utc: AwareDatetime | None
    last_utc: AwareDatetime | None


class ModelVersionDetail(Answer):
    """A version, and all that leads back from it."""

    problem: str
    version: ModelVersion
    weights_sha256: str
    run_id: str
    git_commit: str | None
    is_git_dirty: bool | None
    execution_id: str | None
    execution_url: str | None
    snapshot: Snapshot
    metrics: Mapping[str, float | None] | None
    decisions: tuple[Decision, ...]
