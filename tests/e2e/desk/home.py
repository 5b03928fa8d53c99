"""A work folder as it is after a year in production: `python -m tests.e2e.desk.home FOLDER`.

Two small networks of Google's price, the second one champion; their forecasts of a year, what came true, and some days'
monitoring. Made through the same stores as a year of workflows would, in half a minute.
"""

import warnings
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pandas as pd

from benchmarks.champion import CONFIG
from loopcast.config import Problem, load_problem
from loopcast.evidence.gate import Rule, Verdict
from loopcast.features import build_design
from loopcast.model.batch import Span
from loopcast.model.fitting import Fitted, save_candidates
from loopcast.model.residual import Lstm
from loopcast.model.split import split_for_service
from loopcast.panel import build_panel
from loopcast.settings import read_settings
from loopcast.stores.artifacts import record_snapshot
from loopcast.stores.batch import choose_model, open_batch
from loopcast.stores.lineage import read_lineage
from loopcast.stores.monitoring import judge, take_in
from loopcast.stores.opened import Stores
from loopcast.stores.promotion import promote
from loopcast.stores.sources import read_source
from loopcast.stores.telling import tell_day

SERIES: Final = ("GOOG", "AAPL", "IBM", "MSFT")
QUICK: Final = {"n_seeds": 1, "max_epochs": 4, "patience_epochs": 4}
"""Seconds of training: a champion's shape, and some of its skill."""
COVERED: Final = {"coverage_80_ratio": 0.797, "coverage_95_ratio": 0.946}
FIGURES: Final = {"skill_ratio": 0.0185, "mae_ratio": 1.0, "n_dates": 1647, **COVERED}
"""Of the walk forward of a whole training, which this is not."""
VERDICTS: Final = (
    Verdict(
        is_promoted=True, rule=Rule.FIRST_MODEL, reasons=(),
        figures={"gain_vs_ewma_ratio": 0.0185, "p_vs_ewma": 1e-9, "n_dates_vs_ewma": 1647.0, **COVERED},
    ),
    Verdict(
        is_promoted=True, rule=Rule.BETTER_THAN_CHAMPION, reasons=(),
        figures={"gain_vs_champion_ratio": 0.0042, "p_vs_champion": 0.012, "n_dates_vs_champion": 1774.0, **COVERED},
    ),
)  # fmt: skip
"""What the gate says of each version."""
TRAINED_UNTIL: Final = (datetime(2011, 12, 31, tzinfo=UTC), datetime(2012, 6, 30, tzinfo=UTC))
"""Of each version; it forecasts from the day after until the next one does, the last one until the end."""
END: Final = datetime(2013, 3, 2, tzinfo=UTC)
LOOKED_AT: Final = {
    **{datetime(2012, month, 28, 22, tzinfo=UTC): "" for month in (8, 9, 11, 12)},
    datetime(2013, 1, 31, 22, tzinfo=UTC): "the source answers 503; ask those who run it",
    datetime(2013, 2, 1, 22, tzinfo=UTC): "",
    END: "",
}
"""Days that are monitored, and why nothing came in on them, if so."""


def fill(stores: Stores) -> None:
    """Put everything that the pages show into the stores."""
    given = load_problem(CONFIG)
    changes = {"training": given.training.model_copy(update=QUICK), "forecast_series": SERIES}
    problem = given.model_copy(update=changes)
    ingest = build_panel(read_source(problem), problem)
    for number, until in enumerate(TRAINED_UNTIL, start=1):
        register(stores, problem, ingest.panel[ingest.panel["timestamp_utc"] <= until].reset_index(drop=True))
        verdict = VERDICTS[number - 1]
        promote(stores.registry, problem.name, number, lambda _champion, verdict=verdict: verdict, actor="training")
        keep(stores, ingest.panel, problem)
        backfill(stores, problem, number, Span(since_utc=until, until_utc=[*TRAINED_UNTIL, END][number]))
    for as_of, refusal in LOOKED_AT.items():
        judged = judge(stores, problem, take_in(stores, problem, refusal or ingest, "desk"), as_of)
        tell_day(stores, judged, "")


def register(stores: Stores, problem: Problem, panel: pd.DataFrame) -> None:
    """A new version, trained on a panel."""
    sha256 = keep(stores, panel, problem)
    design = build_design(panel, problem)
    fitted = Lstm.fit(design, split_for_service(design, problem), problem)
    with TemporaryDirectory() as folder:
        save_candidates(Fitted({fitted.candidate: fitted}, pd.DataFrame()), panel, problem, Path(folder))
        run = stores.registry.start_run(problem, read_lineage(stores.settings, sha256))
        run.log_figures({f"{fitted.candidate}/{name}": value for name, value in FIGURES.items()})
        stores.registry.register(run, Path(folder) / fitted.candidate, panel, panel["timestamp_utc"].max())
    run.finish()


def keep(stores: Stores, panel: pd.DataFrame, problem: Problem) -> str:
    """The SHA-256 of a panel that is now the newest snapshot."""
    sha256 = stores.artifacts.put_snapshot(panel)
    record_snapshot(stores.database, problem.name, sha256, stores.artifacts.snapshot_url(sha256), panel)
    return sha256


def backfill(stores: Stores, problem: Problem, version: int, span: Span) -> None:
    """Store what a version forecasts from each step of a stretch."""
    chosen = choose_model(stores.registry, problem.name, version, "desk")
    sha256 = stores.artifacts.put_snapshot(build_panel(read_source(problem), problem).panel)
    with TemporaryDirectory() as folder:
        opened = open_batch(stores, chosen, sha256, Path(folder))
        for part in opened.plan(problem, span).cut():
            opened.store_part(problem, span, part, stores.forecasts, 1)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of MLflow's and Evidently's own code
    fill(Stores(read_settings()))
