"""Which long queries there are, and how each tells how far it is."""

from collections.abc import Callable
from enum import StrEnum

from loopcast.errors import LoopcastError

Report = Callable[[float, str], None]
"""Is told how far a query is, as a share of 1 and in a sentence, at least every second of work. Raises
QueryCancelledError when the query is to stop."""


class QueryKind(StrEnum):
    """What can be asked that takes longer than a request may."""

    EXPLANATION = "explanation"
    """Which features, how long ago, widen or narrow a series' newest forecast."""
    BACKTEST = "backtest"
    """What the champion forecasts of a series at past origins, beside what came true."""
    BULK_FORECAST = "bulk_forecast"
    """Forecasts of every series of an uploaded CSV."""
    WHAT_IF = "what_if"
    """The newest forecast of a series, had its last steps been different."""
    PROMOTION = "promotion"
    """Puts a version into service by hand."""
    ROLLBACK = "rollback"
    """Puts the version before the champion back into service."""
    TRAINING = "training"
    """Trains a challenger on the newest data, and asks the gate about it."""


class QueryCancelledError(LoopcastError):
    """Whoever asked a query asked for its stop."""
