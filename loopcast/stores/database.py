"""The relational store: one PostgreSQL, migrated to what this code expects, and how to speak to it.

What is stored in which table stands in the modules beside this one, the tables themselves in `migrations/`. Loopcast's
own lie in the PostgreSQL schema `loopcast`; MLflow, Optuna and Evidently have a schema each, because all three keep a
table `alembic_version` and take another's for their own.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from loopcast.errors import StoreError
from loopcast.settings import Settings
from loopcast.stores import embedded

MIN_SERVER_VERSION = 14
"""The oldest PostgreSQL that we promise to run on."""
MIGRATIONS = Path(__file__).parent / "migrations"
CONNECTION_DEFAULTS = {
    "application_name": "loopcast",
    "connect_timeout": "10",
    # A server that hangs or a cable that is cut ends the connection after half a minute, not after hours.
    "keepalives_idle": "10",
    "tcp_user_timeout": "30000",
}
UNABLE = {
    "25006": "let it be written again, or lead LOOPCAST_DATABASE_URL to the server that may be",  # a standby
    "40": "ask again",  # undone for the sake of another transaction
    "42501": "give the user of LOOPCAST_DATABASE_URL its rights on the schema loopcast and its tables",
    "53": "look at its disk, its memory and its number of connections",
    "55P03": "ask again, or allow longer waits than its lock_timeout",
    "57014": "ask again, or allow longer statements than its statement_timeout",
    "58": "look at its log and its disk",
    "XX": "look at its log and its disk",  # a page is damaged
}
"""How SQLSTATEs begin that tell of the server and not of what it was asked, and what to do."""
Tenant = Literal["mlflow", "optuna", "evidently"]
SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")


@dataclass(frozen=True)
class Database:
    """One PostgreSQL database; cheap to hold and to pass on, connects only when asked."""

    url: str = field(repr=False)
    """As libpq reads it: `postgresql://...`, with the password if there is one."""
    embedded_folder: Path | None = None
    """Where the embedded server lives; None for a server that somebody else runs."""

    @property
    def sqlalchemy_url(self) -> str:
        """The same database for SQLAlchemy.

        >>> Database("postgresql://localhost/forecasts").sqlalchemy_url
        'postgresql+psycopg://localhost/forecasts'
        """
        return self.url.replace("postgresql://", "postgresql+psycopg://", 1)

    def sqlalchemy_url_for(self, tenant: Tenant) -> str:
        """The same, where the tables of a tenant are made and found in a schema of its own.

        >>> Database("postgresql://localhost/forecasts").sqlalchemy_url_for("optuna")
        'postgresql+psycopg://localhost/forecasts?options=-csearch_path=optuna'
        """
        url, option = self.sqlalchemy_url, f"options=-csearch_path={tenant}"
        if "options=" in url:
            return url.replace("options=", f"{option}%20", 1)
        return f"{url}{'&' if '?' in url else '?'}{option}"

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection[TupleRow]]:
        """A connection in one transaction: committed at the end, undone if an exception leaves the block.

        Raises:
            StoreError: The server cannot be reached, went away meanwhile, or cannot do now what it is asked.
        """
        with self.lend_connection() as connection:
            try:
                yield connection
                connection.commit()  # here, where it is seen when the server has gone before
            except psycopg.Error as exc:
                if connection.broken:
                    raise StoreError(f"the database at {self.place} went away: {_one_line(exc)}; ask again") from exc
                for begin, next_step in UNABLE.items():
                    if (exc.sqlstate or "").startswith(begin):
                        found = exc.diag.message_primary  # without the statement
                        raise StoreError(
                            f"the database at {self.place} cannot do this now: {found}; {next_step}"
                        ) from exc
                raise

    def lend_connection(self) -> AbstractContextManager[psycopg.Connection[TupleRow]]:
        """A connection for one transaction; closed afterwards, unless `kept_connections` keeps it."""
        return self.open_connection()

    @contextmanager
    def locked(self, key: str) -> Iterator[psycopg.Connection[TupleRow]]:
        """The same, while nobody else, in any process, is inside `locked` with this key."""
        with self.connect() as connection:
            lock(connection, key)
            yield connection

    def open_connection(self) -> psycopg.Connection[TupleRow]:
        """A connection that the caller closes; an embedded server that was killed is started again.

        Raises:
            StoreError: The server cannot be reached or refuses the user.
        """
        options = make_conninfo("", **CONNECTION_DEFAULTS | conninfo_to_dict(self.url))
        try:
            return psycopg.connect(options)
        except psycopg.OperationalError as exc:
            if self.embedded_folder is None:
                raise StoreError(
                    f"the database at {self.place} does not answer: {_one_line(exc)}; "
                    "start it, or correct LOOPCAST_DATABASE_URL"
                ) from exc
            embedded.ensure_running(self.embedded_folder)
            return psycopg.connect(options)

    @property
    def place(self) -> str:
        """Host, port and database: what may stand in a message."""
        parts = conninfo_to_dict(self.url)
        return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def lock(connection: psycopg.Connection[TupleRow], key: str) -> None:
    """Wait until nobody else's transaction, in any process, holds this key; this one then holds it to its end."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])


def open_database(settings: Settings) -> Database:
    """The database of these settings, with every table in place; an embedded one runs while this process lives.

    Raises:
        StoreError: It cannot be reached or started, is too old, or belongs to a newer Loopcast.
    """
    database = locate_database(settings)
    _migrate(database)
    return database


def locate_database(settings: Settings) -> Database:
    """The same, unasked: somebody else's server may be away, and its tables may be missing.

    Raises:
        StoreError: The embedded one cannot be started, or the URL is none.
    """
    if settings.database_url is None:
        folder = settings.home_path / "postgres"
        return Database(embedded.ensure_running(folder), folder)
    return Database(_checked_url(settings.database_url))


def _checked_url(url: str) -> str:
    scheme = next((scheme for scheme in SCHEMES if url.startswith(scheme)), None)
    if scheme is None:
        found = url.partition("://")[0] if "://" in url else "no scheme"
        raise StoreError(f"LOOPCAST_DATABASE_URL: found {found}, needs postgresql://user:password@host:port/database")
    plain = "postgresql://" + url.removeprefix(scheme)
    try:
        conninfo_to_dict(plain)
    except psycopg.ProgrammingError:
        # Not chained: libpq quotes the piece it stumbles over, which may be of the password.
        raise StoreError(
            "LOOPCAST_DATABASE_URL cannot be read; needs postgresql://user:password@host:port/database, "
            "with %40 for @ and %2F for / inside a password"
        ) from None
    return plain


def _migrate(database: Database) -> None:
    """Bring the tables to the newest revision, unless they are there."""
    known = sorted(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    with database.connect() as connection:
        version = connection.info.server_version // 10_000
        if version < MIN_SERVER_VERSION:
            raise StoreError(
                f"found PostgreSQL {version} at {database.place}, needs {MIN_SERVER_VERSION} or newer; upgrade the "
                "server, or unset LOOPCAST_DATABASE_URL to use the embedded one"
            )
        found = _read_revision(connection)
    if found is not None and found not in known:
        raise StoreError(
            f"the tables at {database.place} are at revision {found}, this Loopcast knows up to {known[-1]}; "
            "upgrade Loopcast, or give it another database or work folder"
        )
    if found != known[-1]:
        _upgrade(database)


def _upgrade(database: Database) -> None:
    """Run the missing steps; of two processes that try at once one waits and finds nothing left to do."""
    # Imported here: a third of a second, which only the first run on a database and upgrades pay.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import DBAPIError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    engine = create_engine("postgresql+psycopg://", creator=database.open_connection, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as exc:
        raise StoreError(
            f"the tables at {database.place} cannot be made: {_one_line(exc.orig)}; "
            "let the user of LOOPCAST_DATABASE_URL create schemas in this database"
        ) from exc


def _read_revision(connection: psycopg.Connection[TupleRow]) -> str | None:
    """Revision that the tables are at, None for none."""
    row = connection.execute("SELECT to_regclass('loopcast.alembic_version')").fetchone()
    if row is None or row[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM loopcast.alembic_version").fetchone()
    return None if row is None else str(row[0])


def _one_line(exc: BaseException | None) -> str:
    return " ".join(str(exc).split())
