"""Fits one network with one seed: sequence-to-all on chunks, early stopping, and a checkpoint to resume from.

A chunk is a run of neighbouring rows; its head warms the state, and each later row is an origin with a loss. One pass
over a chunk of 128 rows so trains 88 windows at the price of about one and a half. Nothing is stored for each window.
One thread and a stated seed give the same bits on the same CPU capability.
"""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from loopcast.config import Problem
from loopcast.features import Design
from loopcast.model.network import PinballTable, ResidualNetwork
from loopcast.model.optimizer import FlatAdamW
from loopcast.model.split import Split
from loopcast.typing import Floats, Ints

CHUNK_SHIFT: Final = 22
"""Rows by which the cut into chunks moves from epoch to epoch, so that no origin always sits at the same depth."""
MIN_EPOCH_STEPS: Final = 16
"""Steps that a larger batch leaves in an epoch; with 8, a fifth more epochs are needed to the same loss."""
MAX_BATCH_CHUNKS: Final = 128
"""Chunks of a step that the panel's size alone can ask for; beyond, the rows of a step outgrow the caches."""
MIN_GAIN: Final = 1e-6
"""Fall of the validation loss, in scales, that counts as progress."""

Report = Callable[[int, float], bool]
"""Called with epoch and validation loss; True ends the training there (a pruned trial)."""


@dataclass(frozen=True)
class TrainedNetwork:
    """The weights of the best epoch and how they were reached.

    Attributes:
        weights: Parameters by name.
        curve: Train and validation loss of each epoch from 0 (untrained, train loss NaN), in scales, shape
            (epochs + 1, 2).
        best_epoch: Epoch of the weights; 0 is the untrained baseline.
    """

    weights: dict[str, Tensor]
    curve: Floats
    best_epoch: int


def make_network(design: Design, problem: Problem, *, is_recurrent: bool = True) -> ResidualNetwork:
    """An untrained network for the design, which outputs the baseline exactly."""
    shape = problem.network
    return ResidualNetwork(
        n_features=design.inputs.shape[1],
        n_calendar=design.calendar_patterns.shape[2],
        horizon=problem.horizon,
        hidden_size=shape.hidden_size if is_recurrent else 0,
        dropout=shape.dropout,
        moves_center=shape.moves_center,
    )


def baseline_quantiles(design: Design, rows: Ints, problem: Problem) -> Floats:
    """The quantiles of the standardised targets over the rows, shape (H, K): filtered historical simulation.

    Source: Barone-Adesi, Giannopoulos and Vosper (1999).
    """
    return np.stack([np.quantile(design.targets[rows, h], problem.quantiles) for h in range(problem.horizon)])


def calendar_mean(design: Design, rows: Ints) -> Floats:
    """The mean of the rows' calendar patterns, shape (H, C); subtracted, so that the baseline stays the mean."""
    counts = np.bincount(design.calendar[rows], minlength=len(design.calendar_patterns))
    return np.tensordot(counts / max(counts.sum(), 1), design.calendar_patterns.astype(float), axes=1)


def choose_batch_chunks(n_chunks: int, least: int) -> int:
    """Chunks of a step: `least`, and more where an epoch keeps enough steps, because a row in a large batch costs less.

    >>> [choose_batch_chunks(n_chunks, least=32) for n_chunks in (127, 1_000, 10_000)]
    [32, 62, 128]
    """
    return max(least, min(n_chunks // MIN_EPOCH_STEPS, MAX_BATCH_CHUNKS))


def train_network(
    design: Design,
    split: Split,
    problem: Problem,
    seed: int,
    *,
    is_recurrent: bool = True,
    checkpoint: Path | None = None,
    report: Report | None = None,
) -> TrainedNetwork:
    """The network of the best validation epoch.

    Args:
        seed: Of the initial weights, the order of chunks, and dropout.
        is_recurrent: False leaves the linear head alone.
        checkpoint: File that holds the state after each epoch; when it exists, training goes on from it to the same
            weights.
        report: Told each epoch's validation loss; may end the training.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rule = problem.training
    chunks = _Chunks(design, calendar_mean(design, split.train), problem)
    levels = torch.tensor(problem.quantiles)
    loss = PinballTable(torch.from_numpy(baseline_quantiles(design, split.train, problem).astype(np.float32)), levels)
    network = make_network(design, problem, is_recurrent=is_recurrent)
    train, validation = chunks.mask(split.train), chunks.mask(split.validation)
    step = problem.network.chunk_length - problem.network.burn_in_length
    cuts = [chunks.cut(split.train, shift) for shift in range(0, step, CHUNK_SHIFT)]
    validation_chunks = chunks.cut(split.validation, 0)
    batch_chunks = choose_batch_chunks(max(map(len, cuts)), rule.batch_chunks)
    n_batches = -(-max(map(len, cuts)) // batch_chunks)
    optimizer = FlatAdamW(
        network, rate=rule.learning_rate, weight_decay=rule.weight_decay, n_steps=n_batches * rule.max_epochs
    )
    state = _State(network, optimizer, torch.Generator().manual_seed(seed))

    def mean_loss(batch: Tensor, live: Tensor) -> tuple[Tensor, float]:
        inputs, pattern, targets, weights = chunks.rows(batch, live)
        center, log_stretch = network(inputs, chunks.patterns, pattern, chunks.burn_in)
        n_live = float(weights.sum())
        return (loss(center, log_stretch, targets) @ weights).mean() / n_live, n_live

    def validate() -> float:
        network.eval()
        with torch.no_grad():
            parts = [mean_loss(batch, validation) for batch in validation_chunks.split(batch_chunks)]
        return sum(float(mean) * n for mean, n in parts) / sum(n for _, n in parts)

    if checkpoint is not None and checkpoint.exists():
        state.restore(checkpoint)
    else:
        state.note(0, float("nan"), validate())
    while state.epoch < rule.max_epochs and state.epoch - state.best_epoch < rule.patience_epochs:
        network.train()
        epoch, total, count = state.epoch + 1, 0.0, 0.0
        order = cuts[epoch % len(cuts)]
        order = order[torch.randperm(len(order), generator=state.generator)]
        for batch in order.split(batch_chunks):
            mean, n = mean_loss(batch, train)
            mean.backward()
            optimizer.step()
            total, count = total + float(mean.detach()) * n, count + n
        value = validate()
        state.note(epoch, total / count, value)
        if checkpoint is not None:
            state.save(checkpoint)
        if report is not None and report(epoch, value):
            break
    return TrainedNetwork(state.best, np.asarray(state.curve), state.best_epoch)


class _Chunks:
    """A design as tensors, cut into chunks and gathered by their first and last rows."""

    def __init__(self, design: Design, mean: Floats, problem: Problem) -> None:
        self.patterns = torch.from_numpy((design.calendar_patterns - mean).astype(np.float32))
        self.inputs = torch.from_numpy(design.inputs)
        self.targets = torch.from_numpy(design.targets)
        self.pattern = torch.from_numpy(design.calendar)
        self.segments = design.segments
        self.burn_in, self.length = problem.network.burn_in_length, problem.network.chunk_length
        self.steps = torch.arange(self.length)[:, None]

    def mask(self, rows: Ints) -> Tensor:
        """Whether each row of the design is among `rows`, shape (N,)."""
        mask = torch.zeros(len(self.inputs), dtype=torch.bool)
        mask[torch.from_numpy(rows)] = True
        return mask

    def cut(self, rows: Ints, shift: int) -> Tensor:
        """First and last row of each chunk that holds an origin of `rows`, shape (n, 2), int64."""
        cuts = []
        for first, last in self.segments:
            heads = np.arange(first - shift, last - self.burn_in + 1, self.length - self.burn_in)
            heads = np.maximum(first, np.minimum(heads, last - self.length + 1))
            cuts.append(np.c_[heads, np.minimum(heads + self.length - 1, last)])
        chunks = np.concatenate(cuts)
        holds = np.searchsorted(rows, chunks[:, 1], side="right") > np.searchsorted(rows, chunks[:, 0] + self.burn_in)
        return torch.from_numpy(chunks[holds])

    def rows(self, chunks: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs of each chunk's rows; pattern, targets and weight (1 at an origin) of those behind the burn-in.

        Returns:
            Of the shapes (length, chunks, F), (n,), (H, n) and (n,), with n = (length - burn-in) x chunks.
        """
        first, last = chunks.unbind(1)
        raw = first + self.steps
        index = torch.minimum(raw, last)
        behind = index[self.burn_in :].flatten()
        is_live = mask[behind] & (raw[self.burn_in :] <= last).flatten()
        # Whole rows are copied faster by index_select than by indexing.
        inputs = self.inputs.index_select(0, index.flatten()).unflatten(0, index.shape)
        targets = self.targets.index_select(0, behind).t().to(torch.float32, memory_format=torch.contiguous_format)
        return inputs, self.pattern.index_select(0, behind), targets.nan_to_num_(), is_live.float()


@dataclass
class _State:
    """All that a training needs to go on as if it had never stopped."""

    network: ResidualNetwork
    optimizer: FlatAdamW
    generator: torch.Generator

    def __post_init__(self) -> None:
        self.epoch = self.best_epoch = 0
        self.curve: list[tuple[float, float]] = []
        self.best: dict[str, Tensor] = {}

    def note(self, epoch: int, train_loss: float, validation_loss: float) -> None:
        """Add an epoch to the curve and keep its weights when it is the best so far."""
        is_best = not self.curve or validation_loss < self.curve[self.best_epoch][1] - MIN_GAIN
        self.epoch = epoch
        self.curve.append((train_loss, validation_loss))
        if is_best:
            self.best_epoch = epoch
            self.best = {name: value.clone() for name, value in self.network.state_dict().items()}

    def save(self, file: Path) -> None:
        """Write the state whole or not at all."""
        content: dict[str, Any] = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state(),
            "generator": self.generator.get_state(),
            "dropout": torch.get_rng_state(),
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "curve": self.curve,
            "best": self.best,
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        draft = file.with_suffix(".draft")
        draft.write_bytes(buffer.getvalue())
        os.replace(draft, file)  # noqa: PTH105  # the rename must be atomic over an existing file

    def restore(self, file: Path) -> None:
        """Take up the state of `save`."""
        content = torch.load(file, weights_only=True)
        self.network.load_state_dict(content["network"])
        self.optimizer.restore(content["optimizer"])
        self.generator.set_state(content["generator"])
        torch.set_rng_state(content["dropout"])
        self.epoch, self.best_epoch = content["epoch"], content["best_epoch"]
        self.curve = [(float(a), float(b)) for a, b in content["curve"]]
        self.best = content["best"]
