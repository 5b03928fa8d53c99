"""The report of a day's monitoring: drawn up from the stores, and written to the work folder and to Evidently."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from loopcast.config import Problem
from loopcast.health.day import DayJudgement, begin_window, end_of_days
from loopcast.health.report import render_monitoring
from loopcast.health.report_account import Event, MonitoringAccount, pair_columns
from loopcast.stores.evidently_project import EvidentlyStore
from loopcast.stores.monitoring import JudgedDay
from loopcast.stores.profiles import read_profile
from loopcast.stores.rollups import RollUpStore
from loopcast.stores.skill_days import SkillDays
from loopcast.stores.timeline import EventKind, Happening, Timeline

if TYPE_CHECKING:
    from loopcast.stores.opened import Stores

DRAWN_DAYS: Final = 252
"""Of the skill CUSUM: a year of trading days."""
SHOWN_EVENTS: Final = 20
"""The last decisions, actions and alerts: what fits on a page."""


def write_day(stores: "Stores", problem: Problem, judged: JudgedDay, folder: Path) -> Path | None:
    """The page of a day, written in the place of one of before, and kept by Evidently; None without a champion.

    Args:
        folder: For pages of the problem; made where it is missing.
    """
    if judged.judgement is None or judged.model_version is None:
        return None
    account = draw_up_account(stores, problem, judged.model_version, judged.as_of, judged.judgement)
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{judged.as_of.astimezone(ZoneInfo(problem.time_zone)):%Y-%m-%d}.html"
    page.write_text(render_monitoring(account), encoding="utf-8")
    EvidentlyStore(stores.database).keep_run(account)
    return page


def draw_up_account(
    stores: "Stores", problem: Problem, version: int, as_of: datetime, judgement: DayJudgement
) -> MonitoringAccount:
    """All that the report of a day shows."""
    limits = problem.monitoring
    since, until = begin_window(as_of, problem, limits), end_of_days(as_of, problem)
    registered = stores.registry.version(problem.name, version)
    profile = read_profile(stores.registry, stores.artifacts, registered, limits)
    window = RollUpStore(stores.database).read_window(problem.name, since.to_pydatetime(), until.to_pydatetime())
    trained = {column: stored.restore() for column, stored in profile.columns.items()}
    skill = SkillDays(stores.database).read_trace(problem.name, as_of, judgement.skill, DRAWN_DAYS)
    return MonitoringAccount(
        problem=problem,
        limits=limits,
        model_version=version,
        as_of=as_of,
        since_utc=since.to_pydatetime(),
        quality=judgement.quality,
        drift=judgement.drift,
        performance=judgement.performance,
        skill=skill,
        shadow=judgement.shadow,
        verdict=judgement.verdict,
        columns=pair_columns(window, trained, version),
        events=tuple(list_events(stores, problem.name, SHOWN_EVENTS)),
    )


def list_events(stores: "Stores", problem: str, limit: int) -> list[Event]:
    """What was decided, done and told about a problem, the latest first."""
    return [
        Event(each.moment_utc, each.what.replace("_", " "), _tell(each))
        for each in Timeline(stores.database).read(problem, limit)
    ]


def _tell(event: Happening) -> str:
    is_decision = event.kind is EventKind.DECISION
    return f"Version {event.subject}: {event.sentence}" if is_decision else event.sentence
