"""What may be asked: the bodies of requests. What a body says of its own accord is judged here, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.examples import ASK_BY_HISTORY, ASK_BY_NAME, EXPLAIN_BY_NAME

MAX_SERIES: Final = 100
"""In one request: some 20 ms of a worker with histories; whoever wants all series reads the evening's table."""
MAX_ROWS: Final = 5000
"""Of one history: twenty years of trading days. Two hundred rows are enough for the features of most problems."""
MAX_COVARIATES: Final = 50
MAX_NAME_CHARACTERS: Final = 200
MAX_TIMESTAMP_CHARACTERS: Final = 40
NAME: Final = r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
"""A name without control characters, and without blanks around it, which a source would lose."""
PRICES: Final = ("open", "high", "low", "close")


def _bound_covariates(value: Any) -> Any:
    if isinstance(value, Mapping) and len(value) > MAX_COVARIATES:
        raise ValueError(f"found {len(value)} covariates, needs at most {MAX_COVARIATES}")
    return value


def _refuse_repeated_series(series: "Sequence[SeriesBody]") -> "Sequence[SeriesBody]":
    seen: set[str] = set()
    for each in series:
        if each.series_id in seen:
            raise ValueError(f"found {each.series_id} twice, needs each series once")
        seen.add(each.series_id)
    return series


# Lists stop at their first mistake: a body of nothing but mistakes costs no more than a good one.
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Numbers = Annotated[list[Finite], Field(fail_fast=True, min_length=1, max_length=MAX_ROWS)]
NumbersWithGaps = Annotated[list[Finite | None], Field(fail_fast=True, min_length=1, max_length=MAX_ROWS)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS, pattern=NAME)]
Timestamp = Annotated[str, Field(min_length=10, max_length=MAX_TIMESTAMP_CHARACTERS)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _know_keys(cls, data: Any) -> Any:
        """Make one mistake of all unknown keys, where pydantic would make one of each."""
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise ValueError(f"`{key[:40]}` is not a key here; known keys: {', '.join(cls.model_fields)}")
        return data


class HistoryBody(_Body):
    """The last steps of a series, oldest first, one list for each column."""

    timestamp: Annotated[list[Timestamp], Field(fail_fast=True, min_length=1, max_length=MAX_ROWS)]
    """ISO 8601. Steps shorter than a day need an offset, such as `Z`; of days and longer a date is enough."""
    target: Numbers
    """Observed values, in the problem's unit."""
    open: NumbersWithGaps | None = None
    high: NumbersWithGaps | None = None
    low: NumbersWithGaps | None = None
    close: NumbersWithGaps | None = None
    covariates: Annotated[dict[Name, NumbersWithGaps], BeforeValidator(_bound_covariates)] = {}
    """By the names that the problem gives them; null where unknown."""

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        n_rows = len(self.timestamp)
        prices = {name: values for name in PRICES if (values := getattr(self, name)) is not None}
        if 0 < len(prices) < len(PRICES):
            raise ValueError(f"found {', '.join(prices)} alone; open, high, low and close belong together")
        for name, values in {"target": self.target, **prices, **self.covariates}.items():
            if len(values) != n_rows:
                raise ValueError(f"found {n_rows} timestamps and {len(values)} values of {name}; needs as many")
        return self


class SeriesBody(_Body):
    """A series by its name, forecast from the newest history that Loopcast has; or with a history of its own."""

    series_id: Name
    history: HistoryBody | None = None


class ForecastBody(_Body):
    """What to forecast: all series are answered, or the whole request is refused."""

    model_config = ConfigDict(json_schema_extra={"examples": [ASK_BY_NAME, ASK_BY_HISTORY]})

    series: Annotated[
        list[SeriesBody],
        Field(fail_fast=True, min_length=1, max_length=MAX_SERIES),
        AfterValidator(_refuse_repeated_series),
    ]
    horizon: Annotated[int, Field(strict=True, ge=1)] | None = None
    """Steps ahead, up to the problem's, which is the default."""
    quantiles: Annotated[list[Finite], Field(fail_fast=True, min_length=1, max_length=100)] | None = None
    """Levels, of those that the problem has; default: all."""


class ExplanationBody(_Body):
    """Whose forecast to explain."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXPLAIN_BY_NAME]})

    series: SeriesBody
