"""What each long query asks: judged when it is sent, so that a mistake is answered at once and not by a failed query.

What only the champion and its history can say, such as whether a series is known, is for the computation to refuse.
"""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from loopcast.queries.kinds import QueryKind
from loopcast.sections.base import PositiveInt

MAX_NAME_CHARACTERS: Final = 200
MAX_REASON_CHARACTERS: Final = 500
MAX_CHANGES: Final = 50
"""Of one question; more columns than a person compares at once."""
MAX_CHANGED_STEPS: Final = 10_000
"""From the last one back: forty years of trading days."""


def _refuse_control_characters(text: str) -> str:
    if not text.isprintable():
        raise ValueError("found a character that cannot be printed, needs one line of text")
    return text


PrintableText = Annotated[str, AfterValidator(_refuse_control_characters)]
Name = Annotated[PrintableText, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]
Reason = Annotated[PrintableText, Field(min_length=1, max_length=MAX_REASON_CHARACTERS, pattern=r"\S")]
"""Why, in one sentence; kept with the decision."""


class Request(BaseModel):
    """What a query asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ExplanationRequest(Request):
    """Why the newest forecast of a series is as wide as it is, by feature and how long ago."""

    series_id: Name


class BacktestRequest(Request):
    """What the champion says of a series at past origins, first and last day included; default: all of them."""

    series_id: Name
    since: date | None = None
    until: date | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since is not None and self.until is not None and self.until < self.since:
            raise ValueError(f"found since {self.since} and until {self.until}, needs an end that is not before it")
        return self


class BulkForecastRequest(Request):
    """Forecasts of every series of a file that was uploaded before."""

    upload_id: UUID


class Operation(StrEnum):
    """How a column's values are changed."""

    ADD = "add"
    MULTIPLY = "multiply"
    SET = "set"


class ColumnChange(Request):
    """One column of the last steps, as if it had been different."""

    column: Name
    """As the source names it."""
    operation: Operation
    value: Annotated[float, Field(allow_inf_nan=False)]
    last_n_steps: Annotated[PositiveInt, Field(le=MAX_CHANGED_STEPS)]


class WhatIfRequest(Request):
    """The newest forecast of a series, had its last steps been different; changes are made in their order."""

    series_id: Name
    changes: Annotated[list[ColumnChange], Field(min_length=1, max_length=MAX_CHANGES)]


class PromotionRequest(Request):
    """Which version to put into service, and why."""

    version: PositiveInt
    reason: Reason


class RollbackRequest(Request):
    """Why the champion goes back to the version before it."""

    reason: Reason
    from_version: PositiveInt | None = None
    """The champion that is meant: where another is in service by then, nothing is changed. Default: whichever is."""


class TrainingRequest(Request):
    """Why a challenger is trained."""

    reason: Reason


REQUESTS: Final[Mapping[QueryKind, type[Request]]] = {
    QueryKind.EXPLANATION: ExplanationRequest,
    QueryKind.BACKTEST: BacktestRequest,
    QueryKind.BULK_FORECAST: BulkForecastRequest,
    QueryKind.WHAT_IF: WhatIfRequest,
    QueryKind.PROMOTION: PromotionRequest,
    QueryKind.ROLLBACK: RollbackRequest,
    QueryKind.TRAINING: TrainingRequest,
}


def parse_request(kind: QueryKind, request: Mapping[str, Any]) -> Request:
    """The request of a kind of query.

    Raises:
        pydantic.ValidationError: It is none.

    >>> parse_request(QueryKind.PROMOTION, {"version": 3, "reason": "Back before the outage"})
    PromotionRequest(version=3, reason='Back before the outage')
    """
    return REQUESTS[kind].model_validate(request)
