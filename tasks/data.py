"""The tasks that bring data in: a validated panel, its refused rows kept aside, and its immutable snapshot."""

from datetime import timedelta
from typing import NamedTuple

from flytekit import Resources, task
from pandera.typing import DataFrame

from loopcast.config import Problem
from loopcast.contracts import Panel
from loopcast.evidence.account import IngestFacts, SnapshotFacts, describe_snapshot
from loopcast.panel import build_panel
from loopcast.refusals import check_refusals
from loopcast.stores.artifacts import record_snapshot
from loopcast.stores.sources import read_source
from tasks.faults import retry_transient_faults
from tasks.identity import name_attempt
from tasks.stores import open_stores


class Ingested(NamedTuple):
    """A panel and what was refused on the way to it."""

    panel: DataFrame[Panel]
    facts: IngestFacts


@task(requests=Resources(cpu="1", mem="2Gi"), retries=3, timeout=timedelta(minutes=30))
@retry_transient_faults
def ingest_panel(problem: Problem) -> Ingested:
    """Read the source, refuse bad rows into quarantine, and give the rest as a panel."""
    return _ingest(problem)


@task(requests=Resources(cpu="1", mem="2Gi"), retries=3, timeout=timedelta(minutes=30))
@retry_transient_faults
def ingest_history(problem: Problem) -> Ingested:
    """The same for a model that exists: a series that is missing or short is left out, and stops no other."""
    return _ingest(problem.model_copy(update={"forecast_series": ()}))


@task(requests=Resources(cpu="1", mem="2Gi"), retries=3, timeout=timedelta(minutes=30))
@retry_transient_faults
def store_snapshot(problem: Problem, panel: DataFrame[Panel], facts: IngestFacts) -> SnapshotFacts:
    """Keep the panel under the SHA-256 of its bytes."""
    stores = open_stores()
    sha256 = stores.artifacts.put_snapshot(panel)
    record_snapshot(stores.database, problem.name, sha256, stores.artifacts.snapshot_url(sha256), panel)
    return describe_snapshot(sha256, panel, facts)


def _ingest(problem: Problem) -> Ingested:
    stores = open_stores()
    ingest = build_panel(read_source(problem), problem)
    stores.quarantine.keep(problem.name, name_attempt(stores.settings), ingest.quarantine)
    check_refusals(ingest, problem)
    return Ingested(ingest.panel, IngestFacts(n_rows=ingest.n_rows, n_refused=ingest.n_refused, notes=ingest.notes))
