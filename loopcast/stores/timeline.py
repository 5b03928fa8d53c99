"""What happened to a problem on one line of time: decisions, actions and alerts, from the tables that keep them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from psycopg.rows import dict_row
from pydantic import BaseModel

from loopcast.evidence.record import RECORD, Moment
from loopcast.stores.database import Database

START: Final = ("infinity", "")
"""Behind the last event that there is."""
SELECT: Final = """
    SELECT * FROM (
        SELECT 'decision' AS kind, kind AS what, decided_at_utc AS moment_utc, 'd' || position AS key,
            model_version AS subject, actor, '' AS severity, '' AS link,
            coalesce(nullif(array_to_string(reasons, '; '), ''), 'By the rule ' || replace(rule, '_', ' ')) AS sentence,
            CASE WHEN champion_after IS DISTINCT FROM champion_before THEN champion_after END AS new_champion
        FROM loopcast.decisions WHERE problem = %(problem)s AND decided_at_utc <= %(moment)s
        UNION ALL
        SELECT 'action', kind || CASE kind WHEN 'cool_down' THEN '_begins' ELSE '_called_for' END, triggered_at_utc,
            'a' || position || 'a', model_version::text, '', '', '', sentence, NULL
        FROM loopcast.actions WHERE problem = %(problem)s AND triggered_at_utc <= %(moment)s
        UNION ALL
        SELECT 'action', kind || '_' || state, coalesce(ended_at_utc, started_at_utc, triggered_at_utc),
            'a' || position || 'b', model_version::text, '', '', '', outcome, NULL
        FROM loopcast.actions WHERE problem = %(problem)s AND outcome <> ''
        UNION ALL
        SELECT 'alert', 'alert_raised', raised_at_utc, 'w' || position || 'a', subject, '', severity, link, sentence,
            NULL
        FROM loopcast.alerts WHERE problem = %(problem)s AND raised_at_utc <= %(moment)s
        UNION ALL
        SELECT 'alert', 'alert_recovered', recovered_at_utc, 'w' || position || 'b', subject, '', severity, link,
            sentence, NULL
        FROM loopcast.alerts WHERE problem = %(problem)s AND recovered_at_utc <= %(moment)s
    ) AS happened
    WHERE (moment_utc, key) < (%(moment)s, %(key)s)
    ORDER BY moment_utc DESC, key DESC LIMIT %(limit)s
"""


class EventKind(StrEnum):
    """Which table it comes from."""

    DECISION = "decision"
    ACTION = "action"
    ALERT = "alert"


class Happening(BaseModel):
    """Something that happened, in a sentence."""

    model_config = RECORD

    moment_utc: Moment
    """Of an alert the moment of the data in which it was found, of all else that of the clock."""
    key: str
    """Orders events of one moment."""
    kind: EventKind
    what: str
    """In snake case: `promotion`, `retrain_called_for`, `alert_raised`."""
    sentence: str
    subject: str
    """What it is about: a model version, a series, a workflow; empty for the problem."""
    actor: str
    """Who decided; empty where nobody did."""
    severity: str
    """Of an alert, else empty."""
    link: str
    """Where to look: an address, or a path on the machine that looked; empty for nowhere."""
    new_champion: str | None
    """The version that came into service, where another did."""


@dataclass(frozen=True)
class Timeline:
    """Events in PostgreSQL."""

    database: Database

    def read(self, problem: str, limit: int, before: tuple[datetime, str] | None = None) -> list[Happening]:
        """The last events of a problem, the latest first.

        Args:
            before: Moment and key of an event: only what lies before it.
        """
        moment, key = before or START
        asked = {"problem": problem, "limit": limit, "moment": moment, "key": key}
        with self.database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [Happening.model_validate(row) for row in cursor.execute(SELECT, asked)]
