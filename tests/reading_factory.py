"""A problem's past in PostgreSQL, for tests of what is read of it: forecasts, actuals, roll-ups, decisions, looks."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.evidence.gate import Rule
from loopcast.health.day import DayJudgement
from loopcast.stores.action_log import ActionLog
from loopcast.stores.actions import Action, ActionKind
from loopcast.stores.actuals import ActualStore
from loopcast.stores.alerts import AlertStore
from loopcast.stores.conditions import AlertSeverity, Condition
from loopcast.stores.database import Database
from loopcast.stores.decisions import Decision, DecisionKind, DecisionStore
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.model_versions import ModelVersionStore, VersionRecord
from loopcast.stores.outbox import Outbox
from loopcast.stores.rollups import RollUpStore
from loopcast.stores.skill_days import SkillDays
from tests.account_of_monitoring import make_account
from tests.forecast_factory import make_stored
from tests.panels import make_panel_problem

START = "2024-03-04"
NOW = datetime(2024, 6, 3, 22, tzinfo=UTC)


@dataclass(frozen=True)
class Past:
    """What was done about a problem, step by step."""

    database: Database
    problem: Problem

    @property
    def name(self) -> str:
        """Of the problem."""
        return self.problem.name

    def register(self, version: int = 3, trained_until: str = "2024-03-01", **changes) -> VersionRecord:
        """A trained version."""
        fields = {
            "problem": self.name,
            "version": version,
            "candidate": "lstm",
            "run_id": "4f6c",
            "weights_sha256": "ab" * 32,
            "snapshot_sha256": "5a" * 32,
            "git_commit": "c0ffee",
            "is_git_dirty": False,
            "execution_id": "a1b2c3",
            "execution_url": "https://flyte.example.org/a1b2c3",
            "transform": self.problem.transform,
            "quantile_levels": self.problem.quantiles,
            "trained_until_utc": datetime.fromisoformat(trained_until).replace(tzinfo=UTC),
            "registered_at_utc": NOW,
        } | changes
        record = VersionRecord.model_validate(fields)
        ModelVersionStore(self.database).record(record)
        return record

    def forecast(self, n_days: int, version: int = 3, series: tuple[str, ...] = ("S0",), **changes) -> None:
        """Forecasts from each of some days."""
        defaults = {"start": START, "horizon": self.problem.horizon, "n_quantiles": len(self.problem.quantiles)}
        self._write(make_stored(n_days, problem=self.name, model_version=version, series=series, **defaults | changes))

    def _write(self, forecasts) -> None:
        ForecastStore(self.database).write(forecasts)

    def observe(self, n_days: int, series: tuple[str, ...] = ("S0",)) -> None:
        """What came true on the first days, at and around 100."""
        days = pd.date_range(START, periods=n_days, tz="UTC").astype("datetime64[us, UTC]")
        wave = 100 + np.sin(np.arange(n_days * len(series)))
        ActualStore(self.database).record(
            self.name,
            pd.DataFrame(
                {
                    "series_id": np.repeat(series, n_days),
                    "timestamp_utc": np.tile(days, len(series)),
                    "target": wave,
                    "is_filled": False,
                }
            ),
        )

    def roll_up(self) -> None:
        """As monitoring does it first."""
        RollUpStore(self.database).roll_up_new(self.problem, lambda _: {})

    def decide(self, kind: DecisionKind, version: int, before: int | None, after: int | None, **changes) -> Decision:
        """A decision."""
        fields = {
            "rule": Rule.FIRST_MODEL,
            "reasons": (),
            "figures": {"gain_vs_random_walk_ratio": 0.07, "p_vs_random_walk": 0.0001, "coverage_80_ratio": 0.79},
            "actor": "ada",
            "decided_at_utc": NOW,
        } | changes
        decision = Decision(
            problem=self.name,
            kind=kind,
            model_version=str(version),
            champion_before=before and str(before),
            champion_after=after and str(after),
            **fields,
        )
        DecisionStore(self.database).record(decision)
        return decision

    def look(self, as_of: datetime, version: int = 3, *, bias: float = 0.0) -> None:
        """A look of monitoring, at simulated data."""
        account = make_account(bias=bias)
        judgement = DayJudgement(
            quality=account.quality,
            drift=account.drift,
            performance=account.performance,
            skill=account.skill,
            shadow=None,
            verdict=account.verdict,
        )
        with self.database.connect() as connection:
            SkillDays(self.database).keep(connection, self.name, as_of, version, judgement)

    def alert(
        self, at_utc: datetime, *kinds: str, severity: AlertSeverity = AlertSeverity.WARNING, link: str = ""
    ) -> None:
        """What a scope finds wrong; what it does not name has recovered."""
        conditions = [
            Condition(kind=kind, subject="S0", severity=severity, sentence=f"{kind} of S0", link=link) for kind in kinds
        ]
        AlertStore(self.database, Outbox(self.database, (), 1.0)).update(self.name, "monitoring", conditions, at_utc)

    def call_for(self, kind: ActionKind, at_utc: datetime) -> None:
        """Something that a day called for."""
        action = Action(
            problem=self.name, kind=kind, model_version=3, day=at_utc.date(), as_of_utc=at_utc,
            sentence="Skill was lost", triggered_at_utc=at_utc,
        )  # fmt: skip
        log = ActionLog(self.database)
        with log.lock(self.name) as lock:
            log.record(lock, self.name, [action], 0, at_utc)


def make_past(database: Database, name: str) -> Past:
    """A problem of a test's own, with nothing done yet."""
    return Past(database, make_panel_problem(name=name))


def later(days: float) -> datetime:
    """So many days after `NOW`."""
    return NOW + timedelta(days=days)
