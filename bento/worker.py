"""What a worker opens when it starts, in which order, and closes when it stops."""

import os
from collections.abc import Callable, Set
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from app.api import create_app
from app.parts import ServiceParts
from app.tokens import ActiveTokens
from app.tracing import open_tracing
from bento.binding import check_tokens, needs_tokens
from loopcast.settings import Settings
from loopcast.stores.audit import AuditStore
from loopcast.stores.champions import Champions
from loopcast.stores.database import Database, locate_database
from loopcast.stores.files import FileStore
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.journal import open_journal
from loopcast.stores.kept_connections import keep_connections
from loopcast.stores.model_versions import ModelVersionStore
from loopcast.stores.query_store import QueryStore
from loopcast.stores.sessions import SessionStore
from loopcast.stores.shipper import JournalShipper
from loopcast.stores.token_memory import FILE
from loopcast.stores.tokens import TokenStore
from loopcast.stores.uploads import UploadStore

if TYPE_CHECKING:
    from app.signin.people import People

OpenChampions = Callable[[Settings, ExitStack], Champions]


def open_app(settings: Settings, hosts: Set[str], open_champions: OpenChampions, stack: ExitStack) -> ASGIApp:
    """The app, with everything that it answers with; a server that is away is asked again while the app answers.

    Args:
        settings: Of this machine.
        hosts: Addresses on which this process listens.
        open_champions: Opens what answers, and puts on the stack what closes it.
        stack: At its end the threads stop, and the database is given what waits for it.

    Raises:
        SettingsError: The service can be reached from outside, and nobody has a token.
        StoreError: No journal can be kept, or the embedded database cannot be started.
    """
    database = locate_database(settings)
    tokens = _open_tokens(settings, hosts, database, stack)
    people = _open_people(settings, database, stack)
    journal = open_journal(settings.home_path / "journal", settings.journal_max_mb)
    stack.callback(journal.close)
    shipper = JournalShipper(journal, database)
    shipper.start()
    stack.callback(shipper.stop)
    kept = keep_connections(database)
    stack.callback(kept.close)
    champions = open_champions(settings, stack)
    tracer_provider = open_tracing(os.environ)
    if tracer_provider is not None:
        stack.callback(tracer_provider.shutdown)
    return create_app(
        ServiceParts(
            champions=champions,
            journal=journal,
            forecasts=ForecastStore(kept),
            versions=ModelVersionStore(kept),
            settings=settings,
            tokens=tokens,
            people=people,
            audit=AuditStore(kept),
            token_store=TokenStore(kept),
            shipper=shipper,
            database=kept,
            queries=QueryStore(kept),
            uploads=UploadStore(kept, FileStore(settings.artifacts)),
            tracer_provider=tracer_provider,
        )
    )


def _open_tokens(settings: Settings, hosts: Set[str], database: Database, stack: ExitStack) -> ActiveTokens | None:
    """The tokens that requests are signed with; None where they need not be."""
    if not needs_tokens(hosts, settings):
        return None
    store = TokenStore(database)
    check_tokens(hosts, settings, store.active)
    tokens = ActiveTokens(store, path=settings.home_path / FILE)
    tokens.start()
    stack.callback(tokens.stop)
    return tokens


def _open_people(settings: Settings, database: Database, stack: ExitStack) -> "People | None":
    """How people sign in; None where only programs may."""
    if settings.oidc_issuer is None:
        return None
    from app.signin.people import open_people  # with what checks signatures
    from app.signin.sessions import ActiveSessions

    store = SessionStore(database, timedelta(hours=settings.session_idle_hours))
    active = ActiveSessions(store)
    active.start()
    stack.callback(active.stop)
    return open_people(settings, store, active)
