"""The database opens for every form of its URL, refuses with a sentence, and lets one at a time behind a lock."""

import threading
import traceback
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import create_engine, text

from loopcast.errors import StoreError
from loopcast.settings import Settings
from loopcast.stores import database as database_module
from loopcast.stores import keeper
from loopcast.stores.database import Database, open_database
from loopcast.stores.kept_connections import keep_connections
from tests.integration.clients import wait_until

NEWEST = max(path.name[:4] for path in (database_module.MIGRATIONS / "versions").glob("[0-9]*.py"))


@pytest.fixture
def empty_url(database):
    """URL of a new database without any table, on the server that the tests share."""
    name = f"empty_{uuid4().hex}"
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield database.url.replace("/postgres?", f"/{name}?")
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}"')


def _open(url: str) -> Database:
    return open_database(Settings(database_url=url))


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_server_of_ones_own_is_used_and_migrated(empty_url, scheme):
    """LOOPCAST_DATABASE_URL may be written as libpq, Heroku and SQLAlchemy write it."""
    opened = _open(empty_url.replace("postgresql", scheme, 1))

    assert opened == Database(empty_url)
    with opened.connect() as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'loopcast' ORDER BY 1"
        ).fetchall()
    assert [name for (name,) in tables] == [
        "actions", "actual_corrections", "actuals", "alembic_version", "alert_deliveries", "alerts", "audit",
        "decisions", "forecast_hours", "forecast_lineage", "forecast_steps",
        "forecasts", "forecasts_before_1970", "forecasts_from_2100",
        "model_versions", "quarantine", "queries", "rollup_days_due", "rollup_edges", "rollup_marks", "rollups",
        "sessions", "skill_days", "snapshots", "step_sums", "step_tracks", "tokens", "uploads", "used_sign_ins",
    ]  # fmt: skip


def test_opening_again_changes_nothing(empty_url):
    """A second process finds the tables, and what is in them, as they were."""
    with _open(empty_url).connect() as connection:
        connection.execute("INSERT INTO loopcast.quarantine VALUES ('p', 'i', DEFAULT, 0, 's', 'why', '{}')")

    with _open(empty_url).connect() as connection:
        assert connection.execute("SELECT count(*) FROM loopcast.quarantine").fetchone() == (1,)


def test_sqlalchemy_reaches_the_same_database(database):
    """The other form of the URL leads to the same tables."""
    engine = create_engine(database.sqlalchemy_url)

    with engine.connect() as connection:
        revision = connection.execute(text("SELECT version_num FROM loopcast.alembic_version")).scalar_one()

    engine.dispose()
    assert revision == NEWEST


def test_tenants_do_not_meet(empty_url):
    """MLflow and Optuna each find their own table `alembic_version`, and Loopcast keeps its own."""
    database = _open(empty_url)
    for tenant in ("mlflow", "optuna"):
        engine = create_engine(database.sqlalchemy_url_for(tenant))
        with engine.begin() as connection:
            connection.execute(text(f"CREATE TABLE alembic_version AS SELECT '{tenant}' AS version_num"))
        engine.dispose()

    with database.connect() as connection:
        found = [
            connection.execute(f"SELECT version_num FROM {schema}.alembic_version").fetchall()
            for schema in ("mlflow", "optuna", "loopcast")
        ]
    assert found == [[("mlflow",)], [("optuna",)], [(NEWEST,)]]


def test_a_transaction_is_kept_whole_or_not_at_all(database):
    """An exception in the block undoes what the block wrote."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE whole (value int)")

    with pytest.raises(psycopg.errors.DivisionByZero), database.connect() as connection:
        connection.execute("INSERT INTO whole VALUES (1); SELECT 1 / 0")

    with database.connect() as connection:
        assert connection.execute("SELECT * FROM whole").fetchall() == []


@pytest.mark.parametrize("keep", [lambda database: database, keep_connections], ids=["new", "kept"])
def test_a_server_that_is_gone_at_the_end_of_a_transaction_is_told_as_one_that_is_away(database, keep):
    """Whoever waits for a database that is away waits then, too."""

    def lose() -> None:
        with keep(database).connect() as connection, database.connect() as other:
            [(pid,)] = connection.execute("SELECT pg_backend_pid()")
            other.execute("SELECT pg_terminate_backend(%s)", [pid])

    with pytest.raises(StoreError, match=r"^the database at .* went away: .*; ask again$"):
        lose()


@pytest.mark.parametrize(
    ("before", "asked", "sentence"),
    [
        ("SET TRANSACTION READ ONLY", "CREATE TABLE loopcast.nothing ()", "cannot .* in a read-only .*; let it be wri"),
        ("SET LOCAL statement_timeout = 20", "SELECT pg_sleep(60)", "due to statement timeout; ask again, or allow"),
        ("SET LOCAL lock_timeout = 20", "LOCK TABLE loopcast.alerts", "due to lock timeout; ask again, or allow"),
        ("SET LOCAL ROLE pg_monitor", "SELECT * FROM loopcast.alerts", "denied for schema loopcast; give the user"),
    ],
    ids=["standby", "statement-timeout", "lock-timeout", "lost-right"],
)
def test_a_server_that_refuses_what_is_sound_is_told_as_one_that_is_away(database, before, asked, sentence):
    """Whoever waits, answers 503 or tries again does that here too; the sentence is without the statement."""

    def ask() -> None:
        with database.connect() as holder, database.connect() as connection:
            holder.execute("LOCK TABLE loopcast.alerts IN ACCESS SHARE MODE")
            connection.execute(before)
            connection.execute(asked)

    with pytest.raises(StoreError, match=rf"^the database at .* cannot do this now: .*{sentence}.*$") as refusal:
        ask()

    assert "LINE 1" not in str(refusal.value)


def test_a_lock_lets_one_in_at_a_time(database):
    """Who comes second sees what the first one wrote."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE steps (n int)")

    def add_step() -> None:
        with database.locked("steps") as connection:
            (n,) = connection.execute("SELECT count(*) FROM steps").fetchone()
            connection.execute("SELECT pg_sleep(0.02)")
            connection.execute("INSERT INTO steps VALUES (%s)", [n])

    threads = [threading.Thread(target=add_step) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.connect() as connection:
        assert connection.execute("SELECT array_agg(n ORDER BY n) FROM steps").fetchone() == (list(range(8)),)


def test_locks_of_different_keys_do_not_wait_for_each_other(database):
    """One problem's promotion does not hold up another's."""
    with database.locked("one"), database.locked("two") as connection:
        held = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted").fetchone()

    assert held == (2,)


def test_an_embedded_server_that_was_killed_is_started_by_the_next_connection(stopped_home):
    """A process that lives on needs no restart of its own."""
    opened = open_database(Settings(home=stopped_home))
    keeper.find_postmaster(opened.embedded_folder / "data").kill()
    wait_until(lambda: keeper.find_postmaster(opened.embedded_folder / "data") is None)

    with opened.connect() as connection:
        assert connection.execute("SELECT version_num FROM loopcast.alembic_version").fetchone() == (NEWEST,)


def test_a_database_of_a_newer_loopcast_is_refused(empty_url):
    """Old code never writes into tables that it does not know."""
    with _open(empty_url).connect() as connection:
        connection.execute("UPDATE loopcast.alembic_version SET version_num = '9999'")

    with pytest.raises(StoreError, match=f"at revision 9999, this Loopcast knows up to {NEWEST}; upgrade Loopcast"):
        _open(empty_url)


def test_a_server_that_is_too_old_is_refused(database, monkeypatch):
    """The sentence names both versions."""
    monkeypatch.setattr(database_module, "MIN_SERVER_VERSION", 99)

    with pytest.raises(StoreError, match=r"found PostgreSQL 18 at .*, needs 99 or newer; upgrade the server"):
        _open(database.url)


def test_a_user_without_rights_is_told_what_is_missing(empty_url, database):
    """Migration needs a schema; the sentence says so in place of a traceback of alembic."""
    with database.connect() as connection:
        connection.execute("CREATE ROLE visitor LOGIN")

    with pytest.raises(StoreError, match=r"cannot be made: permission denied .* create schemas in this database"):
        _open(empty_url.replace("postgres@", "visitor@"))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://u:secret@h/d", "found mysql, needs postgresql://user:password@host:port/database"),
        ("u:secret@h/d", "found no scheme, needs postgresql://"),
        ("postgresql://u:secret%zz@h/d", "cannot be read; needs postgresql://"),
        (
            "postgresql://u:secret@127.0.0.1:1/d",
            "127.0.0.1:1/d does not answer: .*; start it, or correct LOOPCAST_DATA",
        ),
    ],
)
def test_a_url_that_leads_nowhere_is_refused_without_its_password(url, sentence):
    """Neither the sentence nor the traceback shows the secret."""
    with pytest.raises(StoreError, match=sentence) as refusal:
        _open(url)

    assert "secret" not in "".join(traceback.format_exception(refusal.value))


def test_a_password_is_not_shown_with_the_database():
    """What lands in a log is without it."""
    assert "secret" not in repr(Database("postgresql://u:secret@h/d"))
