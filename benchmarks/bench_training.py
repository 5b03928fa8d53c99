"""Measures how fast one network is trained, against neuralforecast and against the machine, and what memory it takes.

An origin is one step from which all horizons are forecast; neuralforecast calls it a window. Each is counted once an
epoch, whatever it costs: Loopcast's rate includes the rows that warm the state and the validation of each epoch. Both
sides train an LSTM of the same width on the same features of the same five stocks, with one thread, in turn. A round
times the steps of neuralforecast and the epochs of Loopcast, in seconds of the processor, and takes those that nothing
disturbed; the median over the rounds counts.

The distance to the limit of the machine is taken on a panel of 200,000 rows, where training takes long enough to matter
and its steps are as large as training makes them; that on the five stocks is told beside it.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil
import torch

from benchmarks import memory_side
from benchmarks.machine_limit import MachineLimit, steady_s
from benchmarks.peers import install_peer
from benchmarks.results import Target, format_table, format_targets, write_results
from loopcast.config import Problem, load_problem
from loopcast.features import Design, build_design
from loopcast.model.split import split_for_service
from loopcast.model.training import train_network
from loopcast.panel import build_panel
from loopcast.stores.sources import read_source

ROUNDS: Final = 5
EPOCHS: Final = 80
"""Epochs of a round on the five stocks: as many as the problem allows, which is about two seconds."""
LARGE_SERIES, LARGE_EPOCHS = 100, 12
"""Series of the large panel, of 2,000 rows each, and epochs of a round on it, which take as long."""
PEER_STEPS: Final = 150
PEER_CONTEXT: Final = 40
"""Rows that neuralforecast reads for each window: the fewest that an origin of Loopcast has behind it."""
PEER_BATCH: Final = 512
POLL_S: Final = 0.002
MIB: Final = 2**20
TARGETS: Final = (
    Target("speedup_vs_neuralforecast", "Loopcast to neuralforecast, times", 1, low=5),
    Target("ratio_to_limit", "limit to Loopcast, 100 series, times", 2, high=2.5),
    Target("extra_memory_mb", "memory added by 1,000,000 rows, MB", 0, high=100),
)


@dataclass(frozen=True)
class Round:
    """What training reached and what the machine allowed, side by side.

    Attributes:
        origins_per_s: Of `train_network`.
        limit_per_s: Origins that this thread could train at best.
    """

    origins_per_s: float
    limit_per_s: float


def main() -> None:
    """Run the rounds, print the rates, and write the ratios."""
    torch.set_num_threads(1)
    problem = load_problem("configs/google.yaml")
    design = build_design(build_panel(read_source(problem), problem).panel, problem)
    large_problem = memory_side.PROBLEM
    large_design = build_design(memory_side.make_panel(LARGE_SERIES), large_problem)
    peer = install_peer("neuralforecast")

    stocks, large, theirs = [], [], []
    for _ in range(ROUNDS):
        stocks.append(measure_round(design, problem, EPOCHS))
        large.append(measure_round(large_design, large_problem, LARGE_EPOCHS))
        theirs.append(measure_neuralforecast(peer, design, problem))
    ours = [each.origins_per_s for each in stocks]
    figures = {
        "speedup_vs_neuralforecast": round(statistics.median(ours) / statistics.median(theirs), 1),
        "ratio_to_limit": _ratio(large),
        "ratio_to_limit_five_stocks": _ratio(stocks),
        "extra_memory_mb": round(measure_memory(), 1),
    }

    shape = large_problem.network
    share = 1 - shape.burn_in_length / shape.chunk_length
    print(f"LSTM of {problem.network.hidden_size} units, one thread, median of {ROUNDS} rounds:\n")
    print(
        format_table(
            [
                ["", "origins/s", "least", "most"],
                _spread(f"neuralforecast, five stocks, {len(design.inputs):,} rows", theirs),
                _spread("Loopcast, five stocks", ours),
                _spread("  limit of the machine", [each.limit_per_s for each in stocks]),
                _spread(
                    f"Loopcast, {LARGE_SERIES} series, {len(large_design.inputs):,} rows",
                    [each.origins_per_s for each in large],
                ),
                _spread("  limit of the machine", [each.limit_per_s for each in large]),
                _spread("  if no row had to warm the state", [each.limit_per_s / share for each in large]),
            ]
        )
    )
    print(f"\n{format_targets(figures, TARGETS)}")
    print(f"On the five stocks the limit is {figures['ratio_to_limit_five_stocks']:.2f} times what Loopcast reaches.")
    write_results("training", figures)


def measure_round(design: Design, problem: Problem, n_epochs: int) -> Round:
    """One training, between two looks at the machine, of which the better one counts."""
    n_features = design.inputs.shape[1]
    before = MachineLimit.measure().origins_per_s(n_features, problem)
    reached = measure_training(design, problem, n_epochs)
    return Round(reached, max(before, MachineLimit.measure().origins_per_s(n_features, problem)))


def measure_training(design: Design, problem: Problem, n_epochs: int) -> float:
    """Origins per second of `train_network` between its first epoch and its last."""
    rule = problem.training.model_copy(update={"max_epochs": n_epochs, "patience_epochs": n_epochs})
    split = split_for_service(design, problem)
    ends_s: list[float] = []

    def note(_epoch: int, _loss: float) -> bool:
        ends_s.append(time.process_time())
        return False

    train_network(design, split, problem.model_copy(update={"training": rule}), seed=0, report=note)
    return len(split.train) / steady_s(np.diff(ends_s).tolist())


def measure_neuralforecast(python: Path, design: Design, problem: Problem) -> float:
    """Windows per second of neuralforecast's LSTM on the same features."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "design.npz"
        np.savez(archive, inputs=design.inputs, series=design.series, levels=np.asarray(problem.quantiles))
        sizes = {
            "horizon": problem.horizon,
            "hidden": problem.network.hidden_size,
            "context": PEER_CONTEXT,
            "batch": PEER_BATCH,
            "steps": PEER_STEPS,
        }
        options = [f"--{name}={value}" for name, value in sizes.items()]
        side = Path(__file__).with_name("neuralforecast_side.py")
        done = subprocess.run(
            [python, side, archive, *options],
            cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode:
        sys.exit(f"neuralforecast ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return PEER_BATCH / steady_s(json.loads(done.stdout))


def measure_memory() -> float:
    """MiB that training one network adds, at its height, to a process that holds a design of a million rows."""
    command = [sys.executable, "-m", "benchmarks.memory_side"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        watched = psutil.Process(process.pid)
        base = peak = watched.memory_info().rss
        process.stdin.write("\n")
        process.stdin.flush()
        while process.poll() is None:
            time.sleep(POLL_S)
            peak = max(peak, _resident_bytes(watched))
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return (peak - base) / MIB


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _ratio(rounds: list[Round]) -> float:
    return round(statistics.median(each.limit_per_s / each.origins_per_s for each in rounds), 2)


def _spread(name: str, rates: list[float]) -> list[str]:
    return [name, *(f"{value:,.0f}" for value in (statistics.median(rates), min(rates), max(rates)))]


if __name__ == "__main__":
    main()
