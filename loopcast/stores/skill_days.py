"""The skill CUSUM from day to day: what each day's monitoring made of it, by problem."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import numpy as np
from psycopg import Connection
from psycopg.rows import TupleRow

from loopcast.config import Problem
from loopcast.health.skill_cusum import SkillState, SkillWatch, renew_skill, start_skill
from loopcast.stores.database import Database

KEEP: Final = """
    INSERT INTO loopcast.skill_days (problem, as_of_utc, model_version, watch) VALUES (%s, %s, %s, %s)
    ON CONFLICT (problem, as_of_utc) DO UPDATE SET model_version = excluded.model_version, watch = excluded.watch
"""
SELECT_BEFORE: Final = """
    SELECT model_version, watch FROM loopcast.skill_days
    WHERE problem = %s AND as_of_utc < %s ORDER BY as_of_utc DESC LIMIT %s
"""
SELECT_LATER: Final = "SELECT EXISTS (SELECT FROM loopcast.skill_days WHERE problem = %s AND as_of_utc > %s)"


@dataclass(frozen=True)
class SkillDays:
    """The CUSUM in PostgreSQL, a row for each moment that was looked at.

    A look begins where the last one before it ended, and so comes to the same when it is repeated.
    """

    database: Database

    def keep(
        self, connection: Connection[TupleRow], problem: str, as_of: datetime, model_version: int, watch: SkillWatch
    ) -> None:
        """Remember what a look made of the CUSUM, in the place of an earlier look at the same moment."""
        connection.execute(KEEP, [problem, as_of, model_version, watch.model_dump_json()])

    def state_before(self, problem: Problem, as_of: datetime, model_version: int) -> SkillState:
        """The state that a look begins with: that of the look before, renewed where the champion is another."""
        with self.database.connect() as connection:
            found = connection.execute(SELECT_BEFORE, [problem.name, as_of, 1]).fetchone()
        if found is None:
            return start_skill(np.asarray(problem.quantiles))
        state = SkillWatch.model_validate_json(json.dumps(found[1])).state
        return state if found[0] == model_version else renew_skill(state)

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
