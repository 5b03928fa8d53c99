"""How a service follows the registry: a thread looks, has fetched, checks, and replaces one reference.

What is served changes only after the new was opened, proven and has answered. What fails a check is refused and the old
stays; what cannot be reached is asked again.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import psycopg

from loopcast.errors import DataRefusedError, LoopcastError, ModelRefusedError, StoreError
from loopcast.model.served import ServedModel
from loopcast.stores.aliases import read_champions
from loopcast.stores.artifacts import newest_snapshots
from loopcast.stores.champion_cache import ChampionCache, Facts, RememberedChampion
from loopcast.stores.champions import FollowingCounts, ServedProblem, open_version, pick, serve_version
from loopcast.stores.fetching import fetch_elsewhere
from loopcast.stores.opened import Stores

FIRST_LOOK_TIMEOUT_S: Final = 60.0
"""Longest wait for the first look where what is remembered does not suffice: some versions are fetched in this time."""
STOP_TIMEOUT_S: Final = 5.0
"""Longest wait for a look that is under way; it changes nothing that must be finished."""
FIRST_PAUSE_S, MAX_PAUSE_S = 5.0, 60.0
"""Shortest and longest pause between attempts to fetch a version that cannot be had; each costs processor seconds."""

logger = logging.getLogger(__name__)

AWAY: Final = (LoopcastError, psycopg.Error, OSError)
"""What says that something cannot be reached, or not be kept on this disk."""
EVERYTHING: Final = "champions"
"""What a complaint is about that concerns every problem."""

Fetch = Callable[[str, int], None]
"""Puts a version of a problem into the cache."""
Refused = tuple[str, int] | tuple[str, int, str]
"""Problem and version; with a snapshot, where it is the history that the version cannot answer from."""


class NotHereError(StoreError):
    """A version is not on this disk."""


@dataclass(frozen=True)
class Pause:
    """How long a version that could not be fetched is left alone."""

    until_s: float = 0.0
    length_s: float = 0.0


class ChampionFollower:
    """`Champions` as the registry says, a few seconds late."""

    def __init__(self, stores: Stores, cache: ChampionCache, poll_s: float, fetch: Fetch | None = None) -> None:
        self._stores = stores
        self._cache = cache
        self._poll_s = poll_s
        self._fetch = fetch or (lambda problem, number: fetch_elsewhere(stores.settings, cache, problem, number))
        self._served: Mapping[str, ServedProblem] = {}
        self._refused: frozenset[Refused] = frozenset()
        self._pauses: Mapping[tuple[str, int], Pause] = {}
        self._missing: frozenset[str] = frozenset()
        self._counts = FollowingCounts()
        self._checked_s: float | None = None
        self._has_looked, self._is_over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="champions", daemon=True)

    def start(self) -> None:
        """Serve what this machine remembers, then follow; wait for the registry where the memory does not suffice."""
        is_enough = self.serve_remembered()
        self._thread.start()
        if not is_enough:
            self._has_looked.wait(FIRST_LOOK_TIMEOUT_S)

    def stop(self) -> None:
        """Follow no longer; what is served stays."""
        self._is_over.set()
        self._thread.join(STOP_TIMEOUT_S)

    def names(self) -> tuple[str, ...]:
        """See `Champions`."""
        return tuple(sorted(self._served))

    def get(self, problem: str) -> ServedProblem:
        """See `Champions`."""
        return pick(self._served, problem)

    def counts(self) -> FollowingCounts:
        """See `Champions`."""
        checked_s = self._checked_s
        return replace(self._counts, checked_ago_s=None if checked_s is None else time.monotonic() - checked_s)

    def serve_remembered(self) -> bool:
        """Serve what this machine remembers; whether that is something, and what the registry says too."""
        for champion in self._cache.champions():
            try:
                self._put(self._open(champion.problem, champion.version, champion.history_sha256))
            except AWAY as exc:
                self._complain(champion.problem, exc)
        served = {name: each.version for name, each in self._served.items()}
        try:
            return bool(served) and served == read_champions(self._stores.settings, self._stores.database)
        except AWAY as exc:
            self._complain(EVERYTHING, exc)
            return bool(served)

    def _follow(self) -> None:
        while not self._is_over.is_set():
            try:
                self._look()
            except AWAY as exc:
                self._complain(EVERYTHING, exc)
            except Exception:  # the thread's boundary: it must outlive what it looks at
                logger.exception("the registry could not be followed, tried again in %g s", self._poll_s)
            self._has_looked.set()
            self._is_over.wait(self._poll_s)

    def _look(self) -> None:
        """Serve what the registry says now, as far as it can be had."""
        champions = read_champions(self._stores.settings, self._stores.database)
        newest = newest_snapshots(self._stores.database)
        missing = frozenset[str]()
        for name in self._served.keys() - champions.keys():
            self._drop(name)
        for name, number in champions.items():
            try:
                self._update(name, number, newest.get(name))
            except AWAY as exc:
                self._complain(name, exc)
                missing |= {name}
        self._missing = missing
        self._checked_s = time.monotonic()

    def _update(self, name: str, number: int, newest: str | None) -> None:
        """Let a problem be served by a version on the newest history, unless it is, or one of the two was refused."""
        refused, served = self._refused, self._served.get(name)
        if (name, number) in refused and served is not None:
            number = served.version
        if served is not None and served.version == number and newest in {served.history_sha256, None}:
            return
        if {(name, number), (name, number, newest or "")} & refused:
            return
        try:
            if served is not None and served.version == number and newest is not None:
                found = self._serve(served.model, Facts(record=served.record, metrics=served.metrics), newest)
            else:
                found = self._open_or_fetch(name, number, newest)
        except ModelRefusedError as exc:
            self._refuse((name, number), exc)
        except DataRefusedError as exc:
            self._refuse((name, number, newest or ""), exc)
        else:
            self._put(found)

    def _open_or_fetch(self, name: str, number: int, newest: str | None) -> ServedProblem:
        """A version from the cache, else from the registry: a file on this disk may be damaged, or missing."""
        try:
            return self._open(name, number, newest)
        except (ModelRefusedError, NotHereError):
            self._cache.drop(name, number)
            self._try_fetching(name, number)
            return self._open(name, number, newest)

    def _try_fetching(self, name: str, number: int) -> None:
        pause = self._pauses.get((name, number), Pause())
        if time.monotonic() < pause.until_s:
            raise NotHereError(f"{name} version {number} is fetched again in at most {pause.length_s:.0f} s")
        try:
            self._fetch(name, number)
        except StoreError:
            length_s = min(max(2 * pause.length_s, FIRST_PAUSE_S), MAX_PAUSE_S)
            self._pauses = {**self._pauses, (name, number): Pause(time.monotonic() + length_s, length_s)}
            raise

    def _open(self, name: str, number: int, history_sha256: str | None) -> ServedProblem:
        cached = self._cache.find(name, number)
        if cached is None:
            raise NotHereError(f"{name} version {number} is not on this disk yet")
        model = open_version(cached.forecaster, cached.facts.record)
        return self._serve(model, cached.facts, history_sha256 or cached.facts.record.snapshot_sha256)

    def _serve(self, model: ServedModel, facts: Facts, sha256: str) -> ServedProblem:
        return serve_version(model, facts.record, facts.metrics, self._stores.artifacts.get_snapshot(sha256), sha256)

    def _put(self, found: ServedProblem) -> None:
        name = found.record.problem
        before = self._served.get(name)
        self._served = {**self._served, name: found}
        if before is not None and before.version != found.version:
            self._counts = replace(self._counts, n_swaps=self._counts.n_swaps + 1)
        logger.info("%s: version %d is in service, history %s", name, found.version, found.history_sha256[:12])
        self._cache.remember(
            RememberedChampion(problem=name, version=found.version, history_sha256=found.history_sha256)
        )

    def _drop(self, name: str) -> None:
        logger.warning("%s: no version is champion any longer; it is not served until one is", name)
        self._served = {other: served for other, served in self._served.items() if other != name}
        self._cache.forget(name)

    def _refuse(self, what: Refused, exc: LoopcastError) -> None:
        self._refused = self._refused | {what}
        self._counts = replace(self._counts, n_refused=self._counts.n_refused + 1)
        served = self._served.get(what[0])
        stays = f"version {served.version} stays" if served else "nothing is served"
        logger.error("%s: version %d refused, %s: %s", what[0], what[1], stays, exc)

    def _complain(self, of: str, exc: Exception) -> None:
        """Log what is away once, however often it is asked in vain."""
        if of not in self._missing:
            self._missing = self._missing | {of}
            reason = str(exc).partition("\n")[0]  # psycopg's next lines are the statement
            logger.warning("%s: nothing changes, asked again every %g s: %s", of, self._poll_s, reason)
