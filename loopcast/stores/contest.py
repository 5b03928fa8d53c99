"""A challenger's case against whoever is champion when it is heard: the paired losses that the gate reads.

The challenger brings the losses of its walk forward. Those of the champion are the ones of its own walk forward, and,
for the steps that came after it was trained, those of the very model in service: all of them out of sample.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandera.typing import DataFrame

from loopcast.config import Problem
from loopcast.contracts import OriginLosses
from loopcast.errors import DataRefusedError
from loopcast.evidence.account import SnapshotFacts
from loopcast.evidence.backtest import measure_losses
from loopcast.evidence.gate import Verdict, decide
from loopcast.features import build_design
from loopcast.model.folder import load_forecaster
from loopcast.model.forecaster import Candidate
from loopcast.stores.artifacts import ArtifactStore
from loopcast.stores.opened import Stores
from loopcast.stores.skill_days import SkillDays

if TYPE_CHECKING:
    from loopcast.stores.model_version import ModelVersion
    from loopcast.stores.registry import Registry

ALIKE = ("horizon", "quantiles", "transform", "frequency", "unit", "time_zone", "aggregate")
"""What two problems must share for their losses to be compared; a champion of another question has no say."""


@dataclass(frozen=True)
class Contest:
    """Asks the gate about a version, against any champion.

    Attributes:
        registry: Holds the evidence of both.
        artifacts: Hold the challenger's snapshot.
        problem: Of the challenger.
        snapshot: Likewise.
        offered: The challenger's candidate.
        losses: Of all candidates in the challenger's walk forward.
        skill_days: What monitoring found of the champion.
    """

    registry: "Registry"
    artifacts: ArtifactStore
    problem: Problem
    snapshot: SnapshotFacts
    offered: Candidate
    losses: DataFrame[OriginLosses]
    skill_days: SkillDays

    def judge(self, champion: "ModelVersion | None") -> Verdict:
        """What the gate decides if this is the champion; None for no champion."""
        theirs = None if champion is None else self._champion_losses(champion)
        is_other_question = champion is not None and theirs is None
        skill = None if champion is None else self.skill_days.last_state(self.problem.name, champion.version)
        age_s = 0.0 if champion is None else (self.snapshot.last_utc - champion.trained_until_utc).total_seconds()
        return decide(
            self.losses,
            self.offered,
            theirs,
            horizon=self.problem.horizon,
            gate=self.problem.gate,
            champion_age_days=age_s / 86_400,
            has_champion_lost_skill=skill is not None and skill.is_lost,
            is_other_question=is_other_question,
        )

    def _champion_losses(self, champion: "ModelVersion") -> DataFrame[OriginLosses] | None:
        with TemporaryDirectory(prefix="loopcast-champion-") as folder:
            forecaster, problem = load_forecaster(self.registry.fetch(champion, Path(folder)))
        is_alike = all(getattr(problem, name) == getattr(self.problem, name) for name in ALIKE)
        if not is_alike or problem.columns.target != self.problem.columns.target:
            return None
        stored = self.registry.read_frame(champion, "losses")
        stored = stored[stored["candidate"] == champion.candidate]
        panel = self.artifacts.get_snapshot(self.snapshot.sha256)
        try:
            design = build_design(panel, problem)
        except DataRefusedError:  # its features are no longer delivered, so that it cannot answer for the new steps
            return DataFrame[OriginLosses](stored)
        until = np.datetime64(champion.trained_until_utc.replace(tzinfo=None))
        rows = np.flatnonzero(design.is_origin & (design.timestamp_utc >= until))
        since = measure_losses(design, rows, forecaster.quantiles(design, rows), problem)
        together = pd.concat([stored, since.assign(candidate=champion.candidate.value)], ignore_index=True)
        key = ["candidate", "series_id", "origin_utc"]
        return DataFrame[OriginLosses](together.drop_duplicates(key, keep="first"))


def open_contest(
    stores: Stores, problem: Problem, snapshot: SnapshotFacts, version: int, losses: DataFrame[OriginLosses]
) -> Contest:
    """The case of a registered version."""
    offered = stores.registry.version(problem.name, version).candidate
    skill_days = SkillDays(stores.database)
    return Contest(stores.registry, stores.artifacts, problem, snapshot, offered, losses, skill_days)
