"""Commands about data and models: is a problem ready to train, which versions are there, and what was refused."""

from pathlib import Path
from typing import Annotated

import typer

from loopcast.cli.audit import record_act
from loopcast.cli.opening import ProblemName, name_problems, open_stores
from loopcast.config import load_problem
from loopcast.errors import StoreError
from loopcast.settings import read_settings


def check(config: Annotated[Path, typer.Argument(help="YAML of a problem.")]) -> None:
    """Read a problem and its data, and tell what training would take and refuse. Stores nothing."""
    import numpy as np

    from loopcast.evidence.thinning import thin_folds
    from loopcast.features import build_design
    from loopcast.health.day import reach_in_days
    from loopcast.model.split import split_for_service, split_walk_forward
    from loopcast.panel import build_panel
    from loopcast.refusals import check_refusals
    from loopcast.stores.sources import read_source

    read_settings()
    problem = load_problem(config)
    ingest = build_panel(read_source(problem), problem)
    for note in ingest.notes:
        typer.echo(f"- {note}")
    check_refusals(ingest, problem)
    design = build_design(ingest.panel, problem)
    split_for_service(design, problem)
    folds = thin_folds(split_walk_forward(design, problem), design, problem)
    tested = np.concatenate([fold.test for fold in folds])
    n_dates, n_needed = len(np.unique(design.timestamp_utc[tested])), problem.gate.min_dates
    if n_dates < n_needed:
        typer.echo(
            f"- {n_dates} dates to test, needs gate.min_dates = {n_needed} to promote a model; widen the source, or "
            "lower gate.min_dates, or start earlier by backtest.initial_steps"
        )
    n_days, least = reach_in_days(problem, problem.monitoring.window_steps), problem.monitoring.min_judged
    if n_days < least:
        typer.echo(
            f"- monitoring.window_steps = {problem.monitoring.window_steps} holds {n_days} days at most, needs "
            f"monitoring.min_judged = {least} to judge coverage; raise the one, or lower the other"
        )
    times = ingest.panel["timestamp_utc"].dt.tz_convert(problem.time_zone)
    typer.echo(
        f"{problem.name}: {ingest.n_rows:,} rows, {ingest.n_refused:,} refused; {len(ingest.panel):,} steps of "
        f"{ingest.panel['series_id'].nunique()} series from {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}; "
        f"{len(tested):,} origins to test in {len(folds)} folds; ready to train"
    )


def migrate() -> None:
    """Bring the database to what this version expects; any command does it by itself."""
    typer.echo(f"{open_stores().database.place}: migrated")


def versions(problem: ProblemName) -> None:
    """List the model versions of a problem, the latest first."""
    stores = open_stores()
    found = stores.registry.versions(problem)
    if not found:
        raise StoreError(f"{problem} has no versions; {name_problems(stores)}")
    champion = stores.registry.champion(problem)
    for version in found:
        mark = " champion" if champion and version.version == champion.version else ""
        typer.echo(
            f"{version.version:>4}  {version.candidate:<22} trained until {version.trained_until_utc:%Y-%m-%d}  "
            f"weights {version.weights_sha256[:12]}  data {version.snapshot_sha256[:12]}{mark}"
        )


def quarantine(problem: ProblemName, limit: Annotated[int, typer.Option(help="Rows at most.")] = 20) -> None:
    """Show the rows that the last ingest of a problem refused, with the reason of each."""
    found = open_stores().quarantine.read(problem, limit=limit).fillna("-")
    typer.echo(found.to_string(index=False) if len(found) else f"{problem}: no refused rows")


def demote(
    problem: ProblemName,
    reason: Annotated[str, typer.Option(help="Why, in one sentence; kept with the decision.")],
    to: Annotated[int | None, typer.Option(help="Version to go back to; default: the one before.")] = None,
) -> None:
    """Put an earlier version of a problem's model back into service."""
    from loopcast.stores.audit import Act
    from loopcast.stores.lineage import read_actor
    from loopcast.stores.promotion import demote as take_back

    stores = open_stores()
    decision = take_back(stores.registry, problem, reason, read_actor(stores.settings), to_version=to)
    record_act(stores, Act.ROLLBACK, f"version {decision.champion_after}", problem, reason=reason)
    typer.echo(f"{problem}: champion was version {decision.champion_before}, is now {decision.champion_after}")
