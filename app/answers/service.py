"""What is answered about this worker."""

from app.answers.base import Answer


class Readiness(Answer):
    """Whether this worker answers forecasts, and if not, why."""

    is_ready: bool
    reasons: list[str]


class Liveness(Answer):
    """The worker runs."""

    is_alive: bool
