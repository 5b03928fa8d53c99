"""`GET /api/v1/problems/{problem}/health` and `/timeline`: how the loop does, how it did, and what happened."""

import math
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request

from app.answers import health as answers
from app.documentation import PREFIX
from app.errors import ErrorCode, Refusal
from app.model_routes import link_run
from app.parts import Asked, read_asked
from app.reading import as_known, as_link, read_recent
from loopcast.health.day_summary import ASPECTS, Aspect, DaySummary
from loopcast.settings import Settings
from loopcast.stores.action_log import ActionLog
from loopcast.stores.actions import Action, ActionState
from loopcast.stores.alerts import AlertStore
from loopcast.stores.conditions import Alert, AlertSeverity, AlertState
from loopcast.stores.database import Database
from loopcast.stores.evidently_project import find_run, identify_project
from loopcast.stores.outbox import Outbox
from loopcast.stores.skill_days import Look, SkillDays
from loopcast.stores.timeline import Timeline

MAX_LOOKS: Final = 366
"""In the curve: a year and a half of trading days, one look each."""
MAX_ALERTS: Final = 100
"""Open ones in an answer; where a feed breaks for a thousand series, there are as many."""
MAX_EVENTS: Final = 200
BETWEEN: Final = "~"
"""Parts of a place in the line of events."""

router = APIRouter(prefix=PREFIX)


@router.get("/problems/{problem}/health", operation_id="get_health")
async def get_health(problem: str, request: Request) -> answers.Health:
    """Open alerts and actions, what monitoring found when it looked last, and what it found at each look before."""
    return await find_health(read_asked(request), problem)


@router.get("/problems/{problem}/timeline", operation_id="get_timeline")
async def get_timeline(
    problem: str,
    request: Request,
    before: Annotated[str, Query(description="`next_before` of the page above.", max_length=80)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = 50,
) -> answers.Events:
    """Decisions, changes of the champion, actions, and alerts as they came and went; the latest first."""
    return await find_events(read_asked(request), problem, before, limit)


async def find_health(asked: Asked, problem: str) -> answers.Health:
    """How a problem's loop does.

    Raises:
        Refusal, StoreError: As `read_recent`.
    """
    settings = asked.parts.settings
    served = asked.parts.champions.get(problem) if problem in asked.parts.champions.names() else None

    def read(database: Database) -> answers.Health:
        looks = SkillDays(database).history(problem, MAX_LOOKS)
        episodes = AlertStore(database, Outbox(database, (), 0.0)).history(problem, MAX_ALERTS)
        open_alerts = [each.alert for each in episodes if each.alert.state is AlertState.RAISED]
        return answers.Health(
            problem=problem,
            model_version=served and served.version,
            open_alerts=[_show_alert(each) for each in sorted(open_alerts, key=_rank)],
            open_actions=[_show_action(each) for each in ActionLog(database).history(problem) if _is_open(each)],
            last_look=_show_look(looks[0]) if looks else None,
            curve=_draw_looks(looks[::-1]),
            links=answers.HealthLinks(
                evidently=_link_look(settings, database, problem, looks[0]) if looks else None,
                mlflow=link_run(settings, served.record.run_id) if served else None,
            ),
        )

    return await read_recent(asked, problem, ("health", served and served.version), read)


async def find_events(asked: Asked, problem: str, before: str, limit: int) -> answers.Events:
    """What happened to a problem, so many events before a place in their line.

    Raises:
        Refusal: As `read_recent`, or there is no such place.
        StoreError: The database does not answer.
    """
    place = _read_place(before)

    def read(database: Database) -> answers.Events:
        found = Timeline(database).read(problem, limit + 1, place)
        last = found[limit - 1] if len(found) > limit else None
        return answers.Events(
            problem=problem,
            events=[
                answers.Event(**each.model_dump(exclude={"key", "link"}), link=as_link(each.link))
                for each in found[:limit]
            ],
            next_before=last and f"{last.moment_utc.isoformat()}{BETWEEN}{last.key}",
        )

    return await read_recent(asked, problem, ("events", place, limit), read)


def _read_place(before: str) -> tuple[datetime, str] | None:
    if not before:
        return None
    moment, _, key = before.partition(BETWEEN)
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        what = f"query.before: found {before!r}, needs `next_before` as an earlier answer gave it"
        raise Refusal(422, ErrorCode.INVALID_REQUEST, what)
    return found, key


def _rank(alert: Alert) -> tuple[bool, float]:
    return alert.severity is not AlertSeverity.CRITICAL, -alert.raised_at_utc.timestamp()


def _is_open(action: Action) -> bool:
    return action.state in {ActionState.DUE, ActionState.RUNNING}


def _show_alert(alert: Alert) -> answers.OpenAlert:
    return answers.OpenAlert(
        **alert.model_dump(include=set(answers.OpenAlert.model_fields) - {"link"}), link=as_link(alert.link)
    )


def _show_action(action: Action) -> answers.OpenAction:
    return answers.OpenAction(**action.model_dump(include=set(answers.OpenAction.model_fields)))


def _show_look(look: Look) -> answers.LastLook:
    found = look.summary
    return answers.LastLook(
        as_of_utc=look.as_of_utc,
        looked_at_utc=look.looked_at_utc,
        model_version=look.model_version,
        window=found and _show_window(found),
        refused_ratio=found and as_known(found.refused_ratio),
        duplicated_ratio=found and as_known(found.duplicated_ratio),
        n_tests=found.n_tests if found else 0,
        n_drifted=found.n_drifted if found else 0,
        drift_excess={measure: as_known(value) for measure, value in found.drift_excess.items()} if found else {},
        skill_excess=found and _measure_skill(found),
        cooldown_days=found.cooldown_days if found else 0,
        conditions=[
            answers.FoundCondition(aspect=ASPECTS[each.finding], **each.model_dump(exclude={"figures"}))
            for each in (found.conditions if found else ())
        ],
        n_conditions=found.n_conditions if found else 0,
    )


def _show_window(found: DaySummary) -> answers.WindowFigures:
    figures = found.overall
    return answers.WindowFigures(
        n_judged=figures.n_judged,
        n_due=found.n_due,
        late_ratio=as_known(found.late_ratio),
        skill_ratio=as_known(figures.skill_ratio),
        coverage_80_ratio=as_known(figures.coverage_80_ratio),
        coverage_95_ratio=as_known(figures.coverage_95_ratio),
        mase=as_known(figures.mase),
    )


def _measure_skill(found: DaySummary) -> float | None:
    return as_known(found.skill_statistic / found.skill_threshold)


def _draw_looks(looks: list[Look]) -> answers.HealthCurve:
    kept = [(look, look.summary) for look in looks if look.summary is not None]
    return answers.HealthCurve(
        as_of_utc=[look.as_of_utc for look, _ in kept],
        model_version=[look.model_version for look, _ in kept],
        worst={aspect: [found.severity_of(aspect) for _, found in kept] for aspect in Aspect},
        skill_excess=[_measure_skill(found) for _, found in kept],
        drift_excess=[
            max((each for each in found.drift_excess.values() if math.isfinite(each)), default=None)
            for _, found in kept
        ],
        skill_ratio=[as_known(found.overall.skill_ratio) for _, found in kept],
        coverage_80_ratio=[as_known(found.overall.coverage_80_ratio) for _, found in kept],
        coverage_95_ratio=[as_known(found.overall.coverage_95_ratio) for _, found in kept],
    )


def _link_look(settings: Settings, database: Database, problem: str, look: Look) -> str | None:
    """The run of a look in Evidently, or its project where there is no such run."""
    if settings.evidently_url is None:
        return None
    project = f"{settings.evidently_url}/projects/{identify_project(problem)}"
    run = find_run(database, problem, look.as_of_utc)
    return project if run is None else f"{project}/reports/{run}"
