"""A day's monitoring on the stores: what came in, what it is judged by, and what is remembered of it.

How a day is judged stands in `health.day`, what people are told in `alerts`, who acts in `action_log`.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pandas as pd
from pydantic import BaseModel

from loopcast.config import Problem
from loopcast.errors import ProblemError, StoreError
from loopcast.evidence.record import RECORD, Moment
from loopcast.health.condition import Condition, Finding
from loopcast.health.day import DayJudgement, DayMaterial, begin_window, end_of_days, judge_day
from loopcast.health.histogram import Bins
from loopcast.health.quality import Intake
from loopcast.health.steps import Column
from loopcast.refusals import COPIES, Ingest, find_refusal
from loopcast.stores.action_log import ActionLog
from loopcast.stores.actions import find_actions
from loopcast.stores.artifacts import record_snapshot
from loopcast.stores.profiles import read_profile
from loopcast.stores.rollups import RollUpStore
from loopcast.stores.shadow import begin_next_day, read_shadow
from loopcast.stores.skill_days import SkillDays, is_last_look

if TYPE_CHECKING:
    from loopcast.stores.model_version import ModelVersion
    from loopcast.stores.opened import Stores

NEWEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the newest step of the data, where a moment cannot be left out."""
CLOCKS_DIFFER: Final = timedelta(minutes=10)
"""Between who asks and who looks."""
EMPTY: Final = {"series_id": "str", "timestamp_utc": "datetime64[us, UTC]", "target": "float64", "is_filled": "bool"}
"""Columns of a panel without a row."""

log = logging.getLogger(__name__)


class TakenIn(BaseModel):
    """What came in for a day."""

    model_config = RECORD

    snapshot_sha256: str
    """Of the panel as it came, perhaps without a row."""
    last_utc: Moment | None
    """Its last observed step."""
    intake: Intake
    refusal: str = ""
    """Why nothing of it is an actual or a model's history; empty where it is."""


class JudgedDay(BaseModel):
    """What a day's monitoring found."""

    model_config = RECORD

    problem: str
    as_of: Moment
    model_version: int | None
    """The champion that was judged, None for none."""
    judgement: DayJudgement | None
    """None without a champion."""
    conditions: tuple[Condition, ...]
    """All that is not as it should be."""


class MonitoringOutcome(BaseModel):
    """What a day's monitoring led to."""

    model_config = RECORD

    problem: str
    as_of: Moment
    model_version: int | None
    findings: tuple[str, ...]
    """Keys of the conditions."""
    action: str
    """What was done, in a sentence; empty for nothing."""
    report: str
    """Path of the page; empty where it is kept elsewhere, or there is none."""


def take_in(stores: "Stores", problem: Problem, ingest: Ingest | str, ingest_id: str) -> TakenIn:
    """Keep what a source gave: as a snapshot and as actuals, unless it is refused as a whole.

    Args:
        ingest: Or why the source could not be read.
        ingest_id: Under which refused rows are kept.
    """
    if isinstance(ingest, str):
        empty = pd.DataFrame(columns=list(EMPTY)).astype(EMPTY)
        return TakenIn(
            snapshot_sha256=stores.artifacts.put_snapshot(empty), last_utc=None, intake=Intake(), refusal=ingest
        )
    stores.quarantine.keep(problem.name, ingest_id, ingest.quarantine)
    panel, refusal = ingest.panel, find_refusal(ingest, problem)
    sha256 = stores.artifacts.put_snapshot(panel)
    if not refusal:
        record_snapshot(stores.database, problem.name, sha256, stores.artifacts.snapshot_url(sha256), panel)
        stores.actuals.record(problem.name, panel)
    observed = panel.loc[~panel["is_filled"], "timestamp_utc"]
    n_duplicated = int(ingest.quarantine["reason"].isin(list(COPIES)).sum())
    return TakenIn(
        snapshot_sha256=sha256,
        last_utc=observed.max().to_pydatetime() if len(observed) else None,
        intake=Intake(n_rows=ingest.n_rows, n_refused=ingest.n_refused, n_duplicated=n_duplicated),
        refusal=refusal,
    )


def judge(stores: "Stores", problem: Problem, taken: TakenIn, as_of: datetime = NEWEST) -> JudgedDay:
    """Judge the champion of a moment on all that is stored, and remember what the day came to.

    Again at the same moment, the same champion is judged, whatever the first look has put in its place.

    Args:
        as_of: `NEWEST` for the newest step.

    Raises:
        ProblemError: The moment is still to come.
    """
    if as_of > datetime.now(UTC) + CLOCKS_DIFFER:
        raise ProblemError(
            f"{problem.name}: {as_of:%Y-%m-%d %H:%M} lies in the future; looked at now, it would keep every day until "
            "then from being acted on; name a moment that is over, or none for the newest step"
        )
    moment = (taken.last_utc or datetime.now(UTC)) if as_of == NEWEST else as_of.astimezone(UTC)
    acted_on = ActionLog(stores.database).judged_version(problem.name, moment)
    version = (
        stores.registry.champion(problem.name) if acted_on is None else stores.registry.version(problem.name, acted_on)
    )
    if version is None:
        sentence = f"{problem.name} has no champion, so that nothing is forecast; train one, and see what the gate says"
        conditions = (Condition(finding=Finding.NO_CHAMPION, sentence=sentence),)
        return JudgedDay(problem=problem.name, as_of=moment, model_version=None, judgement=None, conditions=conditions)
    material = read_material(stores, problem, version, taken, moment)
    judgement = _tell_refusal(taken, judge_day(material, problem.monitoring))
    keep_judgement(stores, problem, version.version, moment, judgement)
    return JudgedDay(
        problem=problem.name,
        as_of=moment,
        model_version=version.version,
        judgement=judgement,
        conditions=judgement.verdict.conditions,
    )


def read_material(
    stores: "Stores", problem: Problem, version: "ModelVersion", taken: TakenIn, as_of: datetime
) -> DayMaterial:
    """What a day is judged by; the roll-ups are brought up to date before."""
    limits = problem.monitoring
    profile = read_profile(stores.registry, stores.artifacts, version, limits)
    rollups = RollUpStore(stores.database)
    rollups.roll_up_new(problem, _EdgesOf(stores, problem))
    panel = stores.artifacts.get_snapshot(taken.snapshot_sha256)
    skill = SkillDays(stores.database).state_before(problem, as_of, version.version)
    window = begin_window(as_of, problem, limits)
    last_fed = window if skill.last_day is None else pd.Timestamp(skill.last_day, tz="UTC")
    # Its training data say nothing of how it does in service.
    since = max(min(window, last_fed), begin_next_day(version.trained_until_utc))
    until = end_of_days(as_of, problem) + problem.horizon * problem.offset + pd.Timedelta(days=1)
    return DayMaterial(
        problem=problem,
        as_of=as_of,
        profile=profile,
        panel=panel,
        intake=taken.intake,
        # Twice the window: where steps are missing, a window of observed ones is longer than one of the calendar.
        tracks=rollups.read_tracks(
            problem.name, version.version, (window - (pd.Timestamp(as_of) - window)).to_pydatetime(),
            (pd.Timestamp(as_of) + pd.Timedelta(microseconds=1)).to_pydatetime(),
        ),
        sums=rollups.read_sums(problem.name, version.version, since.to_pydatetime(), until.to_pydatetime()),
        skill=skill,
        shadow=read_shadow(stores, problem, version, panel, as_of),
    )  # fmt: skip


def keep_judgement(stores: "Stores", problem: Problem, version: int, as_of: datetime, judgement: DayJudgement) -> None:
    """Remember what the day came to, and what it calls for; a look before the last one calls for nothing."""
    actions = ActionLog(stores.database)
    now = datetime.now(UTC)
    with actions.lock(problem.name) as lock:
        SkillDays(stores.database).keep(lock, problem.name, as_of, version, judgement)
        if is_last_look(lock, problem.name, as_of):
            found = list(find_actions(judgement, problem.name, version, as_of, now))
            actions.record(lock, problem.name, found, judgement.skill.state.cooldown_days, now)


class _EdgesOf:
    """The edges of a version's columns from its profile; none for a version that cannot be had any more."""

    def __init__(self, stores: "Stores", problem: Problem) -> None:
        self._stores, self._problem = stores, problem

    def __call__(self, number: int) -> Mapping[Column, Bins]:
        try:
            version = self._stores.registry.version(self._problem.name, number)
            profile = read_profile(self._stores.registry, self._stores.artifacts, version, self._problem.monitoring)
        except StoreError as exc:
            log.warning("%s: version %d has no profile, and so no histograms: %s", self._problem.name, number, exc)
            return {}
        return profile.bins()


def _tell_refusal(taken: TakenIn, judgement: DayJudgement) -> DayJudgement:
    """The judgement, with a condition for data that were refused as a whole where no other says so."""
    verdict = judgement.verdict
    told = {each.finding for each in verdict.conditions}
    if not taken.refusal or told & {Finding.NO_DATA, Finding.REFUSED_ROWS}:
        return judgement
    refused = Condition(finding=Finding.DATA_REFUSED, sentence=" ".join(taken.refusal.split()))
    changes = {"is_alerting": True, "conditions": (refused, *verdict.conditions)}
    return judgement.model_copy(update={"verdict": verdict.model_copy(update=changes)})
