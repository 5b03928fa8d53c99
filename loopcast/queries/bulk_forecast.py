"""Forecasts of every series of an uploaded CSV, from the last step of each.

They are kept with their query alone, and not among the stored forecasts: what somebody uploads is theirs. Rows are held
to the contract that a source's are; series are read together, so that where a problem has several the state of the
market is the mean over those of the file.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from pydantic import BaseModel

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.evidence.record import RECORD, Moment
from loopcast.features import Design, build_design
from loopcast.model.forecaster import forecast_rows
from loopcast.model.served import latest_origins
from loopcast.panel import build_panel
from loopcast.queries.champion import Champion, as_moment
from loopcast.queries.kinds import Report
from loopcast.queries.tables import open_table
from loopcast.queries.upload import Part, Upload, read_upload
from loopcast.queries.waiting import wait_telling
from loopcast.refusals import HARMLESS, NEXT_STEPS, Ingest, Reason

BLOCK_STEPS: Final = 10_000
"""Forecast steps computed and written at once: a fifth of a second."""
MAX_EXAMPLES: Final = 10
"""Refused rows, and series that are left out, that a result names."""
MAX_NOTES: Final = 20
FORECASTS_FILE: Final = "forecasts.csv"
NEXT: Final[Mapping[Reason, str]] = {
    **NEXT_STEPS,
    Reason.BAD_TIMESTAMP: "write times as the problem's source has them, such as 2024-02-29 or 2024-02-29T15:30:00Z",
    Reason.OFF_GRID: "give the start of a step in the problem's frequency and time zone",
    Reason.NOT_A_NUMBER: "write numbers without units, with a point, or as the problem's source has them",
    Reason.NOT_POSITIVE: "a log needs positive values; correct them",
    Reason.MISSING_TARGET: "leave out rows without a value",
    Reason.CONFLICTING_DUPLICATE: "send each step of a series once",
}
"""What who sends a file can put right."""
END_OF_READING, END_OF_CHECKS, END_OF_DESIGN = 0.2, 0.8, 0.9
"""Shares of the whole at which the steps of the work end."""


class RefusedRow(BaseModel):
    """A row that was kept aside."""

    model_config = RECORD

    row_number: int
    """From 1 under the header."""
    series_id: str | None
    reason: Reason


class BulkForecast(BaseModel):
    """What became of a file; the forecasts themselves are in the query's file."""

    model_config = RECORD

    model_version: int
    unit: str
    horizon: int
    n_rows: int
    n_refused: int
    """Rows of which something was lost."""
    refused_by_reason: dict[Reason, int]
    """Copies and rows of short series too, of which nothing was lost."""
    refused_examples: tuple[RefusedRow, ...]
    n_series: int
    n_forecast: int
    """Series with a forecast."""
    n_left_out: int
    left_out_examples: tuple[str, ...]
    """Series without one, each with the reason."""
    first_origin_utc: Moment
    last_origin_utc: Moment
    notes: tuple[str, ...]
    """What was put right on the way."""


@dataclass
class _Account:
    """What is counted while parts of the file go through the contract."""

    n_rows: int = 0
    by_reason: Counter[Reason] = field(default_factory=Counter)
    examples: list[RefusedRow] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)

    @property
    def n_refused(self) -> int:
        return sum(n for reason, n in self.by_reason.items() if reason not in HARMLESS)

    def add(self, part: Part, ingest: Ingest) -> None:
        self.n_rows += ingest.n_rows
        refused = ingest.quarantine
        self.by_reason.update(Reason(reason) for reason in refused["reason"])
        few = refused.head(MAX_EXAMPLES - len(self.examples))
        numbers = part.numbers[few["row_number"].to_numpy()]
        for number, series_id, reason in zip(numbers, few["series_id"], few["reason"], strict=True):
            self.examples.append(RefusedRow(row_number=int(number), series_id=series_id, reason=Reason(reason)))
        self.notes |= dict.fromkeys(note for note in ingest.notes if " series left out: " not in note)

    def refuse_many(self, n_rows: int, problem: Problem) -> None:
        """Stop where more of the file's rows are refused than a training would bear."""
        allowed = problem.quality.max_refused_ratio
        if self.n_refused <= allowed * n_rows:
            return
        counts = [(reason, n) for reason, n in self.by_reason.most_common() if reason not in HARMLESS]
        examples = "; ".join(f"row {each.row_number:,}: {each.reason}" for each in self.examples[:3])
        raise DataRefusedError(
            f"{self.n_refused:,} of the first {self.n_rows:,} rows refused: "
            f"{', '.join(f'{n:,} {reason}' for reason, n in counts)}; of {n_rows:,} rows at most {allowed:.1%} may be; "
            f"for example {examples}; {NEXT[counts[0][0]]}"
        )


def forecast_upload(path: Path, champion: Champion, folder: Path, report: Report) -> BulkForecast:
    """What became of a file, after the forecasts of its series were written as a CSV into the folder.

    Raises:
        DataRefusedError: The file cannot be read, too many of its rows are refused, or no series can be forecast.
    """
    problem = _relax(champion.problem)
    upload = read_upload(path, problem, lambda share: report(END_OF_READING * share, "Reading the file"))
    names = sorted(upload.names)
    account, panel = _check_rows(upload, problem, report)
    del upload
    if panel.empty:
        raise DataRefusedError(f"no series can be forecast: {_tell_short(names[0], problem)}")
    tell_preparing = partial(report, END_OF_CHECKS, f"Preparing {len(panel):,} steps of {len(names):,} series")
    design = wait_telling(partial(build_design, panel, problem), tell_preparing)
    latest = latest_origins(design, problem)
    left_out = [name for name in names if name not in latest]
    if not latest:
        raise DataRefusedError(f"no series can be forecast: {_tell_left_out(left_out[0], design, problem)}")
    rows = np.array(list(latest.values()), dtype=np.int64)
    n_at_once = max(BLOCK_STEPS // problem.horizon, 1)
    with open_table(folder / FORECASTS_FILE) as table:
        for first in range(0, len(rows), n_at_once):
            report(END_OF_DESIGN + (1 - END_OF_DESIGN) * first / len(rows), f"{first:,} of {len(rows):,} forecasts")
            block = rows[first : first + n_at_once]
            with np.errstate(over="ignore"):  # beyond all floats lies infinity, which is refused
                made = forecast_rows(champion.model.quantiles(design, block), design, block, problem)
            _refuse_infinite(made)
            table.write(made)
    origins = design.timestamp_utc[rows]
    return BulkForecast(
        model_version=champion.version,
        unit=problem.unit,
        horizon=problem.horizon,
        n_rows=account.n_rows,
        n_refused=account.n_refused,
        refused_by_reason=dict(account.by_reason.most_common()),
        refused_examples=tuple(account.examples),
        n_series=len(names),
        n_forecast=len(rows),
        n_left_out=len(left_out),
        left_out_examples=tuple(_tell_left_out(name, design, problem) for name in left_out[:MAX_EXAMPLES]),
        first_origin_utc=as_moment(origins.min()),
        last_origin_utc=as_moment(origins.max()),
        notes=tuple(account.notes)[:MAX_NOTES],
    )


def _relax(problem: Problem) -> Problem:
    """The problem as it reads what is only to be forecast: any series that is long enough for that."""
    least = problem.features.scales[-1] + problem.horizon + 1
    quality = problem.quality.model_copy(update={"min_rows": least, "suspected_split": "accept"})
    return problem.model_copy(update={"forecast_series": (), "quality": quality})


def _check_rows(upload: Upload, problem: Problem, report: Report) -> tuple[_Account, pd.DataFrame]:
    """What became of the rows, and the panel of those that were taken."""
    n_rows, account, panels = len(upload.codes), _Account(), []
    for part in upload.parts():
        share = END_OF_READING + (END_OF_CHECKS - END_OF_READING) * account.n_rows / n_rows
        tell = partial(report, share, f"Checking the rows: {account.n_rows:,} of {n_rows:,}")
        tell()
        ingest = wait_telling(partial(build_panel, part.rows, problem), tell)
        account.add(part, ingest)
        account.refuse_many(n_rows, problem)
        panels.append(ingest.panel)
    return account, pd.concat(panels, ignore_index=True)


def _refuse_infinite(made: pd.DataFrame) -> None:
    is_finite = np.isfinite(made.filter(like="q_").to_numpy()).all(axis=1)
    if not is_finite.all():
        raise DataRefusedError(
            f"{made['series_id'].iloc[int(is_finite.argmin())]}: the history leads to forecasts that are no numbers; "
            "check its values"
        )


def _tell_left_out(name: str, design: Design, problem: Problem) -> str:
    needed = problem.features.scales[-1] + 1
    if name not in design.series_ids:
        return _tell_short(name, problem)
    row = int(np.flatnonzero(design.series == design.series_ids.index(name))[-1])
    return (
        f"{name}: {design.position[row] + 1} steps without a long gap up to {design.timestamp_utc[row]} UTC, needs "
        f"{needed}, the last of them observed"
    )


def _tell_short(name: str, problem: Problem) -> str:
    return f"{name or 'a series without a name'}: needs {problem.quality.min_rows} rows without a long gap between them"
