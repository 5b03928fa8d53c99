"""What monitoring remembers of its looks, the run of a day in Evidently, and what is known of a snapshot."""

from datetime import UTC, datetime

import pandas as pd
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine

from loopcast.health.condition import Severity
from loopcast.health.day_summary import Aspect
from loopcast.settings import Settings
from loopcast.stores.artifacts import record_snapshot
from loopcast.stores.database import MIGRATIONS, Database, open_database
from loopcast.stores.evidently_project import EvidentlyStore, find_run
from loopcast.stores.skill_days import SkillDays
from loopcast.stores.snapshots import SnapshotStore
from tests.account_of_monitoring import make_account
from tests.integration.clients import wait_until
from tests.panels import make_panel
from tests.reading_factory import later, make_past


def test_looks_are_told_the_latest_first(database, name):
    """With what they came to; a second look at one moment takes the place of the first."""
    past = make_past(database, name)
    past.look(later(1), bias=2.0)
    past.look(later(0))
    past.look(later(1))

    found = SkillDays(database).history(name, 10)

    assert [each.as_of_utc for each in found] == [later(1), later(0)]
    assert [each.summary.severity_of(Aspect.SKILL) for each in found] == [None, None]
    assert SkillDays(database).history(name, 1) == found[:1]
    assert (datetime.now(UTC) - found[0].looked_at_utc).total_seconds() < 60


def test_a_look_says_what_was_wrong(database, name):
    """By aspect, as the strip of days shows it."""
    past = make_past(database, name)
    past.look(later(0), bias=2.0)

    (found,) = SkillDays(database).history(name, 10)

    assert found.summary.severity_of(Aspect.SKILL) is Severity.ALERT
    assert found.summary.n_conditions == len(found.summary.conditions)


def test_a_look_of_before_figures_were_kept_is_a_look(database, name):
    """It has no figures; when it was made is not known either."""
    make_past(database, name).look(later(0))
    with database.connect() as connection:
        connection.execute(
            "UPDATE loopcast.skill_days SET summary = NULL, looked_at_utc = NULL WHERE problem = %s", [name]
        )

    (found,) = SkillDays(database).history(name, 10)

    assert (found.as_of_utc, found.summary, found.looked_at_utc) == (later(0), None, None)


@pytest.mark.slow
def test_the_run_of_a_day_is_found_by_its_moment(database, name):
    """None for a day without one."""
    account = make_account()
    kept = EvidentlyStore(database).keep_run(
        account.__class__(**vars(account) | {"problem": account.problem.model_copy(update={"name": name})})
    )

    assert find_run(database, name, account.as_of) == kept
    assert find_run(database, name, later(9999)) is None


def test_what_is_known_of_a_snapshot_is_found(database, name):
    """Its rows, series and range; nothing of one that another problem uses."""
    panel = make_panel(n_series=2, n_steps=30)
    record_snapshot(database, name, "5a" * 32, "s3://bucket/5a.parquet", panel)

    found = SnapshotStore(database).find(name, "5a" * 32)

    assert (found.url, found.n_rows, found.n_series) == ("s3://bucket/5a.parquet", 60, 2)
    assert pd.Timestamp(found.last_utc) == panel["timestamp_utc"].max()
    assert SnapshotStore(database).find(f"{name}_", "5a" * 32) is None


def test_after_the_upgrade_every_day_is_counted_again(home):
    """So that persistence's error is there of all days whose forecasts are."""
    database = open_database_at(Settings(home=home), "0008")
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO loopcast.step_sums VALUES ('p', '2024-03-05Z', 1, 'S0', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0)"
        )

    open_database(Settings(home=home))

    with database.connect() as connection:
        due = connection.execute("SELECT problem, day_utc FROM loopcast.rollup_days_due").fetchall()
        known = connection.execute("SELECT persistence_error FROM loopcast.step_sums").fetchall()
    assert due == [("p", datetime(2024, 3, 5, tzinfo=UTC))]
    assert known == [(None,)]


def open_database_at(settings: Settings, revision: str) -> Database:
    """A database whose tables are as they were at a revision."""
    from loopcast.stores.database import locate_database

    database = locate_database(settings)
    wait_until(lambda: database.open_connection().close() is None)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine("postgresql+psycopg://", creator=database.open_connection, poolclass=NullPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return database
