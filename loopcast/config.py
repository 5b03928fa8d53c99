"""What a person decides: the frozen `Problem` that a YAML in `configs/` becomes.

A problem says what is forecast and what counts as good; it is the same on a laptop and on a cluster. Where a machine
keeps things stands in `settings`.
"""

import difflib
import itertools
import re
import warnings
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
import yaml
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import BusinessDay, BusinessHour, Day, Tick
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from loopcast.errors import ProblemError
from loopcast.mistakes import describe_mistakes

REQUIRED_QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)
"""The median and the ends of the 80 % and 95 % intervals, which the gate and the reports read."""

DAY_NS: Final = 86_400_000_000_000
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


def _refuse_flag(value: Any) -> Any:
    """What was found, unless it is true or false, which Python would count as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"found {value}, needs a whole number")  # noqa: TRY004  # pydantic refuses by a ValueError alone
    return value


PositiveInt = Annotated[int, BeforeValidator(_refuse_flag), Field(ge=1)]
NonNegativeInt = Annotated[int, BeforeValidator(_refuse_flag), Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
DropoutRatio = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _suggest_keys(cls, data: Any) -> Any:
        """Name the key that was probably meant, which pydantic's own message does not."""
        if isinstance(data, dict):
            for key in (key for key in data if key not in cls.model_fields):
                near = difflib.get_close_matches(str(key), cls.model_fields, n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(cls.model_fields)}"
                raise ValueError(f"`{key}` is not a key here; {hint}")
        return data


class Source(_Frozen):
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


class Ohlc(_Frozen):
    """Columns of a step's first, highest, lowest and last value, from which a variance proxy is made."""

    open: str
    high: str
    low: str
    close: str


class Covariate(_Frozen):
    """A column that is known up to the origin and shown to the network as a rolling z-score."""

    column: str
    transform: Literal["none", "log"] = "none"


class Columns(_Frozen):
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
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every source column that is read, once each."""
        ohlc = tuple(self.ohlc.model_dump().values()) if self.ohlc else ()
        ids = (self.series_id,) if self.series_id else ()
        return tuple(dict.fromkeys((*ids, self.timestamp, self.target, *ohlc, *(c.column for c in self.covariates))))


class Quality(_Frozen):
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


class Features(_Frozen):
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


class Network(_Frozen):
    """Shape of the residual quantile LSTM."""

    hidden_size: PositiveInt = 16
    dropout: DropoutRatio = 0.2
    moves_center: bool = False
    """Whether the network may shift the median. Off for returns, where it adds noise; on for autocorrelated series."""
    context_length: PositiveInt = 84
    """Rows before and including the origin that the network reads when it answers."""
    burn_in_length: PositiveInt = 40
    """Rows at the head of a training chunk that warm the state and carry no loss."""
    chunk_length: PositiveInt = 128
    """Rows of a training chunk; every row behind the burn-in is an origin."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.burn_in_length < self.context_length <= self.chunk_length:
            raise ValueError(
                f"needs burn_in_length < context_length <= chunk_length, found "
                f"{self.burn_in_length}, {self.context_length}, {self.chunk_length}"
            )
        return self


class Training(_Frozen):
    """How the network is fitted."""

    n_seeds: PositiveInt = 5
    """Networks whose outputs are averaged; five halve the seed-to-seed spread of the skill."""
    first_seed: NonNegativeInt = 0
    max_epochs: PositiveInt = 80
    patience_epochs: PositiveInt = 15
    learning_rate: PositiveFloat = 3e-3
    weight_decay: NonNegativeFloat = 1e-2
    batch_chunks: PositiveInt = 32
    validation_steps: PositiveInt = 250
    """Last steps before the present (or a fold's test block): early stopping and conformal calibration."""

    @property
    def seeds(self) -> range:
        """Seed of each network."""
        return range(self.first_seed, self.first_seed + self.n_seeds)


class Backtest(_Frozen):
    """The walk forward that judges every candidate."""

    initial_steps: PositiveInt | None = None
    """Steps of the forecast series before the first tested block. Default: half of them."""
    refit_steps: PositiveInt = 127
    """Steps that a fit stays in service before the next fold; half a year of trading days."""
    min_history_steps: PositiveInt = 250
    """Rows that a series needs before a fold to be scored in it."""
    max_origins: PositiveInt = 100_000
    """Origins scored at most; of a larger panel every 2nd, 4th, 8th … time is taken. A long horizon or many quantiles
    lower it further, so that the forecasts of all candidates stay below half a gigabyte."""
    garch_simulations: PositiveInt = 2000
    """Simulated paths for each origin of the GARCH baseline."""


class Gate(_Frozen):
    """When a challenger may become champion."""

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Level of the one-sided Diebold-Mariano test against the champion; in simulation 7 % of equally good ones pass."""
    naive_alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.10
    """Level of the test against the naive baselines, for any challenger."""
    margin: Share = 0.005
    """Relative loss by which a challenger may be worse when the champion is stale or miscalibrated."""
    coverage_tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.03
    """Allowed distance of the 80 % interval's coverage from nominal; half of it for the 95 % interval."""
    min_dates: PositiveInt = 120
    """Common out-of-sample dates below which nothing is promoted: fewer hardly tell autocorrelation from skill."""
    stale_after_days: PositiveInt = 90
    """Age of the champion's data, against the challenger's, from which not-worse is good enough."""

    def tolerance(self, nominal_ratio: float) -> float:
        """Allowed distance of an interval's coverage from nominal; half for what is wider than 80 %.

        >>> Gate(coverage_tolerance=0.03).tolerance(0.8), Gate(coverage_tolerance=0.03).tolerance(0.95)
        (0.03, 0.015)
        """
        return self.coverage_tolerance if nominal_ratio <= 0.8 else self.coverage_tolerance / 2


class Tuning(_Frozen):
    """The optional search for better training settings."""

    n_seeds: PositiveInt = 2
    """Networks averaged in a trial; fewer than in training, for speed."""
    hidden_sizes: tuple[PositiveInt, ...] = (8, 16, 32)
    learning_rates: tuple[PositiveFloat, PositiveFloat] = (1e-3, 1e-2)
    weight_decays: tuple[NonNegativeFloat, NonNegativeFloat] = (1e-3, 1e-1)
    dropouts: tuple[DropoutRatio, DropoutRatio] = (0.0, 0.4)

    @field_validator("learning_rates", "weight_decays", "dropouts")
    @classmethod
    def _ascend(cls, ends: tuple[float, float]) -> tuple[float, float]:
        if ends[0] > ends[1]:
            raise ValueError(f"found {list(ends)}, needs the lower end first")
        return ends


class Problem(_Frozen):
    """One forecasting problem: data, features, network, evidence and gate."""

    name: str
    """Names everything that is stored: model, experiment, rows."""
    title: str
    unit: str
    """Unit of the target, for axes and answers."""
    source: Source
    columns: Columns
    time_zone: str = "UTC"
    """Zone of timestamps without an offset, and of the calendar."""
    frequency: str
    """Step of the series, a pandas offset alias such as `B`, `D`, `h`, `15min`, `MS`."""
    aggregate: Literal["none", "mean", "last", "sum"] = "none"
    """How several source rows within one step become one."""
    transform: Literal["none", "log"] = "none"
    horizon: Annotated[PositiveInt, Field(le=366)] = 5
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (
        0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975,
    )  # fmt: skip
    forecast_series: tuple[str, ...] = ()
    """Series that are forecast: they set the calendar of training and backtest, and are drawn. Empty: all.

    The others are pooled: they are trained on, and those with enough history are scored too, in the backtest and in
    the gate, where the mean over the series of a date is one observation.
    """
    quality: Quality = Quality()
    features: Features = Features()
    network: Network = Network()
    training: Training = Training()
    backtest: Backtest = Backtest()
    gate: Gate = Gate()
    tuning: Tuning = Tuning()

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
            raise ValueError(f"found `{name}`, needs at most 40 lower-case letters, digits and _, the first a letter")
        return name

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise ValueError(f"`{name}` is not a time zone; needs an IANA name such as Europe/Zurich") from exc
        return name

    @field_validator("frequency")
    @classmethod
    def _known_frequency(cls, alias: str) -> str:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", FutureWarning)
                offset = to_offset(alias)
        except FutureWarning as exc:
            raise ValueError(str(exc).removesuffix(".")) from exc
        except ValueError as exc:
            raise ValueError(f"`{alias}` is not a frequency; needs a pandas alias such as B, D, h, 15min") from exc
        if offset is None or offset.n < 1:
            raise ValueError(f"`{alias}` does not step forward; needs a pandas alias such as B, D, h, 15min")
        if isinstance(offset, Tick) and not isinstance(offset, Day):
            if offset.nanos % 1_000 or offset.nanos >= DAY_NS or DAY_NS % offset.nanos:
                raise ValueError(f"`{alias}` does not divide a day; needs a step such as 15min, h, 6h, or D for a day")
        elif offset.n > 1 or isinstance(offset, BusinessHour):
            raise ValueError(f"`{alias}` has no fixed grid of dates; needs single steps such as B, D, W-MON, MS, QS")
        return alias

    @field_validator("quantiles")
    @classmethod
    def _usable_quantiles(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        if list(quantiles) != sorted(set(quantiles)):
            raise ValueError(f"found {list(quantiles)}, needs levels that ascend without repeats")
        if any(abs(a + b - 1) > 1e-9 for a, b in zip(quantiles, reversed(quantiles), strict=True)):
            raise ValueError(
                f"found {list(quantiles)}, needs pairs q and 1 - q, so that each lower one opens an interval"
            )
        if missing := [q for q in REQUIRED_QUANTILES if q not in quantiles]:
            raise ValueError(f"{missing} are missing, which the 80 % and 95 % intervals need; add them")
        return quantiles

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        longest = self.features.scales[-1]
        if self.quality.min_rows <= longest + self.horizon:
            raise ValueError(
                f"a horizon of {self.horizon} steps and features over {longest} steps leave no origin in a series of "
                f"quality.min_rows = {self.quality.min_rows}; shorten the horizon or raise min_rows"
            )
        if self.training.validation_steps <= self.horizon:
            raise ValueError(
                f"training.validation_steps = {self.training.validation_steps} must exceed "
                f"the horizon of {self.horizon}"
            )
        if self.columns.ohlc and self.transform != "log":
            raise ValueError("columns.ohlc makes a variance of log prices; it needs `transform: log`")
        if self.columns.ohlc and self.aggregate in {"mean", "sum"}:
            raise ValueError(f"columns.ohlc belongs to closing prices; found aggregate: {self.aggregate}, needs last")
        return self

    @property
    def offset(self) -> pd.DateOffset:
        """The step as a pandas offset."""
        return to_offset(self.frequency)  # type: ignore[return-value]  # validated: never None

    @property
    def has_business_steps(self) -> bool:
        """Whether steps are business days, of which holidays are missing by nature."""
        return isinstance(self.offset, BusinessDay)

    @property
    def fill_steps(self) -> int:
        """Longest run of missing steps that is filled, in steps."""
        return _default(self.quality.fill_steps, 0 if self.has_business_steps else 4)

    @property
    def bridge_steps(self) -> int:
        """Longest run of missing steps across which rows are neighbours, in steps."""
        return _default(self.quality.bridge_steps, 10 if self.has_business_steps else 0)

    def is_forecast(self, series_id: str) -> bool:
        """Whether the series is one that is forecast, and not only pooled in training."""
        return not self.forecast_series or series_id in self.forecast_series


def _default(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def load_problem(path: str | Path) -> Problem:
    """The problem that a YAML describes.

    Raises:
        ProblemError: The file is missing, is no YAML mapping, or asks for something that cannot be.
    """
    path = Path(path)
    if not path.is_file():
        raise ProblemError(f"{path}: no such file; give the path of a problem's YAML, such as configs/google.yaml")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ProblemError(f"{path}: not a YAML file: {' '.join(str(exc).split())}") from exc
    if not isinstance(data, dict):
        raise ProblemError(
            f"{path}: found {type(data).__name__}, needs a mapping of keys such as name, source, columns"
        )
    try:
        return Problem.model_validate(data)
    except ValidationError as exc:
        raise ProblemError(f"{path}: {'; '.join(describe_mistakes(exc))}") from exc
