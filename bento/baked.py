"""The service with one model version inside: what `bentoml serve` starts of a baked Bento.

It differs from `service` in its champion alone, which is the one that was baked in, with the history of that day; it
needs no registry and no artifact store. How a Bento is built stands in `packaging`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import bentoml

from bento.serving import OPTIONS, Door, Serving

if TYPE_CHECKING:
    from contextlib import ExitStack

    from loopcast.settings import Settings
    from loopcast.stores.champions import Champions

ALIAS: Final = "baked"
"""Under which a Bento knows the model that it was built with, whichever others lie in the store beside it."""


@bentoml.service(**OPTIONS)
class Loopcast(Serving):
    """Forecasts of one model version over HTTP, each stored before it is answered."""

    def open_champions(self, settings: "Settings", stack: "ExitStack") -> "Champions":
        """The one that was baked in; forecasts find its lineage in the table of versions."""
        from loopcast.stores.baking import VersionRecorder, open_baked
        from loopcast.stores.champions import FixedChampions
        from loopcast.stores.opened import Stores

        served = open_baked(Path(bentoml.models.get(ALIAS).path))
        recorder = VersionRecorder(Stores(settings), served.record)
        recorder.start()
        stack.callback(recorder.stop)
        return FixedChampions({served.record.problem: served})


Loopcast.add_asgi_middleware(Door)  # type: ignore[attr-defined]  # mypy does not follow decorators of classes
