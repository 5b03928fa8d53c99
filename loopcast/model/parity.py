"""Figures kept beside a network's graph, which prove before each use that it still answers as PyTorch did.

They bind three things to each other: the weights that were registered, the graph made of them, and the features that
this code computes.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from loopcast.errors import ModelRefusedError
from loopcast.families import feature_names
from loopcast.features import Design, window_rows
from loopcast.model.folder import SavedForecaster, digest_forecaster
from loopcast.model.forecaster import Forecaster
from loopcast.model.session import GRAPH_FILE, GraphSession, graph_errors
from loopcast.typing import Floats, Ints

PARITY_FILE: Final = "parity.safetensors"
N_WINDOWS: Final = 16
"""Windows compared, spread evenly over the validation block: 80 KB, and a millisecond to answer."""
MAX_PARITY_ERROR: Final = 1e-5
"""Largest difference from PyTorch, in scales, with which a graph may be used: far below what anybody can act on."""

PROVEN: Final = ("quantiles", "log_stretch")
"""Outputs of the graph that are compared."""

FETCH: Final = "fetch the model again, or train it anew"
INSTALL: Final = "install the version of onnxruntime that the lock names"
"""What a person can do where files are wrong, and where they are right and run otherwise."""


class Network(Forecaster, Protocol):
    """A network candidate, as PyTorch runs it."""

    context_length: int

    def center_and_stretch(self, design: Design, rows: Ints) -> tuple[Floats, Floats]:
        """Shift and log-stretch of the baseline's quantiles, each of shape (n, H)."""


def save_parity(network: Network, design: Design, rows: Ints, folder: Path) -> None:
    """Write what PyTorch answers at some of the rows, for the graph that lies in the folder.

    Args:
        rows: Ready rows, at least one.
    """
    chosen = rows[np.linspace(0, len(rows) - 1, min(N_WINDOWS, len(rows))).astype(int)]
    figures = {
        "window": design.inputs[window_rows(design, chosen, network.context_length)],
        "calendar": design.calendar_patterns[design.calendar[chosen]],
        "quantiles": network.quantiles(design, chosen) / design.step_scale(chosen)[..., None],
        "log_stretch": network.center_and_stretch(design, chosen)[1],
    }
    bound = {
        "weights_sha256": digest_forecaster(network),
        "graph_sha256": _digest_file(folder / GRAPH_FILE),
        "features": json.dumps(design.feature_names),
    }
    file = folder / PARITY_FILE
    save_file({name: np.ascontiguousarray(value) for name, value in figures.items()}, file, bound)
    file.chmod(0o644)  # safetensors lets nobody else read it, and a service may run as another user


def open_proven(saved: SavedForecaster, folder: Path) -> GraphSession:
    """The session of the graph in the folder, which has answered the figures beside it, and so is warm.

    Raises:
        ModelRefusedError: The graph or its figures are missing or broken, belong to other weights or other features,
            or the graph answers otherwise.
    """
    bound, figures = _read_parity(folder)
    wanted = {
        "weights_sha256": saved.weights_sha256,
        "graph_sha256": _digest_file(folder / GRAPH_FILE),
        "features": json.dumps(feature_names(saved.problem)),
    }
    if wrong := [name for name, value in wanted.items() if bound.get(name) != value]:
        name = wrong[0]
        raise ModelRefusedError(
            f"{folder}: {PARITY_FILE} is of {name} {bound.get(name)}, found {wanted[name]}; {FETCH}"
        )
    try:
        session = GraphSession(folder / GRAPH_FILE, saved.arrays["calendar_mean"])
        found = session.answer(figures["window"], figures["calendar"], *PROVEN)
    except graph_errors() as exc:
        raise ModelRefusedError(f"{folder}: onnxruntime cannot run {GRAPH_FILE}: {exc}; {INSTALL}") from exc
    for output, values in zip(PROVEN, found, strict=True):
        error = float(np.abs(values - figures[output]).max())
        if not error <= MAX_PARITY_ERROR:
            raise ModelRefusedError(
                f"{folder}: the graph's {output} differ from those of the training by {error:.2g} scales, needs at "
                f"most {MAX_PARITY_ERROR:g}; {INSTALL}"
            )
    return session


def _read_parity(folder: Path) -> tuple[dict[str, str], dict[str, np.ndarray[Any, Any]]]:
    try:
        with safe_open(folder / PARITY_FILE, framework="numpy") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
    except (OSError, SafetensorError) as exc:
        raise ModelRefusedError(f"{folder}: {PARITY_FILE} cannot be read: {exc}; {FETCH}") from exc


def _digest_file(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as exc:
        raise ModelRefusedError(f"{file} cannot be read: {exc}; {FETCH}") from exc
