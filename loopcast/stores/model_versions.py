"""What each model version came from, beside the forecasts that it made: the registry's knowledge in a table.

`registry.register` writes it, in the step that makes a version; a forecast's lineage and a service read it, and need
no MLflow for that.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from psycopg.rows import dict_row
from pydantic import BaseModel

from loopcast.config import Problem
from loopcast.evidence.record import RECORD, Moment
from loopcast.stores.database import Database

if TYPE_CHECKING:
    from loopcast.stores.model_version import ModelVersion


class VersionRecord(BaseModel):
    """One model version: a row of `loopcast.model_versions`."""

    model_config = RECORD

    problem: str
    version: int
    candidate: str
    run_id: str
    """Of the training in MLflow."""
    weights_sha256: str
    snapshot_sha256: str
    """Of the panel it was trained on."""
    git_commit: str | None
    is_git_dirty: bool | None
    execution_id: str | None
    """Of the workflow in Flyte; None where there was none."""
    execution_url: str | None
    transform: Literal["none", "log"]
    quantile_levels: tuple[float, ...]
    """Of the quantiles of each of its forecasts, ascending."""
    trained_until_utc: Moment
    """Last step of that panel."""
    registered_at_utc: Moment


NAMES = ", ".join(VersionRecord.model_fields)
CHANGES = ", ".join(f"{name} = excluded.{name}" for name in VersionRecord.model_fields)
INSERT = (
    f"INSERT INTO loopcast.model_versions ({NAMES}) "  # noqa: S608  names from above
    f"VALUES ({', '.join(f'%({name})s' for name in VersionRecord.model_fields)}) "
    f"ON CONFLICT (problem, version) DO UPDATE SET {CHANGES} "
    "WHERE excluded.registered_at_utc > model_versions.registered_at_utc"
)
SELECT_LAST = f"SELECT {NAMES} FROM loopcast.model_versions WHERE problem = %s ORDER BY version DESC LIMIT %s"  # noqa: S608
SELECT = f"SELECT {NAMES} FROM loopcast.model_versions WHERE problem = %s AND version = %s"  # noqa: S608


class ModelVersions(Protocol):
    """Where it is kept what model versions came from."""

    def record(self, record: VersionRecord) -> None:
        """Keep what is known of a version, once, however often it is told.

        MLflow gives the number of a deleted version again: of two versions of one number the later one is kept.
        """

    def get(self, problem: str, version: int) -> VersionRecord | None:
        """What is known of a version, None for nothing."""

    def history(self, problem: str, limit: int | None = 100) -> list[VersionRecord]:
        """The last versions of a problem, by default a hundred, with None all of them; the latest first."""


@dataclass(frozen=True)
class ModelVersionStore:
    """`ModelVersions` in PostgreSQL."""

    database: Database

    def record(self, record: VersionRecord) -> None:
        """See `ModelVersions`."""
        with self.database.connect() as connection:
            connection.execute(INSERT, record.model_dump() | {"quantile_levels": list(record.quantile_levels)})

    def get(self, problem: str, version: int) -> VersionRecord | None:
        """See `ModelVersions`."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(SELECT, [problem, version]).fetchone()
        return None if row is None else VersionRecord.model_validate(row)

    def history(self, problem: str, limit: int | None = 100) -> list[VersionRecord]:
        """See `ModelVersions`."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [VersionRecord.model_validate(row) for row in cursor.execute(SELECT_LAST, [problem, limit])]


@dataclass(frozen=True)
class MemoryModelVersionStore:
    """`ModelVersions` of this process, for tests and trials without a database."""

    kept: dict[tuple[str, int], VersionRecord] = field(default_factory=dict)

    def record(self, record: VersionRecord) -> None:
        """See `ModelVersions`."""
        known = self.kept.get((record.problem, record.version))
        if known is None or record.registered_at_utc > known.registered_at_utc:
            self.kept[record.problem, record.version] = record

    def get(self, problem: str, version: int) -> VersionRecord | None:
        """See `ModelVersions`."""
        return self.kept.get((problem, version))

    def history(self, problem: str, limit: int | None = 100) -> list[VersionRecord]:
        """See `ModelVersions`."""
        found = [each for (name, _), each in self.kept.items() if name == problem]
        return sorted(found, key=lambda each: each.version, reverse=True)[:limit]


def describe_version(version: "ModelVersion", problem: Problem) -> VersionRecord:
    """What a registered version came from, and how its forecasts are to be read.

    Args:
        problem: As the version was trained on it.
    """
    is_dirty = version.tags.get("is_git_dirty")
    return VersionRecord(
        problem=version.problem,
        version=version.version,
        candidate=version.candidate,
        run_id=version.run_id,
        weights_sha256=version.weights_sha256,
        snapshot_sha256=version.snapshot_sha256,
        git_commit=version.tags.get("git_commit"),
        is_git_dirty=None if is_dirty is None else is_dirty == "true",
        execution_id=version.tags.get("execution_id"),
        execution_url=version.tags.get("execution_url"),
        transform=problem.transform,
        quantile_levels=problem.quantiles,
        trained_until_utc=version.trained_until_utc,
        registered_at_utc=version.created_at_utc,
    )
