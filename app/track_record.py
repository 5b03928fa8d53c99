"""`GET /api/v1/problems/{problem}/track-record`: how forecasts did, beside what came true and what costs nothing."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final

import pandas as pd
from fastapi import APIRouter, Query
from starlette.requests import Request

from app.answers import track_record as answers
from app.documentation import PREFIX
from app.errors import ErrorCode, Refusal
from app.parts import Asked, read_asked
from app.reading import read_recent
from app.requests import MAX_NAME_CHARACTERS
from loopcast.health.day import reach_in_days
from loopcast.health.track_record import TrackFigures, sum_up_track
from loopcast.stores.database import Database
from loopcast.stores.model_versions import ModelVersionStore
from loopcast.stores.track_record import Chosen, Point, Rolled, TrackRecordStore

DEFAULT_DAYS: Final = 365
"""Up to the last target, where no first day is asked for."""
DAY: Final = timedelta(days=1)

router = APIRouter(prefix=PREFIX)


@router.get("/problems/{problem}/track-record", operation_id="get_track_record")
async def get_track_record(
    problem: str,
    request: Request,
    series: Annotated[str | None, Query(max_length=MAX_NAME_CHARACTERS, description="All series by default.")] = None,
    version: Annotated[int | None, Query(ge=1, lt=2**31, description="All model versions by default.")] = None,
    horizon: Annotated[int | None, Query(ge=1, le=10_000, description="Steps ahead; all by default.")] = None,
    since: Annotated[date | None, Query(description="First day of targets; by default a year before the last.")] = None,
    until: Annotated[date | None, Query(description="Last day of targets; by default the last there is.")] = None,
) -> answers.TrackRecord:
    """Coverage, skill over the EWMA baseline, and error beside persistence; over time, by horizon and by version.

    With a series also what was forecast of it beside what came true, of the given horizon or of the next step. Days on
    which a version was trained are left out, and counted.
    """
    return await find_track_record(read_asked(request), problem, series, version, horizon, since, until)


async def find_track_record(
    asked: Asked,
    problem: str,
    series: str | None = None,
    version: int | None = None,
    horizon: int | None = None,
    since: date | None = None,
    until: date | None = None,
) -> answers.TrackRecord:
    """The track record of a problem, or of a part of it.

    Raises:
        Refusal: As `read_recent`, or the first day lies behind the last.
        StoreError: The database does not answer.
    """
    if since and until and since > until:
        what = f"query.since: found {since}, needs a day up to {until}, which `until` says"
        raise Refusal(422, ErrorCode.INVALID_REQUEST, what)

    champions = asked.parts.champions
    served = champions.get(problem).model.problem if problem in champions.names() else None

    def read(database: Database) -> answers.TrackRecord:
        store = TrackRecordStore(database)
        rolled = store.find_rolled(problem)
        first, last = _bound_days(since, until, rolled)
        chosen = Chosen(problem, _begin(first), _begin(last) + DAY, series, version, horizon)
        sums = store.read_sums(chosen)
        n_steps = int(sums["horizon"].max()) if len(sums) else 1
        # Without a champion it is not known how long a step is; it is taken for a day.
        reach = reach_in_days(served, n_steps) if served else n_steps
        known = sum_up_track(sums[~sums["is_trained"]], reach)
        return answers.TrackRecord(
            problem=problem,
            series_id=series,
            model_version=version,
            horizon=horizon,
            since=first if len(sums) else None,
            until=last if len(sums) else None,
            rolled_up_until_utc=_end_of_rolled(rolled),
            n_waiting_days=rolled.n_waiting_days,
            overall=known.overall,
            vs_ewma=known.vs_ewma,
            vs_persistence=known.vs_persistence,
            by_horizon=[answers.HorizonRecord(horizon=h, figures=found) for h, found in known.by_horizon.items()],
            by_version=_list_versions(database, problem, sums, known.by_version),
            curve=known.curve,
            chart=None if series is None else _draw_chart(series, horizon or 1, *store.read_points(chosen)),
        )

    return await read_recent(asked, problem, ("track record", series, version, horizon, since, until), read)


def _bound_days(since: date | None, until: date | None, rolled: Rolled) -> tuple[date, date]:
    last_known = rolled.last_day_utc.astimezone(UTC).date() if rolled.last_day_utc else datetime.now(UTC).date()
    last = min(until or max(last_known, since or last_known), date.max - DAY)
    return since or last - min(timedelta(days=DEFAULT_DAYS), last - date.min), last


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _end_of_rolled(rolled: Rolled) -> datetime | None:
    if rolled.last_day_utc is None:
        return None
    end = rolled.last_day_utc + DAY
    return end if rolled.waiting_since_utc is None else min(rolled.waiting_since_utc, end)


def _list_versions(
    database: Database, problem: str, sums: pd.DataFrame, figures: dict[int, TrackFigures]
) -> list[answers.VersionRecord]:
    n_trained = sums[sums["is_trained"]].groupby("model_version")["n_judged"].sum()
    records = {each.version: each for each in ModelVersionStore(database).history(problem, limit=None)}
    found = []
    for number in sorted(set(sums["model_version"].tolist()), reverse=True):
        record = records.get(number)
        found.append(
            answers.VersionRecord(
                model_version=number,
                candidate=record and record.candidate,
                trained_until_utc=record and record.trained_until_utc,
                figures=figures.get(number),
                n_trained=round(n_trained.get(number, 0.0)),
            )
        )
    return found


def _draw_chart(series: str, horizon: int, n_origins: int, points: list[Point]) -> answers.TrackChart:
    columns = {name: [getattr(point, name) for point in points] for name in Point._fields}
    return answers.TrackChart(series_id=series, horizon=horizon, n_origins=n_origins, n_shown=len(points), **columns)
