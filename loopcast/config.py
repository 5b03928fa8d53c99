"""What a person decides: the frozen `Problem` that a YAML in `configs/` becomes.

A problem says what is forecast and what counts as good; it is the same on a laptop and on a cluster. Its sections stand
in `sections`; where a machine keeps things, in `settings`.
"""

import re
import warnings
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
import yaml
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import BusinessDay, BusinessHour, Day, Tick
from pydantic import Field, ValidationError, field_validator, model_validator

from loopcast.errors import ProblemError
from loopcast.mistakes import describe_mistakes
from loopcast.sections.base import PositiveInt, Section
from loopcast.sections.data import Columns, Features, Quality, Source
from loopcast.sections.evidence import Backtest, Gate
from loopcast.sections.model import Network, Training, Tuning
from loopcast.sections.monitoring import Monitoring

REQUIRED_QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)
"""The median and the ends of the 80 % and 95 % intervals, which the gate and the reports read."""

DAY_NS: Final = 86_400_000_000_000


class Problem(Section):
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
    monitoring: Monitoring = Monitoring()

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


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, of which YAML would take the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping of a node."""
        seen = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"`{key.value}` stands there twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def load_problem(path: str | Path) -> Problem:
    """The problem that a YAML describes.

    Raises:
        ProblemError: The file is missing, is no YAML mapping, or asks for something that cannot be.
    """
    path = Path(path)
    if not path.is_file():
        raise ProblemError(f"{path}: no such file; give the path of a problem's YAML, such as configs/google.yaml")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506  # a safe one
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
