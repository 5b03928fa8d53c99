"""A network candidate on very many origins: the quantiles that its graph gives, in half the time.

What differs is the order of the work alone. All networks of the ensemble step through their windows together, for a
block of origins whose state stays in the processor's cache; gates stand in rows and origins in columns, so that every
operation runs over neighbouring numbers; and one tanh serves all four gates, because the logistic function is a tanh of
half its argument. How the forecasts are stored is for `stores.batch`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np

from loopcast.errors import ModelRefusedError
from loopcast.features import Design, window_rows
from loopcast.model.folder import SavedForecaster, read_forecaster
from loopcast.model.parity import MAX_PARITY_ERROR
from loopcast.model.served import NETWORKS, ServedModel
from loopcast.model.stretch import MAX_LOG_STRETCH
from loopcast.typing import Floats, Floats32, Ints

BLOCK_ORIGINS: Final = 256
"""Origins that step through their windows together: with five networks of 16 units their state takes 0.6 MB, which
fits the second-level cache of a core; twice as many fall out of it, half as many pay more for each call."""
PROOF_ORIGINS: Final = 16
"""Origins on which the answers are compared with the graph's before they are used."""
GATES: Final = ("weight_hh", "weight_ih", "bias_hh", "bias_ih")
"""Arrays of an LSTM, by the first part of PyTorch's names, in the order of the arguments of `_scale_gates`."""


@dataclass(frozen=True)
class BulkNetworks:
    """Averaged networks in NumPy; M networks, U units, F features, H horizons, C calendar positions.

    Attributes:
        gates: Weights of input, forget, output and cell gate on state, features and 1, shape (M, 4 U, U + F + 1),
            scaled as `_step_through` wants them; None for the linear head alone.
        head: Weights of centre and log-stretch on the doubled state, shape (M, 2 H, U); None likewise.
        linear: The same on the features of the origin and 1, shape (M, 2 H, F + 1).
        calendar: Shift of the log-stretch, or of centre and log-stretch, by calendar position, shape (M, 1 or 2, C).
        calendar_mean: Of the calendar positions in training, shape (H, C).
        baseline, widening: Quantiles of the standardised targets, and what is added to them, shape (H, K).
        context_length: Rows of a window.
        moves_center: Whether the centre is learned.
    """

    gates: Floats32 | None
    head: Floats32 | None
    linear: Floats32
    calendar: Floats32
    calendar_mean: Floats
    baseline: Floats
    widening: Floats
    context_length: int
    moves_center: bool

    @classmethod
    def of(cls, saved: SavedForecaster) -> Self:
        """The networks of a forecaster's folder."""
        arrays, n_networks = saved.arrays, saved.values["n_networks"]

        def stack(name: str) -> Floats32:
            return np.stack([arrays[f"network.{i}.{name}"] for i in range(n_networks)])

        is_recurrent, has_calendar = "network.0.head.weight" in arrays, "network.0.calendar.weight" in arrays
        bias = stack("linear.bias") + (stack("head.bias") if is_recurrent else 0)
        return cls(
            gates=_scale_gates(*(stack(f"lstm.{name}_l0") for name in GATES)) if is_recurrent else None,
            head=stack("head.weight") / np.float32(2) if is_recurrent else None,
            linear=np.concatenate([stack("linear.weight"), bias[..., None]], axis=-1),
            calendar=stack("calendar.weight") if has_calendar else np.zeros((n_networks, 1, 0), dtype=np.float32),
            calendar_mean=arrays["calendar_mean"],
            baseline=arrays["baseline"],
            widening=arrays["widening"],
            context_length=saved.values["context_length"],
            moves_center=saved.problem.network.moves_center,
        )

    def quantiles(self, design: Design, rows: Ints) -> Floats:
        """As `Forecaster.quantiles`."""
        center, log_stretch = self.center_and_stretch(design, rows)
        raw = center[..., None] + np.exp(log_stretch)[..., None] * self.baseline + self.widening
        return np.asarray(np.sort(raw, axis=-1) * design.step_scale(rows)[..., None], dtype=float)

    def center_and_stretch(self, design: Design, rows: Ints) -> tuple[Floats, Floats]:
        """Shift and log-stretch of the baseline's quantiles, averaged over the networks, each of shape (n, H)."""
        result = np.empty((2, len(rows), design.horizon))
        shift = self._shift_calendar(design)
        for first in range(0, len(rows), BLOCK_ORIGINS):
            block = rows[first : first + BLOCK_ORIGINS]
            ones = np.ones((1, len(block)), dtype=np.float32)
            moved = self.linear @ np.concatenate([design.inputs[block].T, ones])
            if self.gates is not None and self.head is not None:
                moved += self.head @ self._step_through(design, block, self.gates)
            moved = moved.reshape(len(moved), 2, design.horizon, len(block))
            moved += shift[..., design.calendar[block]]
            np.clip(moved[:, 1], -MAX_LOG_STRETCH, MAX_LOG_STRETCH, out=moved[:, 1])
            result[:, first : first + len(block)] = moved.mean(axis=0).transpose(0, 2, 1)
        return result[0] if self.moves_center else np.zeros_like(result[0]), result[1]

    def _step_through(self, design: Design, rows: Ints, weights: Floats32) -> Floats32:
        """Twice the state of each network at the end of each window, shape (M, U, n).

        The logistic function of x is half of 1 + tanh(x / 2). The arguments of the first three gates come halved from
        the weights, and so does what they make of the doubled state; the cell is halved here.
        """
        n_networks, n_gates, n_given = weights.shape
        units = n_gates // 4
        given = np.zeros((n_networks, n_given, len(rows)), dtype=np.float32)
        given[:, -1] = 1
        state, features = given[:, :units], given[:, units:-1]
        gates = np.empty((n_networks, n_gates, len(rows)), dtype=np.float32)
        logistic = gates[:, : 3 * units]
        take, keep, show, found = (gates[:, k * units : (k + 1) * units] for k in range(4))
        cell, shown = np.zeros_like(found), np.empty_like(found)
        for step_rows in window_rows(design, rows, self.context_length).T:
            features[:] = design.inputs[step_rows].T
            np.matmul(weights, given, out=gates)
            np.tanh(gates, out=gates)
            logistic += 1
            cell *= keep
            take *= found
            cell += take
            cell *= np.float32(0.5)
            np.tanh(cell, out=shown)
            np.multiply(show, shown, out=state)
        return state

    def _shift_calendar(self, design: Design) -> Floats32:
        """What the calendar adds to centre and log-stretch of each pattern, shape (M, 2, H, patterns)."""
        n_networks, n_sides, _ = self.calendar.shape
        shift = np.zeros((n_networks, 2, design.horizon, len(design.calendar_patterns)), dtype=np.float32)
        centred = (design.calendar_patterns - self.calendar_mean).astype(np.float32)
        shift[:, -n_sides:] = np.einsum("phc,msc->mshp", centred, self.calendar)
        return shift


def speed_up(model: ServedModel, folder: Path, design: Design, rows: Ints) -> ServedModel:
    """The same model for very many origins; a formula is fast as it is.

    Args:
        folder: That the model was opened from.
        rows: Ready rows, on some of which both are compared.

    Raises:
        ModelRefusedError: Their answers differ by more than `MAX_PARITY_ERROR` scales.
    """
    if model.candidate not in NETWORKS:
        return model
    bulk = replace(model, answering=BulkNetworks.of(read_forecaster(folder)))
    some = rows[np.linspace(0, len(rows) - 1, min(PROOF_ORIGINS, len(rows))).astype(int)]
    differences = np.abs(bulk.quantiles(design, some) - model.quantiles(design, some))
    error = float((differences / design.step_scale(some)[..., None]).max(initial=0))
    if not error <= MAX_PARITY_ERROR:
        raise ModelRefusedError(
            f"{folder}: in bulk the model differs from its graph by {error:.2g} scales, needs at most "
            f"{MAX_PARITY_ERROR:g}; install the version of numpy that the lock names"
        )
    return bulk


def _scale_gates(on_state: Floats32, on_features: Floats32, bias: Floats32, more: Floats32) -> Floats32:
    """The weights of the gates on doubled state, features and 1, in the order of `BulkNetworks.gates`."""
    joined = np.concatenate([on_state / 2, on_features, (bias + more)[..., None]], axis=-1)
    take, keep, found, show = np.split(joined, 4, axis=1)  # PyTorch's order
    return np.concatenate([take / 2, keep / 2, show / 2, found], axis=1).astype(np.float32)
