"""What is answered of what there is to forecast, and by which model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from loopcast.client.answers.base import Answer

if TYPE_CHECKING:
    from pandas import DataFrame


class Problem(Answer):
    """A problem that is served: what is forecast, and what a history needs."""

    problem: str
    title: str
    unit: str
    frequency: str
    time_zone: str
    horizon: int
    quantiles: tuple[float, ...]
    history_columns: tuple[str, ...]
    history_min_rows: int
    history_full_rows: int
    model_version: int


class Problems(Answer):
    """The problems that are served and that the asker may use."""

    problems: tuple[Problem, ...]


class SeriesState(Answer):
    """A series that can be asked for by its name, and its last step."""

    series_id: str
    origin_utc: AwareDatetime


class SeriesPage(Answer):
    """Series by name, in alphabetical order."""

    problem: str
    series: tuple[SeriesState, ...]
    next_after: str | None = None


class History(Answer):
    """The last steps of a series that can be forecast by its name, earliest first."""

    problem: str
    series_id: str
    unit: str
    history_sha256: str
    timestamp_utc: tuple[AwareDatetime, ...]
    value: tuple[float, ...]

    def to_frame(self) -> "DataFrame":
        """A row for each step."""
        from pandas import DataFrame

        return DataFrame({"timestamp_utc": self.timestamp_utc, "value": self.value})


class ModelLineage(Answer):
    """Where a model version comes from."""

    weights_sha256: str
    snapshot_sha256: str
    run_id: str
    execution_id: str | None
    execution_url: str | None
    git_commit: str | None
    is_git_dirty: bool | None


class Model(Answer):
    """The model version in service; a metric is null where it could not be known."""

    problem: str
    model_version: int
    candidate: str
    trained_until_utc: AwareDatetime
    registered_at_utc: AwareDatetime
    history_sha256: str
    metrics: Mapping[str, float | None]
    lineage: ModelLineage
