"""The service that follows the registry: `bentoml serve bento.service:Loopcast`."""

from typing import TYPE_CHECKING

import bentoml

from bento.serving import OPTIONS, Door, Serving

if TYPE_CHECKING:
    from contextlib import ExitStack

    from loopcast.settings import Settings
    from loopcast.stores.champions import Champions


@bentoml.service(**OPTIONS)
class Loopcast(Serving):
    """Forecasts of the champions over HTTP, each stored before it is answered."""

    def open_champions(self, settings: "Settings", stack: "ExitStack") -> "Champions":
        """The champions of this moment, and of each later one."""
        from loopcast.stores.champion_cache import open_cache
        from loopcast.stores.following import ChampionFollower
        from loopcast.stores.opened import Stores

        champions = ChampionFollower(Stores(settings), open_cache(settings), settings.champion_poll_s)
        champions.start()
        stack.callback(champions.stop)
        return champions


Loopcast.add_asgi_middleware(Door)  # type: ignore[attr-defined]  # mypy does not follow decorators of classes
