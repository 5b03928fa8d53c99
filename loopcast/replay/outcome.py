"""What a replay is told with: what happened on which day, and how each way of running the loop did."""

from datetime import date
from enum import StrEnum

import numpy as np
from pydantic import BaseModel

from loopcast.evidence.record import RECORD
from loopcast.health.condition import Finding
from loopcast.replay.faults import Fault
from loopcast.typing import Floats


class Policy(StrEnum):
    """How a model in service is looked after."""

    LOOP = "loop"
    """Monitored each day; retrained, gated and rolled back as that says."""
    NOTHING = "nothing"
    """The first model stays, whatever comes."""
    QUARTERLY = "quarterly"
    """A new model at the begin of each quarter, put into service unasked; otherwise nothing."""


class What(StrEnum):
    """What can happen on a day."""

    FAULT = "fault"
    REPAIRED = "repaired"
    """The source was put right."""
    REFUSED = "refused"
    """The ingest refused the day's data; nothing is forecast or trained on them."""
    ACCEPTED = "accepted"
    ALARM = "alarm"
    RECOVERED = "recovered"
    PROMOTED_BY_HAND = "promoted_by_hand"
    PROMOTED = "promoted"
    REJECTED = "rejected"
    UNTRAINED = "untrained"
    """A training was called for and its data were refused."""
    ROLLED_BACK = "rolled_back"


class Happening(BaseModel):
    """Something that happened in an arm on a day."""

    model_config = RECORD

    day: date
    what: What
    sentence: str
    finding: Finding | None = None
    fault: int | None = None
    """Number of the fault, of those of the replay in order of their begin."""
    version: int | None = None
    """In service afterwards."""


class ArmDays(BaseModel):
    """One arm, day by day of its origins; n days."""

    model_config = RECORD

    policy: Policy
    loss: tuple[float, ...]
    """Mean pinball loss of the day's forecasts by what came true in the end, in reaches; NaN where there is none."""
    baseline_loss: tuple[float, ...]
    """The same of the EWMA baseline."""
    version: tuple[int, ...]
    """In service that day."""


class Outcome(BaseModel):
    """All that a replay showed."""

    model_config = RECORD

    problem: str
    title: str
    unit: str
    series_id: str
    """The series that is drawn."""
    faults: tuple[Fault, ...]
    left_out: tuple[Fault, ...] = ()
    """Asked for, but their first day is none of the replay's."""
    days: tuple[date, ...]
    happenings: tuple[Happening, ...]
    """In the arm of the loop."""
    arms: tuple[ArmDays, ...]
    cusum: tuple[float, ...]
    """Of the loop, each day; NaN where no day was judged."""
    threshold: float
    price: tuple[float, ...]
    """What the source said in the end, in the target's unit."""
    low: tuple[float, ...]
    """End of the 80 % interval that the loop forecast for the day, from as far as the problem looks; NaN of none."""
    high: tuple[float, ...]
    n_trainings: dict[Policy, int]
    wall_s: float

    def arm(self, policy: Policy) -> ArmDays:
        """The days of one arm."""
        return next(each for each in self.arms if each.policy is policy)

    def skill_ratio(self, policy: Policy, days: slice = slice(None)) -> float:
        """1 - loss over that of the EWMA baseline over some days; NaN where nothing was forecast."""
        arm = self.arm(policy)
        return 1 - _mean_ratio(np.array(arm.loss[days]), np.array(arm.baseline_loss[days]))

    def gain_ratio(self, over: Policy, days: slice = slice(None)) -> float:
        """What the loop's loss is lower than another arm's, as a share of it, over some days."""
        return 1 - _mean_ratio(np.array(self.arm(Policy.LOOP).loss[days]), np.array(self.arm(over).loss[days]))


def _mean_ratio(loss: Floats, reference: Floats) -> float:
    is_known = np.isfinite(loss) & np.isfinite(reference)
    return float(loss[is_known].sum() / reference[is_known].sum()) if is_known.any() else float("nan")
