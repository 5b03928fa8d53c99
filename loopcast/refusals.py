"""Why rows are refused, where they are kept, and when so many are refused that the run must stop."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pandas as pd
from pandera.typing import DataFrame

from loopcast.config import Problem
from loopcast.contracts import Panel, Quarantine
from loopcast.errors import DataRefusedError
from loopcast.typing import Bools


class Reason(StrEnum):
    """Why a row is refused; a row with several reasons is refused for the first of them."""

    MISSING_SERIES_ID = "missing_series_id"
    MISSING_UTC_OFFSET = "missing_utc_offset"
    NONEXISTENT_LOCAL_TIME = "nonexistent_local_time"
    AMBIGUOUS_LOCAL_TIME = "ambiguous_local_time"
    BAD_TIMESTAMP = "bad_timestamp"
    OFF_GRID = "off_grid"
    NOT_A_NUMBER = "not_a_number"
    MISSING_TARGET = "missing_target"
    NOT_FINITE = "not_finite"
    NOT_POSITIVE = "not_positive"
    DUPLICATE = "duplicate"
    CONFLICTING_DUPLICATE = "conflicting_duplicate"
    TOO_SHORT_SERIES = "too_short_series"


Findings = dict[Reason, Bools]
"""Rows, in source order, to which each reason applies."""

HARMLESS: Final = frozenset({Reason.DUPLICATE, Reason.TOO_SHORT_SERIES})
"""Reasons that do not count towards the refused share: a copy takes nothing away, a short series has no bad rows."""

NEXT_STEPS: Final[Mapping[Reason, str]] = {
    Reason.MISSING_SERIES_ID: "fill the id column or leave these rows out of the source",
    Reason.BAD_TIMESTAMP: "write ISO 8601 times, or set columns.timestamp_format to %d/%m/%Y, epoch_s or what they are",
    Reason.MISSING_UTC_OFFSET: "give every time an offset, or none, so that all are read in one way",
    Reason.NONEXISTENT_LOCAL_TIME: "no clock of time_zone shows these times; correct time_zone or give UTC offsets",
    Reason.AMBIGUOUS_LOCAL_TIME: "clocks showed these times twice; give UTC offsets",
    Reason.OFF_GRID: "correct frequency or time_zone, or set aggregate to bring rows to the steps",
    Reason.NOT_A_NUMBER: "correct the cells, or set source.decimal where the mark is a comma",
    Reason.MISSING_TARGET: "leave out rows without a value, or correct columns.target",
    Reason.NOT_FINITE: "remove infinite values",
    Reason.NOT_POSITIVE: "a log needs positive values; correct them or set transform: none",
    Reason.DUPLICATE: "deliver each row once",
    Reason.CONFLICTING_DUPLICATE: "set columns.series_id for several series, aggregate for several rows in a step",
    Reason.TOO_SHORT_SERIES: "widen the source or lower quality.min_rows",
}
"""What puts each reason right."""

COPIES: Final = frozenset({Reason.DUPLICATE, Reason.CONFLICTING_DUPLICATE})
"""Reasons of a row whose series and time came more than once."""

MAX_EXAMPLES: Final = 3


@dataclass(frozen=True)
class Ingest:
    """What became of a source.

    Attributes:
        panel: The rows that were taken, one per series and step.
        quarantine: The rows that were refused.
        notes: Sentences about what was put right or left out, for the report.
        objections: Sentences about why no model can be made of this panel, empty when one can.
        n_rows: Rows of the source.
    """

    panel: DataFrame[Panel]
    quarantine: DataFrame[Quarantine]
    notes: tuple[str, ...]
    objections: tuple[str, ...]
    n_rows: int

    @property
    def n_refused(self) -> int:
        """Refused rows of which something was lost: all but exact copies and series too short to use."""
        return int((~self.quarantine["reason"].isin(list(HARMLESS))).sum())

    @property
    def refused_ratio(self) -> float:
        """Share of the source's rows that `n_refused` is; 0 for an empty source."""
        return self.n_refused / self.n_rows if self.n_rows else 0.0


def check_refusals(ingest: Ingest, problem: Problem) -> None:
    """Stop a run whose data cannot carry a model; call it when the quarantine is stored.

    Raises:
        DataRefusedError: More rows were refused than `quality.max_refused_ratio`, or the panel has objections.
    """
    if refusal := find_refusal(ingest, problem):
        raise DataRefusedError(refusal)


def find_refusal(ingest: Ingest, problem: Problem) -> str:
    """Why no model can be made of the data, in the words of `check_refusals`; empty where one can."""
    allowed = problem.quality.max_refused_ratio
    if ingest.refused_ratio > allowed:
        lost = ingest.quarantine[~ingest.quarantine["reason"].isin(list(HARMLESS))]
        counts = Counter(lost["reason"]).most_common()
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts)
        examples = lost.drop_duplicates("reason").head(MAX_EXAMPLES)
        return (
            f"{problem.name}: {ingest.n_refused:,} of {ingest.n_rows:,} rows refused ({ingest.refused_ratio:.1%}): "
            f"{reasons}; quality.max_refused_ratio allows {allowed:.1%}; "
            f"for example {'; '.join(_describe(row) for row in examples.itertuples())}; "
            f"{NEXT_STEPS[Reason(counts[0][0])]}"
        )
    return "\n".join(ingest.objections)


def _describe(row: Any) -> str:
    series = "no series" if row.series_id is None else row.series_id
    return f"row {row.row_number} ({series}): {row.reason}"


def quarantine_rows(raw: pd.DataFrame, series_ids: "pd.Series[str]", findings: Findings) -> DataFrame[Quarantine]:
    """The refused rows of a source, each with its first reason and all its values.

    Args:
        raw: The source, n rows.
        series_ids: Series of each row, shape (n,), missing where unknown.
        findings: Masks of shape (n,).
    """
    reasons = np.select(
        [findings[r] for r in Reason if r in findings], [r for r in Reason if r in findings], default=""
    )
    rows = np.flatnonzero(reasons != "")
    cells = raw.iloc[rows].astype(object)
    records = cells.mask(cells.isna(), None).to_dict("records")
    quarantine = pd.DataFrame(
        {
            "row_number": rows,
            "series_id": series_ids.mask(series_ids.isna(), None).to_numpy(dtype=object)[rows],
            "reason": reasons[rows],
            "row_json": [json.dumps({k: _jsonable(v) for k, v in r.items()}, default=str) for r in records],
        }
    )
    return Quarantine.validate(quarantine)


def _jsonable(value: object) -> object:
    """The value, or its text where JSON has no such number."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
