"""What was forecast on each day, and what is known of it on a later one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np

from loopcast.forecasts import ForecastSource
from loopcast.health.steps import Steps, pair_steps
from loopcast.model.served import ServedModel, make_forecasts
from loopcast.replay.archive import Archive, Key, Known, View, as_moment
from loopcast.replay.versions import Version
from loopcast.typing import Ints

REQUEST: Final = "replay"


@dataclass(frozen=True)
class Book:
    """All forecasts that one version makes from the rows of one design, made at once; a day reveals its own.

    Attributes:
        steps: Without actuals, H to a forecast, in the order of the rows.
        place: Number of each row's forecast, -1 where the row is no origin, shape (N,).
    """

    steps: Steps
    place: Ints


class Library:
    """The books of all versions; each is written when it is first opened."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.books: dict[tuple[int, tuple[int, ...], Key], Book] = {}
        self.series_ids = _forecast_series(archive)

    def open(self, version: Version, key: Key) -> Book:
        """The forecasts of a version from a design's rows."""
        name = (version.number, version.faults, key)
        if name not in self.books:
            self.books[name] = self._write(version, key)
        return self.books[name]

    def _write(self, version: Version, key: Key) -> Book:
        problem, design = self.archive.problem, self.archive.design(key)
        first = as_moment(self.archive.ends[0]) - np.timedelta64(7, "D")
        last = as_moment(self.archive.ends[-1])
        is_forecast = np.array([problem.is_forecast(name) for name in design.series_ids])[design.series]
        in_span = (design.timestamp_utc >= first) & (design.timestamp_utc <= last)
        rows = np.flatnonzero(design.is_ready & is_forecast & in_span)
        model = ServedModel(problem, version.candidate, "", version.answering)
        forecasts = make_forecasts(
            model, design, rows, version=version.number, source=ForecastSource.REPLAY, request_id=REQUEST,
            issued_at_utc=self.archive.ends[0],
        )  # fmt: skip
        steps = pair_steps(forecasts, np.full(forecasts.target_utc.shape, np.nan))
        codes = np.array([self.series_ids.index(name) for name in steps.series_ids], dtype=np.int64)
        place = np.full(len(design.level), -1)
        place[rows] = np.arange(len(rows))
        everywhere = {"series_ids": self.series_ids, "series": codes[steps.series]}
        return Book(Steps(**(vars(steps) | everywhere)), place)


@dataclass(frozen=True)
class Entry:
    """One forecast: which version made it, from which row of which design, on which day."""

    version: Version
    key: Key
    row: int
    number: int
    """Of the day."""


@dataclass
class Log:
    """The forecasts of one arm, oldest first."""

    library: Library
    entries: list[Entry] = field(default_factory=list)
    seen: set[tuple[int, str, np.datetime64]] = field(default_factory=set)

    def forecast(self, version: Version, view: View, number: int) -> None:
        """Forecast each series from its latest step, unless that was done before."""
        archive = self.library.archive
        design, problem = archive.design(view.key), archive.problem
        until = as_moment(view.as_of)
        for code, name in enumerate(design.series_ids):
            first, end = np.searchsorted(design.series, [code, code + 1])
            row = int(first + np.searchsorted(design.timestamp_utc[first:end], until, side="right")) - 1
            if row < first or not (problem.is_forecast(name) and design.is_ready[row]):
                continue
            what = (version.number, name, design.timestamp_utc[row])
            if what not in self.seen:
                self.seen.add(what)
                self.entries.append(Entry(version, view.key, row, number))

    def steps(self, since: int, known: Known, by: Version | None = None) -> Steps | None:
        """The steps of what was forecast from the day `since` on, in its order, beside what is known; None of none.

        Args:
            by: Another version, that is asked from the same rows.
        """
        groups: dict[int, tuple[Book, list[int], list[int]]] = {}
        for position, each in enumerate(self.entries[self.first(since) :]):
            book = self.library.open(by or each.version, each.key)
            _, rows, positions = groups.setdefault(id(book), (book, [], []))
            rows.append(each.row)
            positions.append(position)
        if not groups:
            return None
        horizon = self.library.archive.problem.horizon
        joined = join_steps([pick_steps(book.steps, book.place[rows], horizon) for book, rows, _ in groups.values()])
        order = np.argsort(np.concatenate([positions for _, _, positions in groups.values()]))
        return self._pair(pick_steps(joined, order, horizon), known)

    def first(self, since: int) -> int:
        """Position of the first forecast that was made on a day or later."""
        at = len(self.entries)
        while at and self.entries[at - 1].number >= since:
            at -= 1
        return at

    def _pair(self, steps: Steps, known: Known) -> Steps:
        """The steps with their actuals, on the scale that the origin had."""
        archive = self.library.archive
        edition, until = archive.edition(known.faults), known.until
        actual = np.full(len(steps), np.nan)
        for code, name in enumerate(steps.series_ids):
            mine = steps.series == code
            actual[mine] = edition.look_up(name, steps.target_utc[mine], until)
            if archive.problem.transform == "log":
                origin = edition.look_up(name, steps.origin_utc[mine], until)
                scale = steps.origin_value[mine] / origin
                actual[mine] *= np.where(np.isfinite(scale), scale, 1.0)
        return Steps(**(vars(steps) | {"actual": actual}))


def pick_steps(steps: Steps, places: Ints, horizon: int) -> Steps:
    """The steps of some forecasts.

    Args:
        places: Numbers of the forecasts, shape (n,).
    """
    index = (places[:, None] * horizon + np.arange(horizon)).ravel()
    picked = {each.name: getattr(steps, each.name)[index] for each in fields(Steps) if each.name != "series_ids"}
    return Steps(series_ids=steps.series_ids, **picked)


def join_steps(parts: list[Steps]) -> Steps:
    """Steps one after another, whose series have the same codes."""
    names = [each.name for each in fields(Steps) if each.name != "series_ids"]
    joined: Mapping[str, np.ndarray] = {n: np.concatenate([getattr(each, n) for each in parts]) for n in names}
    return Steps(series_ids=parts[0].series_ids, **joined)


def _forecast_series(archive: Archive) -> tuple[str, ...]:
    names = archive.edition(()).panel["series_id"].unique()
    return tuple(str(name) for name in names if archive.problem.is_forecast(str(name)))
