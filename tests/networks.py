"""Networks with random weights: quick to make, and of some effect on every input."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from loopcast.config import Problem
from loopcast.features import Design, build_design
from loopcast.model.calibration import conformal_widening
from loopcast.model.export import export_onnx
from loopcast.model.folder import save_forecaster
from loopcast.model.residual import Lstm, Residual
from loopcast.model.split import split_for_service
from loopcast.model.training import baseline_quantiles, calendar_mean, make_network


def make_residual(
    design: Design, problem: Problem, cls: type[Residual] = Lstm, seed: int = 0, spread: float = 0.2
) -> Residual:
    """Two networks that nobody trained, calibrated as trained ones are."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    networks = [make_network(design, problem, is_recurrent=cls.is_recurrent) for _ in range(2)]
    for network in networks:
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=spread)
    split = split_for_service(design, problem)
    baseline = baseline_quantiles(design, split.train, problem)
    shares = calendar_mean(design, split.train)
    made = cls(networks, baseline, np.zeros_like(baseline), shares, problem.network.context_length)
    rows = split.validation
    raw = made.quantiles(design, rows) / design.step_scale(rows)[..., None]
    made.widening = conformal_widening(design.targets[rows], raw, np.asarray(problem.quantiles))
    return made


def save_network(
    folder: Path, panel: pd.DataFrame, problem: Problem, cls: type[Residual] = Lstm, **settings: float
) -> Residual:
    """Write such a network into the folder, with its graph and the figures that prove it."""
    design = build_design(panel, problem)
    made = make_residual(design, problem, cls, **settings)
    save_forecaster(made, problem, folder)
    export_onnx(made, design, split_for_service(design, problem).validation, folder)
    return made
