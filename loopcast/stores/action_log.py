"""Actions in PostgreSQL: of each kind one is open at a time, and whoever acts holds it.

So monitors that run at once train once, and one that died leaves its action to the next.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import Json

from loopcast.stores.actions import MAX_ATTEMPTS, Action, ActionKind, ActionState
from loopcast.stores.database import Database
from loopcast.stores.decisions import DecisionKind, DecisionStore

COLUMNS: Final = tuple(Action.model_fields)
NAMES: Final = ", ".join(COLUMNS)
INSERT: Final = (
    f"INSERT INTO loopcast.actions ({NAMES}) VALUES ({', '.join(f'%({name})s' for name in COLUMNS)}) "  # noqa: S608
    "ON CONFLICT DO NOTHING"
)
UPDATE: Final = """
    UPDATE loopcast.actions SET state = %(state)s, figures = %(figures)s, n_attempts = %(n_attempts)s,
        holder = %(holder)s, process = %(process)s, lease_until_utc = %(lease_until_utc)s,
        started_at_utc = %(started_at_utc)s, ended_at_utc = %(ended_at_utc)s, outcome = %(outcome)s
    WHERE id = %(id)s
"""
SELECT_OPEN: Final = f"""
    SELECT {NAMES} FROM loopcast.actions
    WHERE problem = %s AND kind = ANY(%s) AND state IN ('due', 'running') ORDER BY kind DESC, position
"""  # noqa: S608  a rollback is more urgent than a training
SELECT_HISTORY: Final = f"SELECT {NAMES} FROM loopcast.actions WHERE problem = %s ORDER BY position DESC LIMIT %s"  # noqa: S608
SELECT_JUDGED: Final = """
    SELECT model_version FROM loopcast.actions WHERE problem = %s AND as_of_utc = %s AND kind = ANY(%s)
"""
TO_DO: Final = (ActionKind.ROLL_BACK, ActionKind.RETRAIN)
"""Kinds that somebody has to act on."""
JUDGED: Final = (DecisionKind.PROMOTION, DecisionKind.REJECTION)
"""Decisions that end a training."""


@dataclass(frozen=True)
class ActionLog:
    """What monitoring has done, by problem."""

    database: Database

    def lock(self, problem: str) -> AbstractContextManager[Connection[TupleRow]]:
        """While the block runs nobody else changes an action of the problem; the connection holds the lock."""
        return self.database.locked(f"actions/{problem}")

    def record(
        self, lock: Connection[TupleRow], problem: str, found: Sequence[Action], cooldown_days: int, at_utc: datetime
    ) -> None:
        """Write down what a day called for; found again, or while another of its kind is open, it changes nothing.

        Args:
            lock: The connection that holds it.
            cooldown_days: Judged days that are left of a cool-down; at 0 it is over.
        """
        begun = {each.day for each in found if each.kind is ActionKind.COOL_DOWN}
        for action in _read_open(lock, problem, [ActionKind.COOL_DOWN]):
            if cooldown_days == 0 or begun - {action.day}:
                changed = action.end(ActionState.DONE, "It is over", at_utc)
            else:
                changed = action.model_copy(update={"figures": {"days_left": float(cooldown_days)}})
            lock.execute(UPDATE, _row(changed))
        for action in found:
            lock.execute(INSERT, _row(action))

    def claim(self, problem: str, champion: int | None, holder: str, process: str, at_utc: datetime) -> Action | None:
        """The action that the run is to carry out now, None for none; asked again, the run is given the same.

        What nobody has to do any more is ended on the way, and so is what failed too often.

        Args:
            champion: The version in service, None for none.
            holder, process: Of the run, as `Action` has them.
        """
        with self.lock(problem) as lock:
            actions = _read_open(lock, problem, TO_DO)
            for action in actions:
                if action.state is ActionState.RUNNING and action.holder == holder:
                    return action
            if any(action.is_held(at_utc) for action in actions):
                return None
            for action in actions:
                ended = self._end_obsolete(action, champion, at_utc)
                if ended is None:
                    begun = action.begin(holder, process, at_utc)
                    lock.execute(UPDATE, _row(begun))
                    return begun
                lock.execute(UPDATE, _row(ended))
        return None

    def finish(self, claimed: Action, state: ActionState, outcome: str, at_utc: datetime) -> None:
        """Write down how a claimed action ended; one that another run has taken over stays as it is."""
        with self.lock(claimed.problem) as lock:
            for action in _read_open(lock, claimed.problem, [claimed.kind]):
                if action.id == claimed.id and action.holder == claimed.holder:
                    lock.execute(UPDATE, _row(action.end(state, outcome, at_utc)))

    def release(self, problem: str, holder: str, process: str, why: str, at_utc: datetime) -> None:
        """Let go of what a run held that failed: by its execution, or without one by its process."""
        with self.lock(problem) as lock:
            for action in _read_held(lock, problem, holder, process):
                lock.execute(UPDATE, _row(action.give_up(why, at_utc)))

    def held(self, problem: str, holder: str, process: str) -> list[Action]:
        """What a run holds: by its execution, or without one by its process."""
        with self.lock(problem) as lock:
            return _read_held(lock, problem, holder, process)

    def judged_version(self, problem: str, as_of: datetime) -> int | None:
        """The champion against which a look at this very moment called for something, None where it did not."""
        with self.database.connect() as connection:
            found = connection.execute(SELECT_JUDGED, [problem, as_of, list(TO_DO)]).fetchone()
        return None if found is None else int(found[0])

    def history(self, problem: str, limit: int | None = 100) -> list[Action]:
        """The last actions of a problem, the latest first."""
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [Action.model_validate(row) for row in cursor.execute(SELECT_HISTORY, [problem, limit])]

    def _end_obsolete(self, action: Action, champion: int | None, at_utc: datetime) -> Action | None:
        """The action ended, where nobody has to do it any more; None where it is to be done."""
        if action.n_attempts >= MAX_ATTEMPTS:
            return action.end(ActionState.FAILED, f"{action.outcome or 'Its run ended without a word'}", at_utc)
        if action.kind is ActionKind.RETRAIN:
            since_utc = action.started_at_utc or action.triggered_at_utc
            for decision in DecisionStore(self.database).history(action.problem):
                if decision.kind in JUDGED and decision.decided_at_utc >= since_utc:
                    outcome = f"Version {decision.model_version} was trained and judged: {decision.kind}"
                    state = ActionState.DONE if action.state is ActionState.RUNNING else ActionState.OBSOLETE
                    return action.end(state, outcome, at_utc)
            if champion != action.model_version:
                return action.end(ActionState.OBSOLETE, f"Version {champion} is in service by now", at_utc)
        return None


def _read_open(lock: Connection[TupleRow], problem: str, kinds: Sequence[ActionKind]) -> list[Action]:
    with lock.cursor(row_factory=dict_row) as cursor:
        return [Action.model_validate(row) for row in cursor.execute(SELECT_OPEN, [problem, list(kinds)])]


def _read_held(lock: Connection[TupleRow], problem: str, holder: str, process: str) -> list[Action]:
    return [
        action
        for action in _read_open(lock, problem, TO_DO)
        if action.state is ActionState.RUNNING and (action.process == process if process else action.holder == holder)
    ]


def _row(action: Action) -> dict[str, object]:
    row: dict[str, object] = json.loads(action.model_dump_json())
    return row | {"figures": Json(row["figures"])}
