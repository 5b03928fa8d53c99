"""Measures how long six years of Google's stock take, with every fault, monitoring each day, and all trainings real."""

from datetime import date
from pathlib import Path
from typing import Final

import yaml

from benchmarks.results import Target, format_targets, write_results
from loopcast.config import load_problem
from loopcast.replay.faults import Faults
from loopcast.replay.incidents import summarize_replay
from loopcast.replay.outcome import Policy
from loopcast.replay.run import run_replay
from loopcast.stores.sources import read_source

START, END = date(2007, 1, 1), date(2012, 12, 31)
N_PROCESSES: Final = 2
TARGETS: Final = (
    Target("n_days", "trading days", 0, low=1_450),
    Target("wall_s", "seconds for all of them", 0, high=300),
)


def main() -> None:
    """Replay, print the table, and write the figures."""
    problem = load_problem("configs/google.yaml")
    text = Path("configs/replays/every_fault.yaml").read_text(encoding="utf-8")
    faults = Faults.model_validate(yaml.safe_load(text))
    outcome = run_replay(read_source(problem), problem, faults, START, END, N_PROCESSES)
    print(summarize_replay(outcome))
    figures = {
        "n_days": len(outcome.days),
        "wall_s": round(outcome.wall_s, 1),
        "n_trainings": sum(outcome.n_trainings.values()),
        **{f"skill_{policy.value}_ratio": round(outcome.skill_ratio(policy), 4) for policy in Policy},
    }
    print(f"\n{format_targets(figures, TARGETS)}")
    write_results("replay", figures)


if __name__ == "__main__":
    main()
