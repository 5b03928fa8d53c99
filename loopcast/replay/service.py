"""The model in service in one arm of a replay: what it is asked each day, and what befalls it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from loopcast.replay.archive import Archive, View, as_moment
from loopcast.replay.faults import Fault, FaultKind, describe_fault
from loopcast.replay.log import Library, Log
from loopcast.replay.outcome import Happening, What
from loopcast.replay.versions import Version, distort

ALWAYS: Final = np.datetime64(0, "us")


@dataclass
class Service:
    """The model in service in one arm, and what it forecast."""

    archive: Archive
    library: Library
    champion: Version
    log: Log = field(init=False)
    versions: dict[int, Version] = field(init=False)
    replaced: dict[int, int] = field(default_factory=dict)
    """Of each version, the one that it took the place of when it was promoted."""
    since: int = 0
    """Day from which the champion is in service."""
    happenings: list[Happening] = field(default_factory=list)
    serving: list[int] = field(default_factory=list)
    known: View | None = None
    """The last view that was accepted."""

    def __post_init__(self) -> None:
        self.log = Log(self.library)
        self.versions = {self.champion.number: self.champion}

    def tell(self, view: View, what: What, sentence: str, **rest: object) -> None:
        """Note that something happened."""
        found = Happening(day=view.day, what=what, sentence=sentence, version=self.champion.number)
        self.happenings.append(found.model_copy(update=rest))

    def install(self, version: Version, day: int) -> None:
        """Put a version into service in the champion's place."""
        self.versions[version.number] = version
        self.replaced[version.number] = self.champion.number
        self.champion, self.since = version, day

    def take_in(self, view: View, day: int) -> None:
        """Let the day's faults begin, take its data, and forecast from them."""
        for number, fault in enumerate(self.archive.faults):
            span = self.archive.span(number)
            if len(span) and day == span.start:
                self._suffer(fault, number, view, day)
            elif fault.is_in_source and day == span.stop:
                self.tell(view, What.REPAIRED, "The source is put right", fault=number)
        was_refused = bool(self.happenings) and self._is_refused()
        if view.refusal is None:
            self.known = view
            if was_refused:
                self.tell(view, What.ACCEPTED, "The data are accepted again")
            self.log.forecast(self.champion, view, day)
        elif not was_refused:
            self.tell(view, What.REFUSED, view.refusal)
        self.serving.append(self.champion.number)

    def _is_refused(self) -> bool:
        last = next((e.what for e in reversed(self.happenings) if e.what in {What.REFUSED, What.ACCEPTED}), None)
        return last is What.REFUSED

    def _suffer(self, fault: Fault, number: int, view: View, day: int) -> None:
        self.tell(view, What.FAULT, describe_fault(fault), fault=number)
        if fault.kind is FaultKind.POISONED_MODEL:
            poisoned = distort(self.champion, fault, number, ALWAYS)
            fresh = replace(poisoned, number=self.next_number(), losses=None)
            self.install(fresh, day)
            self.tell(view, What.PROMOTED_BY_HAND, f"Version {fresh.number} is put into service by hand", fault=number)
        elif fault.kind is FaultKind.BIASED_FORECASTS:
            since = as_moment(self.archive.ends[day]) - np.timedelta64(1, "D")
            self.champion = self.versions[self.champion.number] = distort(self.champion, fault, number, since)

    def next_number(self) -> int:
        """The number of the next version."""
        return max(self.versions) + 1


def walk_unwatched(service: Service, views: list[View], changes: Mapping[int, Version]) -> Iterator[View]:
    """Serve day after day; versions come when they are given, and nobody looks.

    Args:
        changes: The version that comes into service behind a day, by its position.
    """
    for day, view in enumerate(views):
        service.take_in(view, day)
        if day in changes:
            service.install(changes[day], day + 1)
        yield view
