"""How a forecaster is written to a folder and read back, without pickle: arrays in safetensors, the rest in JSON."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.numpy import load_file, save_file

from loopcast.config import Problem
from loopcast.errors import StoreError
from loopcast.model.forecaster import Candidate, Forecaster

FORMAT: Final = 1
"""Of a forecaster's folder; raised when older code could not read a newer folder."""

CLASSES: Final = {
    Candidate.RANDOM_WALK: ("baselines", "RandomWalk"),
    Candidate.HISTORICAL_SIMULATION: ("baselines", "HistoricalSimulation"),
    Candidate.EWMA: ("baselines", "Ewma"),
    Candidate.GARCH_T: ("garch", "GarchT"),
    Candidate.HAR: ("baselines", "Har"),
    Candidate.LINEAR: ("residual", "Linear"),
    Candidate.LSTM: ("residual", "Lstm"),
}
"""Module and name of each candidate's class."""


class _Forecasters(Mapping[Candidate, type[Forecaster]]):
    """Imports a candidate's class when it is asked for: those of networks bring PyTorch, which takes seconds."""

    def __getitem__(self, candidate: Candidate) -> type[Forecaster]:
        module, name = CLASSES[candidate]
        cls: type[Forecaster] = getattr(import_module(f"loopcast.model.{module}"), name)
        return cls

    def __iter__(self) -> Iterator[Candidate]:
        return iter(CLASSES)

    def __len__(self) -> int:
        return len(CLASSES)


FORECASTERS: Final[Mapping[Candidate, type[Forecaster]]] = _Forecasters()


@dataclass(frozen=True)
class SavedForecaster:
    """What lies in a forecaster's folder, whole and unchanged.

    Attributes:
        candidate: Which of the rivals it is.
        problem: That it was fitted to.
        values, arrays: As `Forecaster.state` returned them.
        weights_sha256: Of both.
    """

    candidate: Candidate
    problem: Problem
    values: dict[str, Any]
    arrays: dict[str, np.ndarray[Any, Any]]
    weights_sha256: str

    def restore(self) -> Forecaster:
        """The forecaster itself."""
        return FORECASTERS[self.candidate].from_state(self.values, self.arrays, self.problem)


def save_forecaster(forecaster: Forecaster, problem: Problem, folder: Path) -> str:
    """Write a forecaster and its problem into the folder and return the SHA-256 of what was fitted."""
    folder.mkdir(parents=True, exist_ok=True)
    values, arrays = forecaster.state()
    digest = _digest_state(values, arrays)
    weights = folder / "weights.safetensors"
    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, weights)
    weights.chmod(0o644)  # safetensors lets nobody else read it, and a service may run as another user
    content = {
        "format": FORMAT,
        "candidate": forecaster.candidate.value,
        "weights_sha256": digest,
        "values": values,
        "problem": problem.model_dump(mode="json"),
    }
    (folder / "forecaster.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    return digest


def read_forecaster(folder: Path) -> SavedForecaster:
    """What `save_forecaster` wrote, with nothing imported or built that only a network needs.

    Raises:
        StoreError: The folder is of a newer format, or its weights are not those that were saved.
    """
    content = json.loads((folder / "forecaster.json").read_text(encoding="utf-8"))
    if content["format"] > FORMAT:
        raise StoreError(f"{folder}: model format {content['format']}, needs at most {FORMAT}; upgrade loopcast")
    arrays = load_file(folder / "weights.safetensors")
    digest = _digest_state(content["values"], arrays)
    if digest != content["weights_sha256"]:
        raise StoreError(
            f"{folder}: weights hash to {digest[:12]}, needs {content['weights_sha256'][:12]}; fetch the model again"
        )
    problem = Problem.model_validate(content["problem"])
    return SavedForecaster(Candidate(content["candidate"]), problem, content["values"], arrays, digest)


def load_forecaster(folder: Path) -> tuple[Forecaster, Problem]:
    """The forecaster and its problem that `save_forecaster` wrote.

    Raises:
        StoreError: The folder is of a newer format, or its weights are not those that were saved.
    """
    saved = read_forecaster(folder)
    return saved.restore(), saved.problem


def digest_forecaster(forecaster: Forecaster) -> str:
    """The SHA-256 of what was fitted, independent of the file that holds it."""
    return _digest_state(*forecaster.state())


def _digest_state(values: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]]) -> str:
    sha = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for name, value in sorted(arrays.items()):
        sha.update(f"{name}{value.dtype}{value.shape}".encode())
        sha.update(np.ascontiguousarray(value).tobytes())
    return sha.hexdigest()
