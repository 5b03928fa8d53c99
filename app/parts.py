"""What the API answers with, handed in by whoever serves it, and how a route gets at it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from app.errors import refuse_problem
from app.metrics import Metrics
from app.record import RequestRecord, read_record
from app.tokens import ActiveTokens
from loopcast.settings import Settings
from loopcast.stores.champions import Champions, ServedProblem
from loopcast.stores.forecasts import ForecastLog
from loopcast.stores.journal import Journal
from loopcast.stores.model_versions import ModelVersions
from loopcast.stores.shipper import JournalShipper

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider


@dataclass(frozen=True)
class ServiceParts:
    """The parts of a service; who hands them in also starts and stops their threads.

    Attributes:
        champions: That answer.
        journal: To which every forecast goes before it is answered.
        forecasts: Where stored forecasts are found.
        versions: What is known of model versions, those that are not served any more too.
        settings: Of this machine.
        tokens: With which requests are signed; None where none is asked for, which is for loopback alone.
        shipper: What empties the journal; None where another process does.
        tracer_provider: As `tracing.open_tracing` makes it; None for no spans.
        metrics: What /metrics shows; one for each app.
    """

    champions: Champions
    journal: Journal
    forecasts: ForecastLog
    versions: ModelVersions
    settings: Settings
    tokens: ActiveTokens | None
    shipper: JournalShipper | None = None
    tracer_provider: "TracerProvider | None" = None
    metrics: Metrics = field(default_factory=Metrics)


@dataclass(frozen=True)
class Asked:
    """A request, and what there is to answer it with."""

    parts: ServiceParts
    record: RequestRecord

    def find_served(self, problem: str) -> ServedProblem:
        """What answers for a problem.

        Raises:
            Refusal: There is no such problem that the asker may know of.
            UnknownProblemError, NothingServedError: As `Champions.get`.
        """
        if not self.record.asker.may_use(problem):
            raise refuse_problem()
        return self.parts.champions.get(problem)


def read_asked(request: Request) -> Asked:
    """The request as a route answers it; no dependency of FastAPI's, each of which adds 15 microseconds."""
    return Asked(request.app.state.parts, read_record(request))
