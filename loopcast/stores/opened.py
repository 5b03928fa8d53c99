"""All stores of a machine behind one handle, each opened when it is first asked for."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from loopcast.settings import Settings
from loopcast.stores.actuals import ActualStore
from loopcast.stores.alerts import AlertStore, open_alerts
from loopcast.stores.artifacts import ArtifactStore
from loopcast.stores.database import Database, open_database
from loopcast.stores.decisions import DecisionStore
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.model_versions import ModelVersionStore
from loopcast.stores.quarantine import QuarantineStore
from loopcast.stores.tokens import TokenStore

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
    def registry(self) -> "Registry":
        """MLflow; imported when it is needed, because that takes seconds."""
        from loopcast.stores.registry import open_registry

        return open_registry(self.settings, self.database)
