"""What is answered about trained models, and about what was decided of them."""

from uuid import UUID

from pydantic import AwareDatetime

from app.answers.base import Answer, Known
from loopcast.stores.decisions import DecisionKind


class Decision(Answer):
    """What was decided about a version, by which rule and on which figures."""

    id: UUID
    kind: DecisionKind
    model_version: str
    champion_before: str | None
    champion_after: str | None
    rule: str
    reasons: list[str]
    figures: dict[str, Known]
    actor: str
    decided_at_utc: AwareDatetime


class Decisions(Answer):
    """Decisions, the latest first."""

    problem: str
    decisions: list[Decision]


class ModelVersion(Answer):
    """A trained model."""

    model_version: int
    candidate: str
    trained_until_utc: AwareDatetime
    registered_at_utc: AwareDatetime
    is_champion: bool
    """By the last decision."""
    is_serving: bool
    """In the worker that answers; it follows a decision within seconds."""
    last_decision: Decision | None
    """About this version."""
    snapshot_sha256: str
    run_url: str | None


class Models(Answer):
    """The versions of a problem, the latest first."""

    problem: str
    champion_version: int | None
    predecessor_version: int | None
    """That a rollback would put into service; null where there is none."""
    versions: list[ModelVersion]


class Snapshot(Answer):
    """The data that a version was trained on."""

    sha256: str
    url: str | None
    """Null, like what follows, where it is not known here."""
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
    metrics: dict[str, Known] | None
    """Of its backtest; null unless it is in service."""
    decisions: list[Decision]
    """About it, the latest first."""
