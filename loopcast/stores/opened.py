"""All stores of a machine behind one handle, each opened when it is first asked for."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from loopcast.settings import Settings
from loopcast.stores.actuals import ActualStore
from loopcast.stores.alerts import AlertStore, open_alerts
from loopcast.stores.artifacts import ArtifactStore
from loopcast.stores.audit import AuditStore
from loopcast.stores.database import Database, open_database
from loopcast.stores.decisions import DecisionStore
from loopcast.stores.files import FileStore
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.model_versions import ModelVersionStore
from loopcast.stores.quarantine import QuarantineStore
from loopcast.stores.query_store import QueryStore
from loopcast.stores.tokens import TokenStore
from loopcast.stores.uploads import UploadStore

if TYPE_CHECKING:
    from loopcast.stores.registry import Registry


@dataclass(frozen=True)
class Stores:
    """What tasks read from and write to."""

    settings: Settings

    @cached_property
    def database(self) -> Database:
        """PostgreSQL, migrated."""
        return open_database(self.settings)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """Snapshots."""
        return ArtifactStore(self.settings.artifacts)

    @cached_property
    def quarantine(self) -> QuarantineStore:
        """Refused rows."""
        return QuarantineStore(self.database)

    @cached_property
    def decisions(self) -> DecisionStore:
        """What was decided about models."""
        return DecisionStore(self.database)

    @cached_property
    def alerts(self) -> AlertStore:
        """What people are told."""
        return open_alerts(self.settings, self.database)

    @cached_property
    def forecasts(self) -> ForecastStore:
        """Every forecast."""
        return ForecastStore(self.database)

    @cached_property
    def actuals(self) -> ActualStore:
        """What came true."""
        return ActualStore(self.database)

    @cached_property
    def model_versions(self) -> ModelVersionStore:
        """What each version came from."""
        return ModelVersionStore(self.database)

    @cached_property
    def tokens(self) -> TokenStore:
        """Who may ask the service."""
        return TokenStore(self.database)

    @cached_property
    def files(self) -> FileStore:
        """Files of queries and uploads."""
        return FileStore(self.settings.artifacts)

    @cached_property
    def queries(self) -> QueryStore:
        """Long queries."""
        return QueryStore(self.database)

    @cached_property
    def uploads(self) -> UploadStore:
        """What people uploaded for their queries."""
        return UploadStore(self.database, self.files)

    @cached_property
    def audit(self) -> AuditStore:
        """Who changed what."""
        return AuditStore(self.database)

    @cached_property
    def registry(self) -> "Registry":
        """MLflow; imported when it is needed, because that takes seconds."""
        from loopcast.stores.registry import open_registry

        return open_registry(self.settings, self.database)
