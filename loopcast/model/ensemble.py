"""Trains the networks of one model side by side, each with its own seed, and resumes those that were interrupted."""

from pathlib import Path

from loopcast.config import Problem
from loopcast.features import Design
from loopcast.model.processes import Workers
from loopcast.model.split import Split
from loopcast.model.training import TrainedNetwork, train_network
from loopcast.progress import track


def train_seed(design: Design, problem: Problem, split: Split, seed: int, checkpoint: Path | None) -> TrainedNetwork:
    """One trained network of the ensemble."""
    return train_network(design, split, problem, seed, checkpoint=checkpoint)


def train_ensemble(workers: Workers, split: Split, checkpoints: Path | None = None) -> list[TrainedNetwork]:
    """The trained networks in the order of their seeds.

    Args:
        checkpoints: Folder with a file for each seed, written after each epoch; what it holds is taken up.
    """
    seeds = workers.problem.training.seeds
    files = [checkpoints / f"seed-{seed}.pt" if checkpoints else None for seed in seeds]
    jobs = [(split, seed, file) for seed, file in zip(seeds, files, strict=True)]
    trained = dict(track(workers.run(train_seed, jobs), len(jobs), f"{workers.problem.name}: training networks"))
    return [trained[index] for index in range(len(jobs))]
