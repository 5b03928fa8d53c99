"""What is sent to ask a query: its kind, and what queries of this kind ask."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from loopcast.queries import requests
from loopcast.queries.kinds import QueryKind


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExplanationQuery(_Body):
    """Why the newest forecast of a series is as wide as it is."""

    kind: Literal[QueryKind.EXPLANATION]
    request: requests.ExplanationRequest


class BacktestQuery(_Body):
    """What the champion says of a series at past origins."""

    kind: Literal[QueryKind.BACKTEST]
    request: requests.BacktestRequest


class BulkForecastQuery(_Body):
    """Forecasts of every series of an uploaded file."""

    kind: Literal[QueryKind.BULK_FORECAST]
    request: requests.BulkForecastRequest


class WhatIfQuery(_Body):
    """The newest forecast of a series, had its last steps been different."""

    kind: Literal[QueryKind.WHAT_IF]
    request: requests.WhatIfRequest


class PromotionQuery(_Body):
    """Puts a version into service by hand."""

    kind: Literal[QueryKind.PROMOTION]
    request: requests.PromotionRequest


class RollbackQuery(_Body):
    """Puts the version before the champion back into service."""

    kind: Literal[QueryKind.ROLLBACK]
    request: requests.RollbackRequest


class TrainingQuery(_Body):
    """Trains a challenger on the newest data."""

    kind: Literal[QueryKind.TRAINING]
    request: requests.TrainingRequest


QueryBody = Annotated[
    ExplanationQuery | BacktestQuery | BulkForecastQuery | WhatIfQuery | PromotionQuery | RollbackQuery | TrainingQuery,
    Field(discriminator="kind"),
]
