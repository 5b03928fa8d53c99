"""Fits every candidate for service and keeps them in one folder, a folder each, so that any of them can be offered."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from loopcast.config import Problem
from loopcast.features import build_design
from loopcast.model.ensemble import train_ensemble
from loopcast.model.export import export_onnx
from loopcast.model.folder import FORECASTERS, save_forecaster
from loopcast.model.forecaster import Candidate, Forecaster
from loopcast.model.processes import open_workers
from loopcast.model.residual import Lstm, Residual
from loopcast.model.split import split_for_service

PARITY_ROWS: Final = 256
"""Origins on which an exported graph is compared with PyTorch: a year of them."""


@dataclass(frozen=True)
class Fitted:
    """The candidates, ready for service.

    Attributes:
        forecasters: By candidate.
        curves: seed, epoch, train_loss, validation_loss of the LSTM's networks, in scales.
    """

    forecasters: dict[Candidate, Forecaster]
    curves: pd.DataFrame


def fit_for_service(panel: pd.DataFrame, problem: Problem, n_processes: int, checkpoints: Path | None = None) -> Fitted:
    """Fit every candidate on all of a panel but its last validation block.

    Args:
        panel: A frame that keeps `contracts.Panel`.
        n_processes: Networks trained side by side.
        checkpoints: Folder from which an interrupted training is taken up.
    """
    design = build_design(panel, problem)
    split = split_for_service(design, problem)
    with open_workers(design, problem, n_processes) as workers:
        networks = train_ensemble(workers, split, checkpoints)
    forecasters: dict[Candidate, Forecaster] = {
        candidate: FORECASTERS[candidate].fit(design, split, problem)
        for candidate in Candidate
        if candidate is not Candidate.LSTM
    }
    curves = [
        pd.DataFrame(network.curve, columns=["train_loss", "validation_loss"])
        .rename_axis("epoch")
        .reset_index()
        .assign(seed=problem.training.seeds[index])
        for index, network in enumerate(networks)
    ]
    forecasters[Candidate.LSTM] = Lstm.from_networks(networks, design, split, problem)
    return Fitted(forecasters, pd.concat(curves, ignore_index=True)[["seed", "epoch", "train_loss", "validation_loss"]])


def save_candidates(fitted: Fitted, panel: pd.DataFrame, problem: Problem, folder: Path) -> None:
    """Write each candidate into a folder of its name; networks also as ONNX graphs that answer as PyTorch does."""
    design = build_design(panel, problem)
    rows = split_for_service(design, problem).validation[-PARITY_ROWS:]
    for candidate, forecaster in fitted.forecasters.items():
        save_forecaster(forecaster, problem, folder / candidate)
        if isinstance(forecaster, Residual):
            export_onnx(forecaster, design, rows, folder / candidate)


def refit_candidate(candidate: Candidate, panel: pd.DataFrame, problem: Problem, n_processes: int) -> Forecaster:
    """One candidate as `fit_for_service` fits it."""
    design = build_design(panel, problem)
    split = split_for_service(design, problem)
    if candidate is not Candidate.LSTM:
        return FORECASTERS[candidate].fit(design, split, problem)
    with open_workers(design, problem, n_processes) as workers:
        return Lstm.from_networks(train_ensemble(workers, split), design, split, problem)
