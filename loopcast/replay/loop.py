"""The arm of a replay in which the loop is closed: each evening it judges, tells and acts by what was known by then."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import numpy as np
import pandas as pd
from pandera.config import config_context
from pandera.typing import DataFrame

from loopcast.config import Problem
from loopcast.contracts import Panel
from loopcast.evidence.formats import format_percent, name_candidate
from loopcast.health.condition import LINGER, LINGERING, Condition, Severity
from loopcast.health.day import DayJudgement, DayMaterial, ShadowSums, begin_window, judge_day
from loopcast.health.profile import Profile, profile_model
from loopcast.health.skill_cusum import renew_skill, start_skill
from loopcast.health.steps import Steps, measure_columns
from loopcast.health.sums import StepSums, sum_steps
from loopcast.health.watched import Track, split_tracks
from loopcast.replay.archive import View
from loopcast.replay.outcome import What
from loopcast.replay.service import Service
from loopcast.replay.versions import Version, judge_challenger, train_challenger

SPARE_DAYS: Final = 10
"""Days of forecasts before the window that are looked at too: a label may come late."""


class Loop:
    """The arm in which the loop is closed: monitored, retrained, gated and rolled back."""

    def __init__(self, service: Service, n_processes: int) -> None:
        self.service, self.n_processes = service, n_processes
        self.problem: Problem = service.archive.problem
        self.limits = self.problem.monitoring
        self.skill = start_skill(np.asarray(self.problem.quantiles))
        self.profiles: dict[int, Profile] = {}
        self.open: dict[str, Condition] = {}
        self.seen: dict[str, date] = {}
        self.cusum: list[float] = []
        self.n_trainings = 0

    def walk(self, views: list[View]) -> Iterator[View]:
        """Live through the days."""
        for day, view in enumerate(views):
            self.service.take_in(view, day)
            judgement = self.judge(view, day)
            self.cusum.append(float("nan"))
            if judgement is not None:
                self.skill = judgement.skill.state
                self.cusum[-1] = judgement.skill.statistics[-1] if judgement.skill.statistics else float("nan")
                self.tell_conditions(judgement.verdict.conditions, view)
                self.act(judgement, view, day)
            yield view

    def judge(self, view: View, day: int) -> DayJudgement | None:
        """What monitoring finds that evening; None before anything was accepted."""
        service, champion = self.service, self.service.champion
        known = service.known
        if known is None:
            return None
        steps = service.log.steps(day - self.limits.window_steps - self.problem.horizon - SPARE_DAYS, known.known)
        if steps is None:
            return None
        mine = steps.take(steps.model_version == champion.number)
        material = DayMaterial(
            problem=self.problem,
            as_of=view.as_of,
            profile=self._profile(champion, known),
            panel=_cut_panel(known, begin_window(view.as_of, self.problem, self.limits)),
            intake=view.intake,
            tracks=_tracks(steps, champion, self.problem),
            sums=_sum(mine, self.problem),
            skill=self.skill,
            shadow=self._shadow(known),
        )
        return judge_day(material, self.limits)

    def tell_conditions(self, conditions: Sequence[Condition], view: View) -> None:
        """Note the alerts that are new, and those that are over."""
        present = {each.key: each for each in conditions if each.severity is Severity.ALERT}
        for key, condition in present.items():
            if key not in self.open:
                self.service.tell(view, What.ALARM, condition.sentence, finding=condition.finding)
            self.seen[key] = view.day
        for key in self.open.keys() - present.keys():
            before = self.open[key]
            if before.finding in LINGERING and view.day - self.seen[key] < LINGER:
                present[key] = before
            else:
                self.service.tell(view, What.RECOVERED, f"Over: {before.sentence}", finding=before.finding)
        self.open = present

    def act(self, judgement: DayJudgement, view: View, day: int) -> None:
        """Roll back or train again, where the verdict asks for it."""
        service, verdict = self.service, judgement.verdict
        if verdict.needs_rollback:
            left, back = service.champion, service.versions[service.replaced[service.champion.number]]
            service.champion, service.since = back, day + 1
            sentence = f"Version {back.number} is back in service for version {left.number}"
            service.tell(view, What.ROLLED_BACK, sentence)
            self.skill = renew_skill(self.skill)
        elif verdict.needs_retraining:
            self._retrain(view, day)

    def _retrain(self, view: View, day: int) -> None:
        service = self.service
        if view.refusal is not None:
            service.tell(view, What.UNTRAINED, "Not trained: the data are refused")
            return
        number = service.next_number()
        challenger = train_challenger(view, self.problem, number, self.n_processes)
        self.n_trainings += 1
        found = judge_challenger(challenger, service.champion, view, self.problem)
        name = name_candidate(challenger.version.candidate)
        if found.is_promoted:
            service.install(challenger.version, day + 1)
            gain = format_percent(found.figures["gain_vs_champion_ratio"], sign="+")
            service.tell(view, What.PROMOTED, f"Version {number} ({name}) passes the gate: {gain} on the champion")
            self.skill = renew_skill(self.skill)
        else:
            service.versions[number] = challenger.version
            service.tell(view, What.REJECTED, f"Version {number} ({name}) does not pass: {'; '.join(found.reasons)}")

    def _profile(self, version: Version, known: View) -> Profile:
        if version.number not in self.profiles:
            self.profiles[version.number] = profile_model(version.answering, known.panel, self.problem, self.limits)
        return self.profiles[version.number]

    def _shadow(self, known: View) -> ShadowSums | None:
        """Champion and predecessor on the same origins, since the champion was put into service."""
        service = self.service
        before = service.replaced.get(service.champion.number)
        steps = service.log.steps(service.since, known.known) if before is not None else None
        if before is None or steps is None:
            return None
        other = service.log.steps(service.since, known.known, by=service.versions[before])
        assert other is not None, "it is asked from the same rows"
        return ShadowSums(_sum(steps, self.problem), _sum(other, self.problem))


def _cut_panel(known: View, begin: pd.Timestamp) -> DataFrame[Panel]:
    return known.panel[known.panel["timestamp_utc"] >= begin]


def _sum(steps: Steps, problem: Problem) -> DataFrame[StepSums]:
    """Sums that are made and read here: a look at their contract would take longer than all the rest of a day."""
    with config_context(validation_enabled=False):
        return sum_steps(steps, problem)


def _tracks(steps: Steps, champion: Version, problem: Problem) -> dict[str, Track]:
    following = steps.take(steps.horizon == 1)
    return split_tracks(following, measure_columns(following, problem), champion.number)
