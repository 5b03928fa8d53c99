"""BentoML as its tutorial shows it: the core behind `@bentoml.api`, every setting at its default."""

from typing import Any

import bentoml

from benchmarks.serving_peers.core import Core


@bentoml.service
class Defaults:
    """See `Core`."""

    def __init__(self) -> None:
        self.core = Core()

    @bentoml.api
    def forecasts(self, series: list[dict[str, Any]]) -> dict[str, Any]:
        """See `Core.forecast`."""
        return self.core.forecast({"series": series})
