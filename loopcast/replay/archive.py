"""The source as it stood on each day: read once, with its faults put in, and revealed row by row.

A row of the panel depends on source rows of its own step and before, and a row of the design on the panel's rows of its
own step and before, to the last bit; tests of `panel` and `features` hold both. So what was known on a day is the head
of what was known at the end, as long as the same series are long enough to be taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from pandera.typing import DataFrame

from loopcast.cells import read_cells
from loopcast.config import Problem
from loopcast.contracts import Panel
from loopcast.errors import ProblemError
from loopcast.features import Design, build_design
from loopcast.health.quality import Intake
from loopcast.objections import judge_series, judge_splits, tally_series
from loopcast.panel import build_panel, segment_ids
from loopcast.refusals import COPIES, Ingest, find_refusal
from loopcast.replay.faults import Faults, spoil_source
from loopcast.typing import Bools, Floats, Ints, Times

MOMENT: Final = "datetime64[us]"
BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)


class Key(NamedTuple):
    """Which rows a design was made from."""

    faults: tuple[int, ...]
    """Those that the source had."""
    series_ids: tuple[str, ...]


class Known(NamedTuple):
    """Which actuals are known: those of a source with some faults, until a moment."""

    faults: tuple[int, ...]
    until: np.datetime64


@dataclass(frozen=True)
class View:
    """What came in on a day.

    Attributes:
        day: In the problem's time zone.
        as_of: The end of the day, UTC.
        panel: All that is known, without series that are too short so far.
        key: Of the design that starts with these rows.
        intake: Of the rows that came in since the day before.
        refusal: Why no model may be asked or made on these data; None where they were accepted.
    """

    day: date
    as_of: datetime
    panel: DataFrame[Panel]
    key: Key
    intake: Intake
    refusal: str | None

    @property
    def known(self) -> Known:
        """The actuals that came with it."""
        return Known(self.key.faults, as_moment(self.as_of))


@dataclass
class Edition:
    """The whole source with some faults, and what is made of it once for all days."""

    raw: pd.DataFrame
    problem: Problem
    designs: dict[tuple[str, ...], Design] = field(default_factory=dict)

    def __post_init__(self) -> None:
        free = self.problem.model_copy(
            update={"quality": self.problem.quality.model_copy(update={"min_rows": 1}), "forecast_series": ()}
        )
        self.ingest = build_panel(self.raw, free)  # which series are long enough is asked anew each day
        self.rows, _, _ = read_cells(self.raw, self.problem)
        self.row_utc = _moments(self.rows["timestamp_utc"])
        self.is_refused = np.zeros(len(self.rows), dtype=np.bool_)
        self.is_refused[self.ingest.quarantine["row_number"].to_numpy()] = True
        self.panel = self.ingest.panel
        self.segments = segment_ids(self.panel, self.problem)
        self.panel_utc = _moments(self.panel["timestamp_utc"])

    @cached_property
    def observed(self) -> dict[str, tuple[Times, Floats]]:
        """Times and values of the observed steps of each series."""
        rows = self.panel[~self.panel["is_filled"]]
        return {
            str(name): (_moments(each["timestamp_utc"]), each["target"].to_numpy(dtype=float))
            for name, each in rows.groupby("series_id")
        }

    def design(self, series_ids: tuple[str, ...]) -> Design:
        """Of all days, of some series."""
        if series_ids not in self.designs:
            panel = self.panel[self.panel["series_id"].isin(series_ids)].reset_index(drop=True)
            self.designs[series_ids] = build_design(panel, self.problem)
        return self.designs[series_ids]

    def look_up(self, series_id: str, times: Times, until: np.datetime64) -> Floats:
        """What came true at each time, NaN where nothing did until a moment, shape as given."""
        known, values = self.observed.get(series_id, (np.empty(0, dtype=MOMENT), np.empty(0)))
        if not len(known):
            return np.full(times.shape, np.nan)
        places = np.minimum(np.searchsorted(known, times), len(known) - 1)
        return np.where((known[places] == times) & (times <= until), values[places], np.nan)


class Archive:
    """All days of a replay, and the faults that begin in them; those that begin before or after are left out."""

    def __init__(self, raw: pd.DataFrame, problem: Problem, faults: Faults, start: date, end: date) -> None:
        self.problem, self.raw = problem, raw
        self.editions: dict[tuple[int, ...], Edition] = {}
        self.days = _trading_days(self.edition(()), problem, start, end)
        if not self.days:
            first, last = (f"{moment:%Y-%m-%d}" for moment in (start, end))
            raise ProblemError(f"{problem.name}: no step from {first} to {last}; name days that the source has")
        self.ends = [_end_of_day(day, problem) for day in self.days]
        by_begin = sorted(faults.faults, key=lambda fault: fault.begin)
        self.faults = tuple(fault for fault in by_begin if start <= fault.begin <= self.days[-1])
        self.left_out = tuple(fault for fault in by_begin if fault not in self.faults)

    def edition(self, faults: tuple[int, ...]) -> Edition:
        """The source with these faults."""
        if faults not in self.editions:
            raw = self.raw
            for number in faults:
                raw = spoil_source(raw, self.faults[number], self.problem)
            self.editions[faults] = Edition(raw, self.problem)
        return self.editions[faults]

    def design(self, key: Key) -> Design:
        """The design that starts with the rows of every view of this key."""
        return self.edition(key.faults).design(key.series_ids)

    def span(self, number: int) -> range:
        """Positions of the days on which a fault of the source shows; of another, the days from its begin."""
        fault = self.faults[number]
        first = sum(day < fault.begin for day in self.days)
        return range(first, min(first + fault.days, len(self.days)) if fault.is_in_source else len(self.days))

    def views(self) -> Iterator[View]:
        """What came in, day by day."""
        before = _end_of_day(self.days[0] - timedelta(days=1), self.problem)
        for k, end in enumerate(self.ends):
            active = tuple(n for n, fault in enumerate(self.faults) if fault.is_in_source and k in self.span(n))
            yield self._view(self.days[k], end, before, active)
            before = end

    def prior(self) -> View:
        """What was known on the eve of the first day."""
        eve = self.days[0] - timedelta(days=1)
        return self._view(eve, _end_of_day(eve, self.problem), BEGINNING, ())

    def truth(self) -> Known:
        """All that came true in the end, also behind the last day."""
        return Known((), self.edition(()).panel_utc.max())

    def _view(self, day: date, as_of: datetime, before: datetime, active: tuple[int, ...]) -> View:
        edition, until = self.edition(active), as_moment(as_of)
        is_known = edition.panel_utc <= until
        panel, segments = edition.panel[is_known], edition.segments[is_known]
        has_come = ~(edition.row_utc > until)  # a time that cannot be read has come from the start
        is_refused = edition.is_refused[has_come]
        tally = tally_series(edition.rows["series_id"][has_come], is_refused, panel, segments, self.problem)
        kept = tuple(map(str, tally.index[tally["n_usable"] >= self.problem.quality.min_rows]))
        is_kept = panel["series_id"].isin(kept).to_numpy()
        panel, segments = panel[is_kept], segments[is_kept]
        return View(
            day=day,
            as_of=as_of,
            panel=panel.reset_index(drop=True),
            key=Key(active, kept),
            intake=self._count_intake(edition, has_come, before),
            refusal=self._object(edition, has_come, tally, panel, segments),
        )

    def _object(
        self, edition: Edition, has_come: Bools, tally: pd.DataFrame, panel: DataFrame[Panel], segments: Ints
    ) -> str | None:
        """Why the ingest refuses these data, as it would have said it."""
        is_observed = ~panel["is_filled"].to_numpy()
        _, objections = judge_series(tally, self.problem)
        _, splits = judge_splits(panel[is_observed], segments[is_observed], self.problem)
        quarantine = edition.ingest.quarantine
        known = quarantine[has_come[quarantine["row_number"].to_numpy()]]
        found = Ingest(panel, known, (), (*objections, *splits), int(has_come.sum()))
        return find_refusal(found, self.problem) or None

    def _count_intake(self, edition: Edition, has_come: Bools, before: datetime) -> Intake:
        is_new = has_come & (edition.row_utc > as_moment(before))
        numbers = edition.ingest.quarantine["row_number"].to_numpy()
        reasons = edition.ingest.quarantine["reason"].to_numpy()[is_new[numbers]]
        n_copies = int(np.isin(reasons, list(COPIES)).sum())
        return Intake(n_rows=int(is_new.sum()), n_refused=len(reasons) - n_copies, n_duplicated=n_copies)


def as_moment(moment: datetime) -> np.datetime64:
    """The moment as arrays hold it."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def _trading_days(edition: Edition, problem: Problem, start: date, end: date) -> list[date]:
    """The dates on which a series that is forecast was observed."""
    rows = edition.panel[~edition.panel["is_filled"]]
    if problem.forecast_series:
        rows = rows[rows["series_id"].isin(problem.forecast_series)]
    dates = rows["timestamp_utc"].dt.tz_convert(problem.time_zone).dt.date.unique()
    return sorted(day for day in dates if start <= day <= end)


def _end_of_day(day: date, problem: Problem) -> datetime:
    """The last second of a date in the problem's time zone, UTC."""
    midnight = pd.Timestamp(day).tz_localize(problem.time_zone, ambiguous=True, nonexistent="shift_forward")
    end: datetime = (midnight + pd.DateOffset(days=1) - pd.Timedelta(seconds=1)).tz_convert("UTC").to_pydatetime()
    return end


def _moments(times: "pd.Series[pd.Timestamp]") -> Times:
    return times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype=MOMENT)
