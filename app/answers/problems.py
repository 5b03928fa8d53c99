"""What is answered about what is served: problems, their series, and the model in service."""

from pydantic import AwareDatetime, ConfigDict

from app.answers.base import Answer
from app.examples import MODEL, PROBLEM, SERIES


class Problem(Answer):
    """A problem that is served: what is forecast, and what a history needs."""

    model_config = ConfigDict(json_schema_extra={"examples": [PROBLEM]})

    problem: str
    title: str
    unit: str
    frequency: str
    """Step of the series, a pandas offset alias such as `B`, `D`, `h`, `15min`."""
    time_zone: str
    """In which a date alone is read."""
    horizon: int
    """Steps ahead, at most."""
    quantiles: list[float]
    """The levels that can be asked for."""
    history_columns: list[str]
    """What a history must bring."""
    history_min_rows: int
    """Neighbouring steps, below which no forecast is made."""
    history_full_rows: int
    """Steps from which on all that the network reads is computed from full windows."""
    model_version: int


class Problems(Answer):
    """The problems that are served and that the asker may use."""

    problems: list[Problem]


class SeriesState(Answer):
    """A series that can be asked for by its name."""

    series_id: str
    origin_utc: AwareDatetime
    """Its last step, from which it is forecast."""


class SeriesPage(Answer):
    """Series by name, in alphabetical order."""

    model_config = ConfigDict(json_schema_extra={"examples": [SERIES]})

    problem: str
    series: list[SeriesState]
    next_after: str | None = None
    """To be given as `after` for the next page; null on the last."""


class History(Answer):
    """The last steps of a series that can be forecast by its name, earliest first."""

    problem: str
    series_id: str
    unit: str
    history_sha256: str
    """The snapshot that they come from."""
    timestamp_utc: list[AwareDatetime]
    value: list[float]
    """The target at each step."""


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
    """The model version in service."""

    model_config = ConfigDict(json_schema_extra={"examples": [MODEL]})

    problem: str
    model_version: int
    candidate: str
    trained_until_utc: AwareDatetime
    registered_at_utc: AwareDatetime
    history_sha256: str
    """The snapshot from which series are forecast by name."""
    metrics: dict[str, float | None]
    """Of its backtest, by name and unit; null where one could not be known."""
    lineage: ModelLineage
