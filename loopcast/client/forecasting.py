"""Asking for forecasts, for what is known of them, and for what there is to forecast."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from loopcast.client.answers.forecasts import Explanation, ForecastAnswer, Lineage, StoredForecast
from loopcast.client.answers.problems import History, Model, Problem, Problems, SeriesPage, SeriesState
from loopcast.client.histories import TIMESTAMP, write_series
from loopcast.client.transport import Transport

if TYPE_CHECKING:
    from pandas import DataFrame

PAGE_SIZE: Final = 1000
"""The most that the service answers at once."""

Series = str | Sequence[str] | Mapping[str, "DataFrame | None"]
"""A name, names, or histories by name."""


class Forecasting(Transport):
    """Problems, their series, and forecasts."""

    def problems(self) -> tuple[Problem, ...]:
        """The problems in service that may be asked about."""
        return self._get(Problems, "problems").problems

    def problem(self, problem: str) -> Problem:
        """One problem: unit, horizon, quantiles, and what a history must bring."""
        return self._get(Problem, "problems", problem)

    def series(self, problem: str, *, find: str = "", page_size: int = PAGE_SIZE) -> Iterator[SeriesState]:
        """Every series that can be forecast by name, in alphabetical order; pages are fetched as they are read.

        Args:
            find: Letters that a name holds, large or small.
        """
        after: str | None = ""
        while after is not None:
            page = self._get(SeriesPage, "problems", problem, "series", after=after, find=find, limit=page_size)
            yield from page.series
            after = page.next_after

    def history(self, problem: str, series: str, *, steps: int | None = None) -> History:
        """The last steps of a series, from the last of which it is forecast by its name.

        Args:
            steps: Default: as many as the service shows of itself.
        """
        return self._get(History, "problems", problem, "history", series=series, steps=steps)

    def model(self, problem: str) -> Model:
        """The model version in service: its figures, and where it comes from."""
        return self._get(Model, "problems", problem, "model")

    def forecast(
        self,
        problem: str,
        series: Series,
        *,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> ForecastAnswer:
        """Forecasts of all the series, each stored under its id; or of none, and why.

        Args:
            series: A name, or names; or by name a history of one's own, oldest row first, with the columns that
                `problem(...).history_columns` lists, a covariate under its own name, and times in a column or the
                index. None for the newest history that the service has.
            horizon: Steps ahead; default: the problem's.
            quantiles: Levels; default: all that the problem has.
            columns: The frame's own names of those columns, such as `{"target": "adj_close"}`.
        """
        body: dict[str, object] = {"series": self._write_series(problem, series, columns)}
        if horizon is not None:
            body["horizon"] = horizon
        if quantiles is not None:
            body["quantiles"] = list(quantiles)
        return self._post(ForecastAnswer, "problems", problem, "forecasts", body=body)

    def explain(
        self,
        problem: str,
        series_id: str,
        history: "DataFrame | None" = None,
        *,
        columns: Mapping[str, str] | None = None,
    ) -> Explanation:
        """Why the intervals of a series' forecast are as wide as they are; arguments as for `forecast`."""
        [body] = self._write_series(problem, {series_id: history}, columns)
        return self._post(Explanation, "problems", problem, "explanations", body={"series": body})

    def stored_forecast(self, forecast_id: UUID | str) -> StoredForecast:
        """A stored forecast, whole, beside what came true since."""
        return self._get(StoredForecast, "forecasts", forecast_id)

    def lineage(self, forecast_id: UUID | str) -> Lineage:
        """Where a stored forecast comes from: model version, training, commit, and data."""
        return self._get(Lineage, "forecasts", forecast_id, "lineage")

    def _write_series(self, problem: str, series: Series, columns: Mapping[str, str] | None) -> list[dict[str, object]]:
        names = [series] if isinstance(series, str) else series
        by_name = names if isinstance(names, Mapping) else dict.fromkeys(names)
        has_history = any(frame is not None for frame in by_name.values())
        needed = self.problem(problem).history_columns if has_history else (TIMESTAMP,)
        return write_series(by_name, needed, columns or {})
