"""A model as services and batch runs use it: opened and proven without PyTorch, asked for forecasts as they are stored.

What a forecast is stands in `forecasts`; how a history becomes a design in `features` and `history`.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from safetensors import SafetensorError

from loopcast.config import Problem
from loopcast.errors import ModelRefusedError, StoreError
from loopcast.features import Design, window_rows
from loopcast.forecasts import ID_BYTES, Forecasts, ForecastSource, identify_forecasts
from loopcast.grid import steps_after
from loopcast.model.folder import read_forecaster
from loopcast.model.forecaster import Candidate
from loopcast.model.parity import open_proven
from loopcast.model.session import BLOCK_ROWS
from loopcast.typing import Floats, Ids, Ints, Names, Times

NETWORKS: Final = frozenset({Candidate.LINEAR, Candidate.LSTM})


class Answering(Protocol):
    """What gives quantiles: a formula, or the session of a network's graph."""

    def quantiles(self, design: Design, rows: Ints) -> Floats:
        """As `Forecaster.quantiles`."""


@dataclass(frozen=True)
class ServedModel:
    """A forecaster that is ready to answer.

    Attributes:
        problem: That it was fitted to.
        candidate: Which of the rivals it is.
        weights_sha256: Of all that was fitted.
        answering: What computes.
    """

    problem: Problem
    candidate: Candidate
    weights_sha256: str
    answering: Answering

    def quantiles(self, design: Design, rows: Ints) -> Floats:
        """The quantiles of the change of the level over each horizon, ascending, shape (n, H, K)."""
        return self.answering.quantiles(design, rows)


def open_served_model(folder: Path) -> ServedModel:
    """The model that lies in a forecaster's folder, warm, after its answers were compared with those of the training.

    Raises:
        ModelRefusedError: Files are missing or changed, or the model answers otherwise than PyTorch did.
    """
    try:
        saved = read_forecaster(folder)
        answering = open_proven(saved, folder) if saved.candidate in NETWORKS else saved.restore()
    except StoreError as exc:
        raise ModelRefusedError(str(exc)) from exc
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as exc:
        raise ModelRefusedError(f"{folder}: no whole model: {exc!r}; fetch the model again") from exc
    return ServedModel(saved.problem, saved.candidate, saved.weights_sha256, answering)


def latest_origins(design: Design, problem: Problem) -> dict[str, int]:
    """The row of the last step of each series that is forecast and ready, by series."""
    last = np.flatnonzero(np.r_[design.series[1:] != design.series[:-1], True])
    names = [design.series_ids[code] for code in design.series[last]]
    return {
        name: int(row)
        for name, row in zip(names, last, strict=True)
        if design.is_ready[row] and problem.is_forecast(name)
    }


def make_forecasts(
    model: ServedModel,
    design: Design,
    rows: Ints,
    *,
    version: int,
    source: ForecastSource,
    request_id: str,
    issued_at_utc: datetime,
) -> Forecasts:
    """The forecasts from the rows of a design, in the target's unit, as they are answered and stored.

    Args:
        rows: Ready rows, shape (n,), which are the forecasts' origins.
    """
    problem = model.problem
    with np.errstate(over="ignore"):  # beyond all floats lies infinity, which callers refuse and stores do not keep
        levels = design.level[rows, None, None] + model.quantiles(design, rows)
        values = np.exp(levels) if problem.transform == "log" else levels
    origins = design.timestamp_utc[rows]
    series_ids = np.array(design.series_ids, dtype=object)[design.series[rows]]
    return Forecasts(
        problem=problem.name,
        model_version=version,
        source=source,
        ids=_make_ids(source, problem.name, version, series_ids, origins),
        series_ids=series_ids,
        origin_utc=origins,
        origin_value=design.target[rows],
        ewma_deviation=design.ewma_deviation[rows],
        target_utc=steps_after(origins[:, None], np.arange(1, problem.horizon + 1), problem),
        quantiles=values,
        features_digest=_digest_windows(design, rows, problem.network.context_length),
        issued_at_utc=issued_at_utc,
        request_id=request_id,
    )


def _make_ids(source: ForecastSource, problem: str, version: int, series_ids: Names, origins: Times) -> Ids:
    """Random for what a request asked for; else told by what is forecast, so that a run repeated makes no new ones."""
    if source is ForecastSource.ONLINE:
        octets = np.frombuffer(os.urandom(ID_BYTES * len(origins)), dtype=np.uint8).reshape(-1, ID_BYTES).copy()
        octets[:, 6] = octets[:, 6] & 0x0F | 0x40  # UUID version 4
        octets[:, 8] = octets[:, 8] & 0x3F | 0x80  # RFC 4122 variant
        return octets.view(f"V{ID_BYTES}").ravel()
    return identify_forecasts(source, problem, version, series_ids, origins)


def _digest_windows(design: Design, rows: Ints, length: int) -> Ids:
    """BLAKE2b of the features in the window that ends at each row."""
    digests = []
    for first in range(0, len(rows), BLOCK_ROWS):
        windows = design.inputs[window_rows(design, rows[first : first + BLOCK_ROWS], length)]
        digests += [hashlib.blake2b(window, digest_size=ID_BYTES).digest() for window in windows]
    return np.frombuffer(b"".join(digests), dtype=f"V{ID_BYTES}")
