"""A problem's history walked through day by day, as the loop would have lived it; nothing of it reaches the stores."""

from loopcast.config import Problem
from loopcast.replay.faults import Faults
from tasks.alerts import alerting_workflow
from tasks.replay import Replayed, replay_history


@alerting_workflow
def replay(config: Problem, start: str, end: str, faults: Faults = Faults()) -> Replayed:  # noqa: B008  it is frozen
    """Tell what would have happened between two dates, with faults that are put in, and what that cost or gained."""
    return replay_history(problem=config, start=start, end=end, faults=faults)
