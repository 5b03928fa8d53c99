"""A batch run on the stores: its model found and fetched, its forecasts made and stored block after block.

Memory does not grow with the number of forecasts. Which forecasts a run makes stands in `model.batch`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from threadpoolctl import threadpool_limits

from loopcast.config import Problem
from loopcast.errors import StoreError
from loopcast.evidence.forecast_table import ForecastStep
from loopcast.features import Design, build_design
from loopcast.forecasts import ForecastSource
from loopcast.model.batch import BatchPlan, ChosenModel, Part, Span, choose_origins, plan_batch
from loopcast.model.bulk import speed_up
from loopcast.model.processes import open_workers
from loopcast.model.served import ServedModel, make_forecasts, open_served_model
from loopcast.stores.forecasts import ForecastLog, ForecastStore
from loopcast.stores.opened import Stores
from loopcast.stores.partitions import begin_month
from loopcast.typing import Ints

if TYPE_CHECKING:
    from loopcast.stores.registry import Registry

BLOCK_FORECASTS: Final = 4096
"""Forecasts made and written at once: four megabytes, for which a round trip to the database takes no time."""
MIN_SHARE_FORECASTS: Final = 20_000
"""Forecasts for which another process is worth its start, which takes three seconds."""


def choose_model(registry: "Registry", problem: str, version: int | None, request_id: str) -> ChosenModel:
    """The champion of this moment, or the version of this number.

    Raises:
        StoreError: There is none.
    """
    found = registry.champion(problem) if version is None else registry.version(problem, version)
    if found is None:
        raise StoreError(
            f"{problem} has no champion, needs one to forecast; train one with `pyflyte run workflows/training.py "
            "training`, or name one of its versions, which `loopcast versions` lists"
        )
    return ChosenModel(
        problem=problem, version=found.version, weights_sha256=found.weights_sha256, request_id=request_id
    )


@dataclass(frozen=True)
class Batch:
    """A run's model, opened, and the history as the model sees it.

    Attributes:
        chosen: Which version it is.
        folder: Its files.
        model: The same, opened.
        design: Of the run's snapshot.
    """

    chosen: ChosenModel
    folder: Path
    model: ServedModel
    design: Design

    def plan(self, wanted: Problem, span: Span | None) -> BatchPlan:
        """Which forecasts the run makes; see `plan_batch`."""
        return plan_batch(self.design, self.model.problem, wanted, span)

    def store_part(self, wanted: Problem, span: Span | None, part: Part, log: ForecastStore, n_processes: int) -> int:
        """How many forecasts of a part of the plan are new; all of them are stored afterwards.

        Args:
            n_processes: That share the part, at most.
        """
        rows = choose_origins(self.design, wanted, span)[part.first : part.end]
        n_shares = max(1, min(n_processes, len(rows) // MIN_SHARE_FORECASTS))
        shares = [(self.chosen, self.folder, share, log) for share in np.array_split(rows, n_shares)]
        with open_workers(self.design, self.model.problem, n_shares) as workers:
            return sum(n_new for _, n_new in workers.run(store_share, shares))


def open_batch(stores: Stores, chosen: ChosenModel, snapshot_sha256: str, into: Path) -> Batch:
    """The run's model and history.

    Args:
        into: Folder for the model's files.

    Raises:
        StoreError: The version is not what was chosen any more, or its files or the snapshot cannot be had.
    """
    version = stores.registry.version(chosen.problem, chosen.version)
    if version.weights_sha256 != chosen.weights_sha256:
        raise StoreError(
            f"{chosen.problem} version {chosen.version} has weights {version.weights_sha256[:12]}, and had "
            f"{chosen.weights_sha256[:12]} when the run began; start the run anew"
        )
    folder = stores.registry.fetch(version, into)
    model = open_served_model(folder)
    return Batch(chosen, folder, model, build_design(stores.artifacts.get_snapshot(snapshot_sha256), model.problem))


def store_share(
    design: Design, _problem: Problem, chosen: ChosenModel, folder: Path, rows: Ints, log: ForecastLog
) -> int:
    """How many forecasts from the rows are new; made on one thread, those that are stored already left out.

    Args:
        rows: Ready rows, by time, so that a block lies in one month and so in one partition of the table.
    """
    n_new = 0
    with threadpool_limits(1):
        model = speed_up(open_served_model(folder), folder, design, rows)
        for first in range(0, len(rows), BLOCK_FORECASTS):
            missing = _leave_out_stored(design, chosen, rows[first : first + BLOCK_FORECASTS], log)
            if len(missing):
                forecasts = make_forecasts(
                    model, design, missing, version=chosen.version, source=ForecastSource.BATCH,
                    request_id=chosen.request_id, issued_at_utc=datetime.now(UTC),
                )  # fmt: skip
                n_new += log.write(forecasts)
    return n_new


def read_shown(log: ForecastLog, chosen: ChosenModel, plan: BatchPlan) -> list[ForecastStep]:
    """The last forecast of each series that the summary shows, step by step, as it is stored."""
    median, low, high = (plan.quantile_levels.index(level) for level in (0.5, 0.1, 0.9))
    steps = []
    for series_id in plan.shown_series:
        last = log.read(
            chosen.problem, series_id=series_id, until_utc=plan.last_origin_utc, model_version=chosen.version,
            source=ForecastSource.BATCH, limit=1,
        )  # fmt: skip
        for forecast in last:
            for target_utc, values in zip(forecast.target_utc, forecast.quantiles, strict=True):
                ends = (values[median], values[low], values[high])
                steps.append(ForecastStep(series_id, forecast.origin_utc, target_utc, *ends))
    return steps


def forget_old(log: ForecastLog, retention_months: int | None) -> int:
    """How many forecasts were forgotten, because they were made longer ago than the retention; None keeps all."""
    if retention_months is None:
        return 0
    return log.forget(begin_month(datetime.now(UTC), retention_months))


def _leave_out_stored(design: Design, chosen: ChosenModel, rows: Ints, log: ForecastLog) -> Ints:
    names = np.array(design.series_ids, dtype=object)[design.series[rows]]
    are_stored = log.are_stored(ForecastSource.BATCH, chosen.problem, chosen.version, names, design.timestamp_utc[rows])
    return rows[~are_stored]
