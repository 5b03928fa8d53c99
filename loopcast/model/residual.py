"""The network candidates: averaged seeds of the residual LSTM, or the linear head alone, with conformal calibration."""

from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from loopcast.config import Problem
from loopcast.features import Design, window_rows
from loopcast.model.calibration import conformal_widening
from loopcast.model.forecaster import Candidate
from loopcast.model.network import ResidualNetwork
from loopcast.model.session import BLOCK_ROWS
from loopcast.model.split import Split
from loopcast.model.training import (
    TrainedNetwork,
    baseline_quantiles,
    calendar_mean,
    make_network,
    train_network,
)
from loopcast.typing import Floats, Ints


class Residual:
    """Quantiles m + e^g q0 + widening, times the scale; m and g averaged over the networks."""

    candidate: ClassVar[Candidate]
    is_recurrent: ClassVar[bool]

    def __init__(
        self,
        networks: list[ResidualNetwork],
        baseline: Floats,
        widening: Floats,
        calendar_mean: Floats,
        context_length: int,
    ) -> None:
        self.networks = [network.eval() for network in networks]
        self.baseline = baseline
        self.widening = widening
        self.calendar_mean = calendar_mean
        self.context_length = context_length

    @classmethod
    def fit(cls, design: Design, split: Split, problem: Problem) -> Self:
        """Train every seed here, one after another, then average and calibrate.

        The linear head alone has no dropout and one optimum, which every seed finds: one is enough.
        """
        seeds = problem.training.seeds if cls.is_recurrent else problem.training.seeds[:1]
        trained = [train_network(design, split, problem, seed, is_recurrent=cls.is_recurrent) for seed in seeds]
        return cls.from_networks(trained, design, split, problem)

    @classmethod
    def from_networks(cls, trained: list[TrainedNetwork], design: Design, split: Split, problem: Problem) -> Self:
        """Average networks that were trained elsewhere, and calibrate on the validation block."""
        torch.set_num_threads(1)
        networks = []
        for each in trained:
            network = make_network(design, problem, is_recurrent=cls.is_recurrent)
            network.load_state_dict(each.weights)
            networks.append(network)
        baseline = baseline_quantiles(design, split.train, problem)
        mean = calendar_mean(design, split.train)
        forecaster = cls(networks, baseline, np.zeros_like(baseline), mean, problem.network.context_length)
        held_out = forecaster._standardised(design, split.validation)
        forecaster.widening = conformal_widening(
            design.targets[split.validation], held_out, np.asarray(problem.quantiles)
        )
        return forecaster

    def quantiles(self, design: Design, rows: Ints) -> Floats:
        """As `Forecaster.quantiles`."""
        widened = np.sort(self._standardised(design, rows) + self.widening, axis=-1)
        return widened * design.step_scale(rows)[..., None]

    def _standardised(self, design: Design, rows: Ints) -> Floats:
        center, log_stretch = self.center_and_stretch(design, rows)
        return center[..., None] + np.exp(log_stretch)[..., None] * self.baseline

    @torch.no_grad()
    def center_and_stretch(self, design: Design, rows: Ints) -> tuple[Floats, Floats]:
        """M and g averaged over the networks, each of shape (n, H), in scales and in log of a ratio."""
        inputs = torch.from_numpy(design.inputs)
        patterns = torch.from_numpy((design.calendar_patterns - self.calendar_mean).astype(np.float32))
        centers, stretches = [np.empty((0, design.horizon))], [np.empty((0, design.horizon))]
        for block in torch.from_numpy(rows).split(BLOCK_ROWS):
            windows = inputs[torch.from_numpy(window_rows(design, block.numpy(), self.context_length))]
            calendar = patterns[torch.from_numpy(design.calendar[block.numpy()])]
            center, log_stretch = self.answer(windows, calendar)
            centers.append(center.double().numpy())
            stretches.append(log_stretch.double().numpy())
        return np.concatenate(centers), np.concatenate(stretches)

    def answer(self, windows: Tensor, calendar: Tensor) -> tuple[Tensor, Tensor]:
        """M and g averaged over the networks, each of shape (n, H).

        Args:
            windows: Features up to the origin, shape (n, context, F).
            calendar: Calendar shares of the target steps less their mean in training, shape (n, H, C).
        """
        rows, pattern = windows.transpose(0, 1), torch.arange(len(windows))
        answers = [network(rows, calendar, pattern, len(rows) - 1) for network in self.networks]
        center, log_stretch = (torch.stack(parts).mean(0).t() for parts in zip(*answers, strict=True))
        return center, log_stretch

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
        """As `Forecaster.state`."""
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "baseline": self.baseline, "widening": self.widening, "calendar_mean": self.calendar_mean
        }  # fmt: skip
        for i, network in enumerate(self.networks):
            arrays |= {f"network.{i}.{name}": value.numpy() for name, value in network.state_dict().items()}
        n_features = self.networks[0].linear.in_features
        return {
            "n_networks": len(self.networks),
            "n_features": n_features,
            "context_length": self.context_length,
        }, arrays

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]], problem: Problem) -> Self:
        """As `Forecaster.from_state`."""
        networks = []
        for i in range(values["n_networks"]):
            prefix = f"network.{i}."
            weights = {n.removeprefix(prefix): torch.from_numpy(a) for n, a in arrays.items() if n.startswith(prefix)}
            network = ResidualNetwork(
                n_features=values["n_features"],
                n_calendar=arrays["calendar_mean"].shape[1],
                horizon=problem.horizon,
                hidden_size=problem.network.hidden_size if cls.is_recurrent else 0,
                dropout=problem.network.dropout,
                moves_center=problem.network.moves_center,
            )
            network.load_state_dict(weights)
            networks.append(network)
        return cls(networks, arrays["baseline"], arrays["widening"], arrays["calendar_mean"], values["context_length"])


class Lstm(Residual):
    """The residual quantile LSTM."""

    candidate = Candidate.LSTM
    is_recurrent = True


class Linear(Residual):
    """The linear head alone, on the features of the origin and the calendar of the targets."""

    candidate = Candidate.LINEAR
    is_recurrent = False
