"""A small problem in service: models of any quality, promoted by hand, and the forecasts that they made day by day."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.evidence.backtest import measure_losses
from loopcast.features import build_design
from loopcast.model.baselines import Har
from loopcast.model.batch import Span
from loopcast.model.folder import save_forecaster
from loopcast.model.split import split_for_service
from loopcast.panel import build_panel
from loopcast.sections.data import Source
from loopcast.stores.batch import choose_model, open_batch
from loopcast.stores.lineage import Lineage
from loopcast.stores.monitoring import NEWEST, JudgedDay, judge, take_in
from loopcast.stores.opened import Stores
from loopcast.stores.promotion import promote
from loopcast.stores.sources import read_source
from tests.integration.models import LINEAGE, prefer_higher
from tests.panels import make_panel, make_panel_problem

N_TRAINED = 320
"""Steps that the first model is trained on."""
COLUMNS = {"timestamp_utc": "day", "target": "price", "series_id": "name"}


@dataclass
class Service:
    """A problem with its source, its models and its forecasts."""

    stores: Stores
    problem: Problem
    panel: pd.DataFrame
    """All that ever comes; `publish` says how much of it is there."""

    def day(self, step: int) -> datetime:
        """A step of the calendar, from 0."""
        return sorted(self.panel["timestamp_utc"].unique())[step].to_pydatetime()

    def known(self, until: int) -> pd.DataFrame:
        """The panel up to a step."""
        return self.panel[self.panel["timestamp_utc"] <= self.day(until)].reset_index(drop=True)

    def publish(self, until: int | None = None, rows: pd.DataFrame | None = None) -> None:
        """Write the source: the panel up to a step, or these rows."""
        found = self.known(until) if rows is None else rows
        found.rename(columns=COLUMNS)[list(COLUMNS.values())].to_csv(self.problem.source.uri, index=False)

    def promote(self, until: int = N_TRAINED, bias: float = 0.0) -> int:
        """Train on the steps up to one, put the model into service whatever it is worth, and return its version.

        Args:
            bias: By which its quantiles are too high, in scales of a step.
        """
        panel = self.known(until)
        design = build_design(panel, self.problem)
        split = split_for_service(design, self.problem)
        fitted = Har.fit(design, split, self.problem)
        fitted = replace(fitted, baseline=fitted.baseline + bias)
        losses = measure_losses(design, split.fit, fitted.quantiles(design, split.fit), self.problem)
        sha256 = self.stores.artifacts.put_snapshot(panel)
        lineage = Lineage(**{**vars(LINEAGE), "snapshot_sha256": sha256})
        with TemporaryDirectory() as folder:
            save_forecaster(fitted, self.problem, Path(folder) / "model")
            run = self.stores.registry.start_run(self.problem, lineage)
            run.log_frame("losses", losses.assign(candidate=Har.candidate.value))
            last_utc = panel["timestamp_utc"].max().to_pydatetime()
            version = self.stores.registry.register(run, Path(folder) / "model", panel, last_utc).version
        run.finish()
        promote(self.stores.registry, self.problem.name, version, prefer_higher(version), actor="by hand")
        return version

    def forecast(self, first: int, last: int, version: int | None = None) -> None:
        """Store the forecasts from each step of a stretch, as the evenings' runs would have made them."""
        sha256 = self.stores.artifacts.put_snapshot(self.known(last))
        chosen = choose_model(self.stores.registry, self.problem.name, version, "test")
        span = Span(since_utc=self.day(first), until_utc=self.day(last))
        with TemporaryDirectory() as folder:
            opened = open_batch(self.stores, chosen, sha256, Path(folder))
            for part in opened.plan(self.problem, span).cut():
                opened.store_part(self.problem, span, part, self.stores.forecasts, 1)

    def look(self, as_of: datetime = NEWEST) -> JudgedDay:
        """A day's monitoring, up to where somebody would act."""
        lenient = self.problem.model_copy(update={"forecast_series": ()})
        taken = take_in(self.stores, lenient, build_panel(read_source(self.problem), lenient), "test")
        return judge(self.stores, self.problem, taken, as_of)


def make_service(
    stores: Stores, name: str, folder: Path, n_series: int = 1, rhythm: float = 0.0, **changes: Any
) -> Service:
    """A problem of a test's own, with nothing trained yet.

    Args:
        rhythm: Height of a wave of a week, which a network that moves its centre learns quickly.
    """
    problem = make_panel_problem(name=name, source=Source(uri=str(folder / "prices.csv")), **changes)
    panel = make_panel(n_series, n_steps=460, seed=3)
    panel["target"] += rhythm * np.sin(2 * np.pi * np.arange(len(panel)) / 5)
    return Service(stores, problem, panel)
