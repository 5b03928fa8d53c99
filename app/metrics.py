"""What Prometheus reads: how much is asked and answered, how fast, by which versions, and what waits for the database.

Labels are bounded: templates of routes, problems in service, statuses; never a path as it was asked for, or a series.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from loopcast.stores.champions import Champions, NothingServedError, ServedProblem, UnknownProblemError
from loopcast.stores.queries import QueueFigures

if TYPE_CHECKING:
    from app.parts import ServiceParts

BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
"""A forecast takes a millisecond, an explanation six; what takes seconds waits for a database."""
METHODS: Final = frozenset(["GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
MEGABYTE: Final = 10**6
QUEUE: Final = "queue"
"""Under which the queue's figures are among the recent readings."""
OTHER: Final = "other"
"""Instead of a route that is none and a method that nobody knows."""


class Metrics:
    """What is counted while requests are answered; the rest is read from the parts when somebody asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = self._count("requests", "Requests answered.", "method", "route", "status")
        self._duration_s = Histogram(
            "loopcast_request_duration_seconds",
            "Time from the first byte of a request's head to the last of its answer.",
            ["route"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._answered = self._count("forecasts_answered", "Forecasts answered, one for each series.", "problem")
        self.rate_limited = self._count("rate_limited", "Requests refused because a token asked too often.")
        self.journal_full = self._count("journal_full", "Requests refused because no forecast could be kept.")

    def observe_request(self, method: str, route: str | None, status: int, duration_s: float) -> None:
        """Count a request that was answered.

        Args:
            route: Template of the route; None where the path is none of ours.
        """
        method = method if method in METHODS else OTHER
        self._requests.labels(method, route or OTHER, status).inc()
        self._duration_s.labels(route or OTHER).observe(duration_s)

    def count_forecasts(self, problem: str, n: int) -> None:
        """Count forecasts that are about to be answered."""
        self._answered.labels(problem).inc(n)

    def read_parts(self, parts: "ServiceParts") -> None:
        """Show also what the parts of a service tell of themselves."""
        self.registry.register(_PartsCollector(parts))

    def _count(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"loopcast_{name}_total", what, labels, registry=self.registry)


class _PartsCollector(Collector):
    def __init__(self, parts: "ServiceParts") -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """As `prometheus_client` says."""
        yield from _tell_champions(self._parts.champions)
        yield from _tell_journal(self._parts)
        if self._parts.tokens is not None:
            yield _gauge(
                "tokens_read_ago_seconds", "Time since the tokens were last read.", self._parts.tokens.read_ago_s
            )
        yield from _tell_queue(self._parts)


def _tell_champions(champions: Champions) -> Iterator[Metric]:
    versions = _gauge("model_version", "Version in service.", labels=["problem"])
    ends = _gauge("history_end_timestamp_seconds", "Last step from which series are named.", labels=["problem"])
    for served in _list_served(champions):
        name = served.model.problem.name
        versions.add_metric([name], served.version)
        ends.add_metric([name], served.design.timestamp_utc.max().astype("datetime64[s]").astype(float))
    yield versions
    yield ends
    counts = champions.counts()
    yield _counter("champion_swaps", "Champions that took the place of another version.", counts.n_swaps)
    yield _counter("champions_refused", "Versions that failed a check.", counts.n_refused)
    if counts.checked_ago_s is not None:
        yield _gauge("registry_checked_ago_seconds", "Time since the registry was last seen.", counts.checked_ago_s)


def _tell_journal(parts: "ServiceParts") -> Iterator[Metric]:
    journal, max_bytes = parts.journal, parts.settings.journal_max_mb * MEGABYTE
    yield _gauge("journal_bytes", "Answered forecasts on disk that wait for the database.", journal.size_bytes)
    yield _gauge("journal_max_bytes", "Size of the journal at which forecasts are refused.", max_bytes)
    yield _gauge("journal_lag_seconds", "Age of the oldest that waits.", journal.oldest_s)
    yield _gauge("journal_set_aside_bytes", "Forecasts on disk that wait for a person.", journal.set_aside_bytes)
    yield _gauge("journal_is_full", "1 where forecasts are refused for want of room.", float(journal.is_full))
    if parts.shipper is not None:
        yield _counter("forecasts_stored", "Forecasts brought into the database.", parts.shipper.n_shipped)
        yield _counter("forecasts_set_aside", "Forecasts that the database does not take.", parts.shipper.n_refused)
        yield _gauge("database_is_away", "1 where it took no forecasts when last asked.", float(parts.shipper.is_away))


def _tell_queue(parts: "ServiceParts") -> Iterator[Metric]:
    """What was read a moment ago; nothing while the database is away."""
    figures: QueueFigures | None = parts.recent.find(QUEUE)
    if figures is None:
        return
    queries = _gauge("queries", "Long queries that are kept.", labels=["state"])
    for state, n in figures.n_by_state.items():
        queries.add_metric([state], n)
    yield queries
    yield _gauge("queries_oldest_waiting_seconds", "Age of the oldest that waits.", figures.oldest_waiting_s)
    yield _gauge("query_workers", "Workers that are alive.", figures.n_workers)


def _gauge(name: str, what: str, value: float | None = None, labels: Sequence[str] | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"loopcast_{name}", what, value, labels)


def _counter(name: str, what: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"loopcast_{name}", what, value)


def _list_served(champions: Champions) -> Iterator[ServedProblem]:
    for name in champions.names():
        with suppress(UnknownProblemError, NothingServedError):  # one that has just gone
            yield champions.get(name)
