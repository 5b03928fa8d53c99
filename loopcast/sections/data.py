"""Which data a problem takes, what it may look like, and what the network sees of it."""

import itertools
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self
from urllib.parse import parse_qsl

from pydantic import Field, field_validator, model_validator

from loopcast.sections.base import NonNegativeInt, PositiveInt, Section, Share

EPOCH_UNITS: Final[dict[str, Literal["s", "ms"]]] = {"epoch_s": "s", "epoch_ms": "ms"}
"""Formats of a timestamp that is a number: seconds or milliseconds since 1970, UTC."""

CREDENTIALS: Final = frozenset(
    [
        "accesskey", "accesskeyid", "accesstoken", "accountkey", "apikey", "auth", "authorization", "awsaccesskeyid",
        "clientsecret", "credential", "key", "passwd", "password", "pwd", "sas", "sastoken", "secret", "secretkey",
        "sig", "signature", "sslpassword", "token",
    ]
)  # fmt: skip
"""Names of query parameters that carry one, in small letters without - and _."""

Calendar = Literal["hour", "day_of_week", "month", "week_of_quarter"]


class Source(Section):
    """Where the rows lie: `sample://NAME`, a CSV or Parquet path or fsspec URL, or `postgresql://` with a query."""

    uri: Annotated[str, Field(min_length=1)]
    query: str | None = None
    decimal: Literal[".", ","] = "."
    """Decimal mark of a CSV's numbers."""

    @property
    def is_database(self) -> bool:
        """Whether the rows come from a query."""
        return self.uri.startswith(("postgresql://", "postgresql+psycopg://", "postgres://"))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if secret := self._name_secret():
            raise ValueError(
                f"`uri` holds {secret}, which would be stored with every model; remove it and give it through "
                "the environment: PGPASSWORD or ~/.pgpass, or the storage's own variables"
            )
        if self.is_database and not self.query:
            raise ValueError("a postgresql:// source needs `query`, the SELECT that returns the rows")
        if self.query and not self.is_database:
            raise ValueError("`query` is for a postgresql:// source; remove it")
        return self

    def _name_secret(self) -> str | None:
        if re.search(r"//[^/@]*:[^/@]+@|^postgres[^/]*//[^/@]*:[^@]+@", self.uri):
            return "a password"
        for name, _ in parse_qsl(self.uri.partition("?")[2], keep_blank_values=True):
            plain = re.sub("[-_]", "", name.lower())
            if plain in CREDENTIALS or plain.startswith(("xamz", "xgoog")):
                return "a password" if plain == "password" else f"a credential, `{name}`"
        return None


class Ohlc(Section):
    """Columns of a step's first, highest, lowest and last value, from which a variance proxy is made."""

    open: str
    high: str
    low: str
    close: str


class Covariate(Section):
    """A column that is known up to the origin and shown to the network as a rolling z-score."""

    column: str
    transform: Literal["none", "log"] = "none"


class Columns(Section):
    """Which column of the source is what; `series_id` may be left out when there is one series."""

    timestamp: str
    target: str
    series_id: str | None = None
    ohlc: Ohlc | None = None
    covariates: tuple[Covariate, ...] = ()
    timestamp_format: str | None = None
    """How text becomes a time: a strptime pattern such as `%d/%m/%Y`, or `epoch_s` or `epoch_ms`. Default: ISO 8601."""

    @field_validator("timestamp_format")
    @classmethod
    def _usable_format(cls, pattern: str | None) -> str | None:
        if pattern is None or pattern in EPOCH_UNITS:
            return pattern
        day = datetime(2001, 1, 1, tzinfo=UTC)
        with suppress(ValueError):
            if datetime.strptime(day.strftime(pattern), pattern).date() == day.date():  # noqa: DTZ007  # a date only
                return pattern
        raise ValueError(f"found `{pattern}`, needs a pattern such as %d/%m/%Y %H:%M, or epoch_s or epoch_ms")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        roles = {"timestamp": self.timestamp, "target": self.target, "series_id": self.series_id}
        for (role, column), (other, taken) in itertools.combinations(roles.items(), 2):
            if column == taken:
                raise ValueError(f"`{column}` is named as both {role} and {other}; each needs a column of its own")
        covariates = [each.column for each in self.covariates]
        if twice := next((column for column in covariates if covariates.count(column) > 1), None):
            raise ValueError(f"`{twice}` stands there twice as a covariate; remove one")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every source column that is read, once each."""
        ohlc = tuple(self.ohlc.model_dump().values()) if self.ohlc else ()
        ids = (self.series_id,) if self.series_id else ()
        return tuple(dict.fromkeys((*ids, self.timestamp, self.target, *ohlc, *(c.column for c in self.covariates))))


class Quality(Section):
    """What data may look like before it is refused."""

    max_refused_ratio: Share = 0.01
    """Share of rows that may go to quarantine before the run fails."""
    min_rows: PositiveInt = 300
    """Rows a series needs: a year of trading days and the warm-up of the features."""
    fill_steps: NonNegativeInt | None = None
    """Longest run of missing steps that is filled with the last value, as no target. Default: 4; business days: 0."""
    bridge_steps: NonNegativeInt | None = None
    """Longest run of missing steps, such as holidays, that does not cut the series. Default: 0; business days: 10."""
    suspected_split: Literal["refuse", "accept"] = "refuse"
    """What to do with a jump of the log target that looks like a share split which nobody adjusted."""


class Features(Section):
    """What the network sees, all of it known at the origin."""

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.94
    """Weight of yesterday in the exponentially weighted variance (RiskMetrics, daily)."""
    scales: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = (1, 5, 22, 66)
    """Windows, in steps, of the log-variance features: a day, a week, a month and a quarter of trading."""
    calendar: tuple[Calendar, ...] = ()
    """Known-future calendar positions of the target steps."""

    @field_validator("scales")
    @classmethod
    def _ascend(cls, scales: tuple[int, ...]) -> tuple[int, ...]:
        if list(scales) != sorted(set(scales)):
            raise ValueError(f"found {list(scales)}, needs windows that ascend without repeats")
        return scales
