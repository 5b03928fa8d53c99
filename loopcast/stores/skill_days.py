"""What each look of monitoring remembers, by problem: the skill CUSUM, and what the day came to."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import numpy as np
from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from pydantic import BaseModel

from loopcast.config import Problem
from loopcast.evidence.record import RECORD, Moment
from loopcast.health.day import DayJudgement
from loopcast.health.day_summary import DaySummary, summarize_judgement
from loopcast.health.skill_cusum import SkillState, SkillWatch, renew_skill, start_skill
from loopcast.stores.database import Database

KEEP: Final = """
    INSERT INTO loopcast.skill_days (problem, as_of_utc, model_version, watch, summary) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (problem, as_of_utc) DO UPDATE SET model_version = excluded.model_version, watch = excluded.watch,
        summary = excluded.summary, looked_at_utc = excluded.looked_at_utc
"""
SELECT_BEFORE: Final = """
    SELECT model_version, watch FROM loopcast.skill_days
    WHERE problem = %s AND as_of_utc < %s ORDER BY as_of_utc DESC LIMIT %s
"""
SELECT_LAST: Final = """
    SELECT as_of_utc, model_version, looked_at_utc, summary FROM loopcast.skill_days
    WHERE problem = %s ORDER BY as_of_utc DESC LIMIT %s
"""
SELECT_LATER: Final = "SELECT EXISTS (SELECT FROM loopcast.skill_days WHERE problem = %s AND as_of_utc > %s)"


class Look(BaseModel):
    """What monitoring found at one moment."""

    model_config = RECORD

    as_of_utc: Moment
    model_version: int
    """The champion that was judged."""
    looked_at_utc: Moment | None
    """By the clock; None, like the summary, for a look that was made before either was kept."""
    summary: DaySummary | None


@dataclass(frozen=True)
class SkillDays:
    """Looks in PostgreSQL, a row for each moment that was looked at.

    A look begins where the last one before it ended, and so comes to the same when it is repeated.
    """

    database: Database

    def keep(
        self,
        connection: Connection[TupleRow],
        problem: str,
        as_of: datetime,
        model_version: int,
        judgement: DayJudgement,
    ) -> None:
        """Remember what a look came to, in the place of an earlier look at the same moment."""
        summary = summarize_judgement(judgement).model_dump_json()
        connection.execute(KEEP, [problem, as_of, model_version, judgement.skill.model_dump_json(), summary])

    def history(self, problem: str, limit: int) -> list[Look]:
        """The last looks at a problem, the latest first."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [Look.model_validate(row) for row in cursor.execute(SELECT_LAST, [problem, limit])]

    def state_before(self, problem: Problem, as_of: datetime, model_version: int) -> SkillState:
        """The state that a look begins with: that of the look before, renewed where the champion is another."""
        with self.database.connect() as connection:
            found = connection.execute(SELECT_BEFORE, [problem.name, as_of, 1]).fetchone()
        if found is None:
            return start_skill(np.asarray(problem.quantiles))
        state = SkillWatch.model_validate_json(json.dumps(found[1])).state
        return state if found[0] == model_version else renew_skill(state)

    def last_state(self, problem: str, model_version: int) -> SkillState | None:
        """The state after the last look of all; None where that was at another champion, or there was none."""
        with self.database.connect() as connection:
            found = connection.execute(SELECT_BEFORE, [problem, "infinity", 1]).fetchone()
        if found is None or found[0] != model_version:
            return None
        return SkillWatch.model_validate_json(json.dumps(found[1])).state

    def read_trace(self, problem: str, as_of: datetime, watch: SkillWatch, n_days: int) -> SkillWatch:
        """A look's watch with the days of earlier looks before its own, for drawing: so many days at most."""
        with self.database.connect() as connection:
            found = connection.execute(SELECT_BEFORE, [problem, as_of, n_days]).fetchall()
        earlier = [SkillWatch.model_validate_json(json.dumps(each)) for _, each in reversed(found)]
        statistics: dict[date, float] = {}
        for each in (*earlier, watch):
            statistics |= dict(zip(each.days, each.statistics, strict=True))
        days = sorted(statistics)[-n_days:]
        triggers = {day for each in (*earlier, watch) for day in each.triggers if day in statistics}
        return watch.model_copy(
            update={
                "days": tuple(days),
                "statistics": tuple(statistics[day] for day in days),
                "triggers": tuple(sorted(triggers & set(days))),
            }
        )


def is_last_look(connection: Connection[TupleRow], problem: str, as_of: datetime) -> bool:
    """Whether no later moment was looked at."""
    found = connection.execute(SELECT_LATER, [problem, as_of]).fetchone()
    return found is not None and not found[0]
