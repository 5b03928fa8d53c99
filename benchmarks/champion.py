"""Champions for benchmarks of the service: the default problem's network, trained for a moment, in a work folder.

Its shape is that of a real champion, and so is its speed; its skill is nobody's concern here.
"""

import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pandas as pd

from loopcast.config import Problem, load_problem
from loopcast.evidence.gate import Rule, Verdict
from loopcast.features import build_design
from loopcast.model.fitting import Fitted, save_candidates
from loopcast.model.residual import Lstm
from loopcast.model.split import split_for_service
from loopcast.panel import build_panel
from loopcast.settings import Settings
from loopcast.stores.artifacts import record_snapshot
from loopcast.stores.lineage import read_lineage
from loopcast.stores.opened import Stores
from loopcast.stores.promotion import promote
from loopcast.stores.sources import read_source

CONFIG: Final = "configs/google.yaml"
EPOCHS: Final = 2


def put_champions(home: Path, n_versions: int) -> None:
    """Register versions that differ in their seeds, the last one champion, and the history to forecast from."""
    stores, problem = Stores(Settings(home=home)), load_problem(CONFIG)
    panel = build_panel(read_source(problem), problem).panel
    sha256 = stores.artifacts.put_snapshot(panel)
    record_snapshot(stores.database, problem.name, sha256, stores.artifacts.snapshot_url(sha256), panel)
    for k in range(n_versions):
        _register(stores, problem, panel, sha256, first_seed=k * problem.training.n_seeds)


def put_into_service(stores: Stores, problem: str, version: int) -> None:
    """Let a version be the champion."""
    verdict = Verdict(is_promoted=True, rule=Rule.BETTER_THAN_CHAMPION, reasons=(), figures={})
    promote(stores.registry, problem, version, lambda _champion: verdict, actor="benchmark")


def _register(stores: Stores, problem: Problem, panel: pd.DataFrame, sha256: str, first_seed: int) -> None:
    design = build_design(panel, problem)
    quick = {"max_epochs": EPOCHS, "patience_epochs": EPOCHS, "first_seed": first_seed}
    fitted = Lstm.fit(
        design,
        split_for_service(design, problem),
        problem.model_copy(update={"training": problem.training.model_copy(update=quick)}),
    )
    with TemporaryDirectory() as folder:
        save_candidates(Fitted({fitted.candidate: fitted}, pd.DataFrame()), panel, problem, Path(folder))
        run = stores.registry.start_run(problem, read_lineage(stores.settings, sha256))
        version = stores.registry.register(run, Path(folder) / fitted.candidate, panel, panel["timestamp_utc"].max())
    run.finish()
    put_into_service(stores, problem.name, version.version)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of MLflow's and flytekit's own code
    put_champions(Path(sys.argv[1]), int(sys.argv[2]))
