"""Asking how forecasts did, how the loop does, and what became of the models."""

from collections.abc import Iterator
from datetime import date

from loopcast.client.answers.health import Event, Events, Health
from loopcast.client.answers.models import Decision, Decisions, Models, ModelVersionDetail
from loopcast.client.answers.track_record import TrackRecord
from loopcast.client.transport import Transport


class Reading(Transport):
    """Track record, health, models and events."""

    def track_record(
        self,
        problem: str,
        *,
        series: str | None = None,
        version: int | None = None,
        horizon: int | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> TrackRecord:
        """How forecasts did beside what came true, the baseline, and saying that nothing changes.

        Args:
            series: Default: all; of one there is also each forecast beside what came true.
            version: Default: all.
            horizon: Steps ahead; default: all.
            since, until: First and last day of targets; default: the last year that has any.
        """
        return self._get(
            TrackRecord,
            *("problems", problem, "track-record"),
            series=series, version=version, horizon=horizon, since=since, until=until,
        )  # fmt: skip

    def health(self, problem: str) -> Health:
        """Open alerts and actions, what monitoring found when it looked last, and at each look before."""
        return self._get(Health, "problems", problem, "health")

    def events(self, problem: str) -> Iterator[Event]:
        """Everything that happened to a problem, the latest first; pages are fetched as they are read."""
        before: str | None = ""
        while before is not None:
            page = self._get(Events, "problems", problem, "timeline", before=before)
            yield from page.events
            before = page.next_before

    def models(self, problem: str) -> Models:
        """The last model versions, which is champion, and what was decided about each."""
        return self._get(Models, "problems", problem, "models")

    def model_version(self, problem: str, version: int) -> ModelVersionDetail:
        """One model version, what was decided about it, and all that leads back to how it was made."""
        return self._get(ModelVersionDetail, "problems", problem, "models", version)

    def decisions(self, problem: str, *, limit: int = 100) -> tuple[Decision, ...]:
        """The last decisions about models, by which rule and on which figures, the latest first."""
        return self._get(Decisions, "problems", problem, "decisions", limit=limit).decisions
