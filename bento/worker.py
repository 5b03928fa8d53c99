"""What a worker opens when it starts, in which order, and closes when it stops."""

import os
from collections.abc import Callable, Set
from contextlib import ExitStack

from starlette.types import ASGIApp

from app.api import create_app
from app.parts import ServiceParts
from app.tokens import ActiveTokens
from app.tracing import open_tracing
from bento.binding import check_tokens, needs_tokens
from loopcast.settings import Settings
from loopcast.stores.champions import Champions
from loopcast.stores.database import Database, locate_database
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.journal import open_journal
from loopcast.stores.model_versions import ModelVersionStore
from loopcast.stores.shipper import JournalShipper
from loopcast.stores.tokens import TokenStore

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
    journal = open_journal(settings.home_path / "journal", settings.journal_max_mb)
    stack.callback(journal.close)
    shipper = JournalShipper(journal, database)
    shipper.start()
    stack.callback(shipper.stop)
    champions = open_champions(settings, stack)
    tracer_provider = open_tracing(os.environ)
    if tracer_provider is not None:
        stack.callback(tracer_provider.shutdown)
    return create_app(
        ServiceParts(
            champions=champions,
            journal=journal,
            forecasts=ForecastStore(database),
            versions=ModelVersionStore(database),
            settings=settings,
            tokens=tokens,
            shipper=shipper,
            tracer_provider=tracer_provider,
        )
    )


def _open_tokens(settings: Settings, hosts: Set[str], database: Database, stack: ExitStack) -> ActiveTokens | None:
    """The tokens that requests are signed with; None where they need not be."""
    if not needs_tokens(hosts, settings):
        return None
    store = TokenStore(database)
    check_tokens(hosts, settings, store)
    tokens = ActiveTokens(store)
    tokens.start()
    stack.callback(tokens.stop)
    return tokens
