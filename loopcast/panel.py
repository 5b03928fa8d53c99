"""From a source's rows to the panel that everything downstream reads, and to the rows that were refused.

Nothing here looks ahead: what a row of the panel says depends on the source rows of its own step and those before.
"""

import warnings
from typing import Final

import numpy as np
import pandas as pd
from pandera.errors import SchemaErrors

from loopcast.cells import PRICE_COLUMNS, read_cells, value_columns
from loopcast.config import Problem
from loopcast.contracts import Observation, Panel
from loopcast.grid import place_on_grid
from loopcast.objections import judge_series, judge_splits, tally_series
from loopcast.prices import measure_ranges
from loopcast.refusals import Findings, Ingest, Reason, quarantine_rows
from loopcast.steps import count_runs, fill_gaps, find_heads, unite_steps
from loopcast.typing import Bools, Ints

REASONS: Final = {
    ("series_id", "not_nullable"): Reason.MISSING_SERIES_ID,
    ("timestamp_utc", "not_nullable"): Reason.BAD_TIMESTAMP,
    ("target", "not_nullable"): Reason.MISSING_TARGET,
    ("target", "greater_than(-inf)"): Reason.NOT_FINITE,
    ("target", "less_than(inf)"): Reason.NOT_FINITE,
}
"""The reason that each rule of `Observation` gives, by column and check."""


def build_panel(raw: pd.DataFrame, problem: Problem) -> Ingest:
    """The panel of a source, the rows that were refused, and what a person should know of both.

    Args:
        raw: The source's rows as `stores.sources.read_source` returns them, in source order; it is not changed.
    """
    raw = raw.reset_index(drop=True)
    rows, findings, notes = read_cells(raw, problem)
    findings |= _break_rules(rows)
    rows, off_grid = _place(rows, _is_refused(findings, rows), problem)
    findings |= off_grid
    findings |= _find_copies(rows, _is_refused(findings, rows), problem)
    taken = rows[~_is_refused(findings, rows)]
    panel = fill_gaps(unite_steps(taken, problem), problem)
    segments = segment_ids(panel, problem)

    tally = tally_series(rows["series_id"], _is_refused(findings, rows), panel, segments, problem)
    short = tally.index[tally["n_usable"] < problem.quality.min_rows]
    findings[Reason.TOO_SHORT_SERIES] = rows["series_id"].isin(short).to_numpy()
    is_kept = ~panel["series_id"].isin(short).to_numpy()
    panel, segments = panel[is_kept].reset_index(drop=True), segments[is_kept]
    is_observed = ~panel["is_filled"].to_numpy()

    notes += _describe_order(taken)
    series_notes, objections = judge_series(tally, problem)
    panel = _add_ranges(panel, segments, problem)
    split_notes, split_objections = judge_splits(panel[is_observed], segments[is_observed], problem)
    return Ingest(
        panel=Panel.validate(panel, lazy=True),
        quarantine=quarantine_rows(raw, rows["series_id"], findings),
        notes=(*notes, *_describe_panel(panel, segments), *series_notes, *split_notes),
        objections=(*objections, *split_objections),
        n_rows=len(raw),
    )


def segment_ids(panel: pd.DataFrame, problem: Problem) -> Ints:
    """Number of the run of neighbouring steps that each row is in, shape (n,), from 0 upwards in the panel's order.

    Rows are neighbours when they are of one series and no more than `problem.bridge_steps` steps are missing between.
    """
    numbers = place_on_grid(panel["timestamp_utc"].to_numpy(dtype="datetime64[us]"), problem).numbers
    return count_runs(numbers, find_heads(panel), problem)


def _is_refused(findings: Findings, rows: pd.DataFrame) -> Bools:
    is_refused = np.zeros(len(rows), dtype=np.bool_)
    for mask in findings.values():
        is_refused |= mask
    return is_refused


def _break_rules(rows: pd.DataFrame) -> Findings:
    """Which rows break which rule of the contract."""
    findings: Findings = {}
    try:
        with warnings.catch_warnings():  # pandera 0.35 joins its lists of failures in a way that pandas 3 will change
            warnings.simplefilter("ignore", FutureWarning)
            Observation.validate(rows[["series_id", "timestamp_utc", "target"]], lazy=True)
    except SchemaErrors as refusal:
        for (column, check), cases in refusal.failure_cases.groupby(["column", "check"]):
            mask = findings.setdefault(REASONS[column, check], np.zeros(len(rows), dtype=np.bool_))
            mask[cases["index"].to_numpy(dtype=np.int64)] = True
    return findings


def _place(rows: pd.DataFrame, is_refused: Bools, problem: Problem) -> tuple[pd.DataFrame, Findings]:
    """The rows with the label of their step, and which of them lie between steps.

    Where several rows become one step they may lie anywhere in it, but never on a weekend of a business-day problem:
    Friday would tell what came after it.
    """
    instants = rows["timestamp_utc"][~is_refused]
    placement = place_on_grid(instants.to_numpy(dtype="datetime64[us]"), problem)
    is_off_grid = np.zeros(len(rows), dtype=np.bool_)
    if problem.aggregate == "none" or problem.has_business_steps:
        is_off_grid[~is_refused] = ~placement.is_exact
    step_utc = pd.Series(placement.steps_utc, index=instants.index).dt.tz_localize("UTC")
    return rows.assign(step_utc=step_utc), {Reason.OFF_GRID: is_off_grid}


def _find_copies(rows: pd.DataFrame, is_refused: Bools, problem: Problem) -> Findings:
    """Rows that a later one of the same series and time, or of the same step, repeats or contradicts."""
    key = ["series_id", "step_utc" if problem.aggregate == "none" else "timestamp_utc"]
    findings = {
        reason: np.zeros(len(rows), dtype=np.bool_) for reason in (Reason.DUPLICATE, Reason.CONFLICTING_DUPLICATE)
    }
    taken = rows[~is_refused]
    findings[Reason.DUPLICATE][~is_refused] = taken.duplicated([*key, *value_columns(problem)], keep="last")
    findings[Reason.CONFLICTING_DUPLICATE][~is_refused] = taken.duplicated(key, keep="last")
    return findings


def _add_ranges(panel: pd.DataFrame, segments: Ints, problem: Problem) -> pd.DataFrame:
    """The panel with what its prices say of each step, and without the prices."""
    if problem.columns.ohlc is None:
        return panel
    prices = panel[list(PRICE_COLUMNS)].to_numpy(dtype=float)
    range_variance, overnight_change = measure_ranges(panel["target"].to_numpy(dtype=float), prices, segments)
    return panel.drop(columns=list(PRICE_COLUMNS)).assign(
        range_variance=range_variance, overnight_change=overnight_change
    )


def _describe_order(taken: pd.DataFrame) -> list[str]:
    """A note where a series of the source goes backwards in time."""
    backwards = taken.groupby("series_id", sort=False)["timestamp_utc"].diff() < pd.Timedelta(0)
    return [f"time goes backwards at {n:,} places; rows were sorted"] if (n := int(backwards.sum())) else []


def _describe_panel(panel: pd.DataFrame, segments: Ints) -> list[str]:
    """Notes on gaps that were filled or cut, and on prices that contradict each other."""
    n_filled = int(panel["is_filled"].sum())
    n_cuts = len(np.unique(segments)) - panel["series_id"].nunique()
    n_unsound = 0
    if "overnight_change" in panel:
        is_head = np.diff(segments, prepend=-1) != 0
        n_unsound = int((panel["overnight_change"].isna() & ~panel["is_filled"] & ~is_head).sum())
    notes = {
        f"{n_filled:,} missing steps carry the value before them": n_filled,
        f"series are cut at {n_cuts:,} longer gaps": n_cuts,
        f"{n_unsound:,} rows have no range variance, their prices are missing or contradictory": n_unsound,
    }
    return [note for note, n in notes.items() if n]
