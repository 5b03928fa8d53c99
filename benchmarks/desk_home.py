"""A work folder for the benchmark of the desk: a hundred series, a champion, and its forecasts of a year, judged.

The champion has the shape of a real one, trained for a moment; what the pages read was made by the same stores that a
year of workflows would have used.
"""

import sys
import warnings
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pandas as pd

from benchmarks.champion import put_into_service
from loopcast.config import Problem
from loopcast.features import build_design
from loopcast.model.batch import Span
from loopcast.model.fitting import Fitted, save_candidates
from loopcast.model.residual import Lstm
from loopcast.model.split import split_for_service
from loopcast.panel import build_panel
from loopcast.settings import Settings
from loopcast.stores.artifacts import record_snapshot
from loopcast.stores.batch import choose_model, open_batch
from loopcast.stores.lineage import read_lineage
from loopcast.stores.monitoring import judge, take_in
from loopcast.stores.opened import Stores
from loopcast.stores.telling import tell_day

NAME: Final = "desk"
N_SERIES: Final = 100
N_ORIGINS: Final = 252
"""Of each series: a year of trading days."""
N_TRAINED: Final = 504
LOOK_EVERY: Final = 5
"""Steps between two looks of the monitoring in the last months: half a year of them is shown."""
N_LOOKS: Final = 25
PROBLEM: Final = Problem.model_validate(
    {
        "name": NAME,
        "title": "Daily prices of a hundred stocks",
        "unit": "USD",
        "source": {"uri": "none.csv"},
        "columns": {"timestamp": "day", "target": "price", "series_id": "name"},
        "frequency": "B",
        "transform": "log",
        "horizon": 5,
        "quantiles": [0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975],
        "training": {"max_epochs": 1, "patience_epochs": 1},
    }
)
FIGURES: Final = {"coverage_80_ratio": 0.8, "coverage_95_ratio": 0.95, "skill_ratio": 0.02, "mae_ratio": 1.0}


def fill(stores: Stores) -> None:
    """Put everything that the pages read into the stores."""
    ingest = build_panel(make_rows(), PROBLEM)
    panel = ingest.panel
    days = sorted(panel["timestamp_utc"].unique())
    known = panel[panel["timestamp_utc"] <= days[N_TRAINED - 1]].reset_index(drop=True)
    version = register(stores, known)
    put_into_service(stores, NAME, version)
    _keep(stores, panel)
    backfill(stores, panel, days[N_TRAINED], days[-1])
    for step in range(len(days) - 1 - LOOK_EVERY * (N_LOOKS - 1), len(days), LOOK_EVERY):
        judged = judge(stores, PROBLEM, take_in(stores, PROBLEM, ingest, "benchmark"), days[step].to_pydatetime())
        tell_day(stores, judged, "")


def make_rows() -> pd.DataFrame:
    """Random walks whose volatility comes in clusters."""
    n, rng = N_TRAINED + N_ORIGINS, np.random.default_rng(0)
    wander = np.cumsum(0.05 * rng.standard_normal((N_SERIES, n)), axis=1)
    changes = 0.015 * np.exp(0.3 * np.tanh(wander)) * rng.standard_normal((N_SERIES, n))
    days = pd.bdate_range("2022-01-03", periods=n)
    return pd.DataFrame(
        {
            "name": np.repeat([f"S{k:03}" for k in range(N_SERIES)], n),
            "day": np.tile(days.strftime("%Y-%m-%d"), N_SERIES),
            "price": 100 * np.exp(changes.cumsum(axis=1)).ravel(),
        }
    )


def register(stores: Stores, panel: pd.DataFrame) -> int:
    """The number of a new version, trained on a panel."""
    sha256 = _keep(stores, panel)
    design = build_design(panel, PROBLEM)
    fitted = Lstm.fit(design, split_for_service(design, PROBLEM), PROBLEM)
    with TemporaryDirectory() as folder:
        save_candidates(Fitted({fitted.candidate: fitted}, pd.DataFrame()), panel, PROBLEM, Path(folder))
        run = stores.registry.start_run(PROBLEM, read_lineage(stores.settings, sha256))
        run.log_figures({f"{fitted.candidate}/{name}": value for name, value in FIGURES.items()})
        version = stores.registry.register(run, Path(folder) / fitted.candidate, panel, panel["timestamp_utc"].max())
    run.finish()
    return version.version


def backfill(stores: Stores, panel: pd.DataFrame, since: datetime, until: datetime) -> None:
    """Store what the champion forecasts from each step of a stretch."""
    chosen = choose_model(stores.registry, NAME, None, "benchmark")
    span = Span(since_utc=since, until_utc=until)
    with TemporaryDirectory() as folder:
        opened = open_batch(stores, chosen, stores.artifacts.put_snapshot(panel), Path(folder))
        for part in opened.plan(PROBLEM, span).cut():
            opened.store_part(PROBLEM, span, part, stores.forecasts, 1)


def _keep(stores: Stores, panel: pd.DataFrame) -> str:
    sha256 = stores.artifacts.put_snapshot(panel)
    record_snapshot(stores.database, NAME, sha256, stores.artifacts.snapshot_url(sha256), panel)
    return sha256


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of MLflow's own code
    fill(Stores(Settings(home=Path(sys.argv[1]))))
