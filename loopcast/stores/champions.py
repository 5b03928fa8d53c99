"""The champions as a service answers with them: which there are, and all that an answer needs, ready in memory.

How they are found, fetched and replaced while a service runs stands in `following`, what a machine remembers of them
in `champion_cache`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from loopcast.errors import DataRefusedError, LoopcastError, ModelRefusedError
from loopcast.features import Design, build_design
from loopcast.forecasts import ForecastSource
from loopcast.model.served import ServedModel, latest_origins, make_forecasts, open_served_model
from loopcast.stores.model_versions import VersionRecord
from loopcast.typing import Floats32


class UnknownProblemError(LoopcastError):
    """No champion of this problem is in service."""


class NothingServedError(LoopcastError):
    """No champion of any problem is in service yet."""


@dataclass(frozen=True)
class ServedProblem:
    """A champion and the newest history of its problem; never changed, only replaced as a whole.

    Attributes:
        version: The model version that answers.
        record: What that version came from.
        model: The forecaster.
        design: Of the newest snapshot.
        latest: Row of the last step in the design of each series that is forecast and ready, by series id.
        history_sha256: The newest snapshot.
        background: Mean of each feature over the ready rows, shape (F,): what an explanation compares with.
        metrics: The version's figures in its backtest, by name and unit.
    """

    version: int
    record: VersionRecord
    model: ServedModel
    design: Design
    latest: Mapping[str, int]
    history_sha256: str
    background: Floats32
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class FollowingCounts:
    """How the following of the registry goes, for metrics.

    Attributes:
        n_swaps: Times that a champion took the place of another one.
        n_refused: Versions or histories that failed a check, once each.
        checked_ago_s: Seconds since the registry was last seen; None for never.
    """

    n_swaps: int = 0
    n_refused: int = 0
    checked_ago_s: float | None = None


class Champions(Protocol):
    """The champions in service; every method may be called from any thread and returns at once."""

    def names(self) -> tuple[str, ...]:
        """The problems that are served, in alphabetical order."""

    def get(self, problem: str) -> ServedProblem:
        """What answers for a problem at this moment; hold it for a whole request.

        Raises:
            UnknownProblemError: Other problems are served, this is not.
            NothingServedError: None is.
        """

    def counts(self) -> FollowingCounts:
        """How the following goes."""


@dataclass(frozen=True)
class FixedChampions:
    """`Champions` that stay: of a baked service, and for tests."""

    problems: Mapping[str, ServedProblem] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """See `Champions`."""
        return tuple(sorted(self.problems))

    def get(self, problem: str) -> ServedProblem:
        """See `Champions`."""
        return pick(self.problems, problem)

    def counts(self) -> FollowingCounts:
        """See `Champions`."""
        return FollowingCounts()


def open_version(folder: Path, record: VersionRecord) -> ServedModel:
    """The model of a version, warm and proven.

    Raises:
        ModelRefusedError: The files are broken, answer otherwise than in training, or are those of another version.
    """
    model = open_served_model(folder)
    if (model.weights_sha256, model.problem.name) != (record.weights_sha256, record.problem):
        raise ModelRefusedError(
            f"{folder}: found weights {model.weights_sha256[:12]} of {model.problem.name}, needs "
            f"{record.weights_sha256[:12]} of {record.problem}; restore the version's artifacts from a backup"
        )
    return model


def serve_version(
    model: ServedModel,
    record: VersionRecord,
    metrics: Mapping[str, float],
    history: pd.DataFrame,
    history_sha256: str,
) -> ServedProblem:
    """All that is needed to answer, after every series was forecast once.

    Args:
        history: A frame that keeps `contracts.Panel`.

    Raises:
        DataRefusedError: The model cannot read the history, or no series of it is long enough to be forecast.
        ModelRefusedError: A forecast is no finite number.
    """
    design = build_design(history, model.problem)
    latest = latest_origins(design, model.problem)
    place = f"{record.problem} version {record.version} on the history {history_sha256[:12]}"
    if not latest:
        raise DataRefusedError(f"{place}: found no series that is long enough to be forecast; store a longer history")
    rows = np.array(list(latest.values()), dtype=np.int64)
    made = make_forecasts(
        model, design, rows,
        version=record.version, source=ForecastSource.ONLINE, request_id="", issued_at_utc=datetime.now(UTC),
    )  # fmt: skip
    if not np.isfinite(made.quantiles).all():
        raise ModelRefusedError(f"{place}: found a forecast that is no finite number; look at the history's last rows")
    return ServedProblem(
        version=record.version,
        record=record,
        model=model,
        design=design,
        latest=latest,
        history_sha256=history_sha256,
        background=design.inputs[design.is_ready].mean(axis=0),
        metrics=metrics,
    )


def pick(problems: Mapping[str, ServedProblem], name: str) -> ServedProblem:
    """The problem of this name.

    Raises:
        UnknownProblemError, NothingServedError: There is none of this name, or none at all.
    """
    found = problems.get(name)
    if found is not None:
        return found
    if not problems:
        raise NothingServedError(
            "found no champion of any problem; train one and let it be promoted, as `make demo` does"
        )
    raise UnknownProblemError(f"found no champion of `{name[:40]}`, needs one of {', '.join(sorted(problems))}")
