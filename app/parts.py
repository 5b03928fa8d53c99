"""What the API answers with, handed in by whoever serves it, and how a route gets at it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from app.errors import ForbiddenRefusal, refuse_problem
from app.metrics import Metrics
from app.recent import RecentReadings
from app.record import RequestRecord, read_record
from app.store_threads import WRITERS
from app.tokens import ActiveTokens
from loopcast.settings import Settings
from loopcast.stores.audit import Act, AuditEntry, AuditLog, MemoryAuditLog
from loopcast.stores.champions import Champions, ServedProblem
from loopcast.stores.database import Database
from loopcast.stores.forecasts import ForecastLog
from loopcast.stores.journal import Journal
from loopcast.stores.model_versions import ModelVersions
from loopcast.stores.queries import Queries
from loopcast.stores.query_memory import MemoryQueryStore
from loopcast.stores.shipper import JournalShipper
from loopcast.stores.tokens import MemoryTokenStore, Role, Tokens
from loopcast.stores.uploads import MemoryUploadStore, Uploads

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from app.signin.people import People


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
        people: How people sign in; None where only programs may.
        shipper: What empties the journal; None where another process does.
        tracer_provider: As `tracing.open_tracing` makes it; None for no spans.
        metrics: What /metrics shows; one for each app.
        audit: Where it is kept who changed what.
        token_store: Where tokens are made and ended; `tokens` are those of it that are active.
        database: Where track record, health and models are read; None where none of them can be told.
        recent: What was read of them a moment ago.
        queries: Long ones, which workers answer.
        uploads: What people uploaded for them.
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
    people: "People | None" = None
    audit: AuditLog = field(default_factory=MemoryAuditLog)
    token_store: Tokens = field(default_factory=MemoryTokenStore)
    database: Database | None = None
    recent: RecentReadings = field(default_factory=RecentReadings)
    queries: Queries = field(default_factory=MemoryQueryStore)
    uploads: Uploads = field(default_factory=MemoryUploadStore)


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

    def needs(self, role: Role) -> None:
        """Return where the asker has this role, or a higher one.

        Raises:
            Refusal: They have a lower one.
        """
        if not self.record.asker.may(role):
            what = f"this needs the role {role}, and yours is {self.record.asker.role}; ask an admin for it"
            raise ForbiddenRefusal(what)

    async def audit(self, act: Act, subject: str, problem: str | None = None, **details: str) -> None:
        """Keep in the audit that the asker did something; before they are answered. Arguments as of `keep_act`.

        Raises:
            StoreError: It could not be kept.
        """
        await WRITERS.ask(self.keep_act, act, subject, problem, **details)

    def keep_act(self, act: Act, subject: str, problem: str | None = None, **details: str) -> None:
        """The same where the act itself waits for the database: given up, it is done and kept, or neither.

        Args:
            subject: On what: the id of a token or query, a version.
            details: What else is worth knowing in a year, such as the reason that was given; no secrets.

        Raises:
            StoreError: It could not be kept.
        """
        asker = self.record.asker
        entry = AuditEntry(
            actor_id=asker.id,
            actor_name=asker.name,
            role=asker.role,
            act=act,
            subject=subject,
            problem=problem,
            request_id=self.record.request_id,
            details=details,
        )
        self.parts.audit.record(entry)


def read_asked(request: Request) -> Asked:
    """The request as a route answers it; no dependency of FastAPI's, each of which adds 15 microseconds."""
    return Asked(request.app.state.parts, read_record(request))
