"""The task that accounts for a training: a page, a picture, the deck of the execution, and a summary in plain words."""

import sys
from datetime import timedelta
from pathlib import Path

from flytekit import Deck, Resources, task
from flytekit.types.directory import FlyteDirectory
from pandera.typing import DataFrame

from loopcast.config import Problem
from loopcast.contracts import Explanation, LearningCurves, Track
from loopcast.evidence.account import Evidence, SnapshotFacts, TrainingOutcome
from loopcast.stores.decisions import Decision
from tasks.faults import retry_transient_faults
from tasks.identity import find_reports, is_local
from tasks.stores import open_stores


@task(
    requests=Resources(cpu="1", mem="2Gi"),
    retries=3,
    timeout=timedelta(minutes=30),
    enable_deck=True,
    deck_fields=(),  # the default fields list every installed package, which takes longer than the report
)
@retry_transient_faults
def report_training(
    problem: Problem,
    snapshot: SnapshotFacts,
    models: FlyteDirectory,
    curves: DataFrame[LearningCurves],
    run_id: str,
    evidence: Evidence,
    track: DataFrame[Track],
    explanation: DataFrame[Explanation],
    version: int,
    decision: Decision,
) -> TrainingOutcome:
    """Write the report of a training as files, the deck and into the MLflow run, and print its summary."""
    from loopcast.evidence.account import draw_up_account
    from loopcast.evidence.wording import summarize
    from loopcast.model.folder import load_forecaster
    from loopcast.stores.decisions import as_verdict
    from loopcast.stores.failures import tell_success
    from loopcast.stores.reports import write_report

    stores = open_stores()
    registered = stores.registry.version(problem.name, version)
    forecaster, _ = load_forecaster(Path(models.download()) / evidence.offered)
    account = draw_up_account(
        problem, snapshot, stores.artifacts.get_snapshot(snapshot.sha256), forecaster, evidence,
        as_verdict(decision), track, curves, explanation, registered.tags,
    )  # fmt: skip
    folder = find_reports(stores.settings, problem.name) / f"version-{version}"
    page, picture = write_report(account, folder)
    run = stores.registry.resume_run(run_id)
    run.log_files(folder)
    run.finish()
    tell_success(stores, problem.name, "training")
    Deck("Report", page.read_text(encoding="utf-8"))
    kept = folder if is_local() else run.locate_files()  # a pod's work folder ends with the pod
    sys.stdout.write(f"\n{summarize(account)}\n\nReport:  {kept}/{page.name}\nPicture: {kept}/{picture.name}\n")
    return TrainingOutcome(
        problem=problem.name,
        version=version,
        candidate=evidence.offered,
        is_promoted=account.verdict is not None and account.verdict.is_promoted,
        report=f"{kept}/{page.name}",
    )
