"""A history in a frame, as the service takes it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from loopcast.client.errors import LoopcastClientError

if TYPE_CHECKING:
    from pandas import DataFrame

TIMESTAMP: Final = "timestamp"
COVARIATES: Final = "covariates."


def write_series(
    series: Mapping[str, "DataFrame | None"],
    history_columns: Sequence[str],
    columns: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Each series as a body has it, in the order given.

    Args:
        series: By name: a history, oldest row first, or None for the newest that the service has.
        history_columns: As `Problem.history_columns` names what a history must bring.
        columns: By these names, the frame's own where they are called otherwise.
    """
    return [
        {"series_id": name}
        if frame is None
        else {"series_id": name, "history": write_history(frame, history_columns, columns)}
        for name, frame in series.items()
    ]


def write_history(frame: "DataFrame", history_columns: Sequence[str], columns: Mapping[str, str]) -> dict[str, Any]:
    """A history as a body has it: one list for each column, null where a value is missing.

    A covariate's column is called as the covariate; times may also stand in the index.

    Raises:
        LoopcastClientError: The frame lacks a column, or has one that is no number or no time.
    """
    own = {name: columns.get(name, name.removeprefix(COVARIATES)) for name in history_columns}
    if unknown := sorted(columns.keys() - own.keys()):
        raise LoopcastClientError(f"columns: found {', '.join(unknown)}, needs some of {', '.join(own)}")
    history: dict[str, Any] = {"covariates": {}}
    for name, column in own.items():
        if name == TIMESTAMP:
            history[name] = list(_write_times(frame, column))
        elif name.startswith(COVARIATES):
            history["covariates"][name.removeprefix(COVARIATES)] = _write_numbers(frame, column)
        else:
            history[name] = _write_numbers(frame, column)
    return history


def _write_numbers(frame: "DataFrame", column: str) -> list[float | None]:
    values = _find_column(frame, column)
    try:
        numbers = values.astype(float).tolist()
    except (TypeError, ValueError) as exc:
        raise LoopcastClientError(f"{column}: found {values.dtype}, needs numbers ({exc})") from exc
    return [None if number != number else number for number in numbers]


def _write_times(frame: "DataFrame", column: str) -> Iterator[str]:
    """ISO 8601: dates alone where all are whole days without a zone, which the problem's zone then is."""
    from pandas import DatetimeIndex, to_datetime

    given = frame.index if column not in frame and isinstance(frame.index, DatetimeIndex) else None
    try:
        times: DatetimeIndex = DatetimeIndex(to_datetime(_find_column(frame, column) if given is None else given))
    except (TypeError, ValueError) as exc:
        raise LoopcastClientError(f"{column}: found what is no time ({exc})") from exc
    is_dates = times.tz is None and bool((times == times.normalize()).all())
    return (str(time)[:10] if is_dates else time.isoformat() for time in times)


def _find_column(frame: "DataFrame", column: str) -> Any:
    if column not in frame:
        found = ", ".join(map(str, frame.columns))
        what = f"found the columns {found}, needs `{column}`; name the frame's own by `columns=`"
        raise LoopcastClientError(f"history: {what}")
    return frame[column]
