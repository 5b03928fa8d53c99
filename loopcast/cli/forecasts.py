"""Commands about stored forecasts: the last ones beside what came true, where one comes from, and what is forgotten."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from loopcast.cli.opening import ProblemName, name_problems, open_stores
from loopcast.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from loopcast.stores.stored_forecast import StoredForecast

SHOWN_LEVELS: Final = (0.1, 0.5, 0.9)
"""The median and the ends of the 80 % interval, which every problem has."""


def forecasts(
    problem: ProblemName,
    series: Annotated[str | None, typer.Option(help="Name of a series; default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Forecasts at most.")] = 5,
) -> None:
    """Show the last stored forecasts of a problem, beside what came true."""
    stores = open_stores()
    found = stores.forecasts.read(problem, series_id=series, limit=limit)
    if not found:
        raise StoreError(
            f"{problem} has no stored forecasts{f' of {series}' if series else ''}; {name_problems(stores)}"
        )
    for forecast in found:
        version = stores.model_versions.get(problem, forecast.model_version)
        for line in _describe(forecast, () if version is None else version.quantile_levels):
            typer.echo(line)


def lineage(forecast_id: Annotated[UUID, typer.Argument(help="Id of the forecast, as the answer gave it.")]) -> None:
    """Tell where a stored forecast comes from: version, training, execution, commit and data."""
    found = open_stores().forecasts.lineage(forecast_id)
    if found is None:
        raise StoreError(
            f"no forecast {forecast_id} is stored here; one that was answered just now may take a second, others may "
            "have been forgotten or lie in another database"
        )
    for name, value in found:
        typer.echo(f"{name:<18} {_write(value)}")


def forget(
    months: Annotated[
        int | None, typer.Option(min=1, help="Months to keep; default: LOOPCAST_FORECAST_RETENTION_MONTHS.")
    ] = None,
) -> None:
    """Forget stored forecasts that were made longer ago than they are to be kept."""
    from loopcast.stores.partitions import begin_month

    stores = open_stores()
    kept_months = months or stores.settings.forecast_retention_months
    if kept_months is None:
        raise SettingsError(
            "LOOPCAST_FORECAST_RETENTION_MONTHS is not set, so that all is kept; set it, or give --months"
        )
    issued_before_utc = begin_month(datetime.now(UTC), kept_months)
    n_forgotten = stores.forecasts.forget(issued_before_utc)
    typer.echo(f"{n_forgotten:,} forecasts forgotten that were made before {issued_before_utc:%Y-%m-%d}")


def _describe(forecast: "StoredForecast", levels: Sequence[float]) -> Iterator[str]:
    """One line for the forecast, and one for each step."""
    yield (
        f"{forecast.series_id}  from {forecast.origin_utc:%Y-%m-%d %H:%M} UTC at {forecast.origin_value:,.6g}, "
        f"by version {forecast.model_version}, {forecast.source} {forecast.issued_at_utc:%Y-%m-%d %H:%M}, "
        f"id {forecast.id}"
    )
    columns = [levels.index(level) for level in SHOWN_LEVELS if level in levels]
    heads = [f"{levels[column]:.0%}" for column in columns] or ["lowest", "middle", "highest"]
    columns = columns or [0, len(forecast.quantiles[0]) // 2, -1]
    yield f"    {'target':<16} " + "".join(f"{head:>14}" for head in (*heads, "actual"))
    for target_utc, quantiles, actual in zip(forecast.target_utc, forecast.quantiles, forecast.actual, strict=True):
        cells = [f"{quantiles[column]:,.6g}" for column in columns]
        yield f"    {target_utc:%Y-%m-%d %H:%M} " + "".join(
            f"{cell:>14}" for cell in (*cells, "-" if actual is None else f"{actual:,.6g}")
        )


def _write(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, datetime) else str(value)
