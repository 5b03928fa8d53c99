"""A network candidate's ONNX graph, run by ONNX Runtime on one thread: the network as services use it, without PyTorch.

How the graph is made stands in `export`, what proves that it answers as PyTorch does in `parity`.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np

from loopcast.features import Design, window_rows
from loopcast.typing import Floats, Floats32, Ints

GRAPH_FILE: Final = "network.onnx"
BLOCK_ROWS: Final = 2048
"""Windows evaluated at once: 2048 x 84 x 14 floats are 10 MB, so memory does not grow with the number of origins."""


def graph_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises over a graph or its inputs; its errors have no common base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    return (
        errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf, errors.NoSuchFile,
        errors.NotImplemented, errors.RuntimeException,
    )  # fmt: skip


class GraphSession:
    """An open graph.

    Attributes:
        context_length: Rows of a window.
        calendar_mean: Calendar shares that move nothing, shape (H, C).
    """

    def __init__(self, file: Path, calendar_mean: Floats) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        shapes = {each.name: each.shape for each in (*self._session.get_inputs(), *self._session.get_outputs())}
        self._has_calendar = "calendar" in shapes
        self.context_length = int(shapes["window"][1])
        self.calendar_mean = calendar_mean.astype(np.float32)
        self._answer_shape = tuple(int(size) for size in shapes["quantiles"][1:])

    def quantiles(self, design: Design, rows: Ints) -> Floats:
        """As `Forecaster.quantiles`."""
        answers = np.empty((len(rows), *self._answer_shape))
        for first in range(0, len(rows), BLOCK_ROWS):
            block = slice(first, first + BLOCK_ROWS)
            [answers[block]] = self.answer(*self.read_inputs(design, rows[block]), "quantiles")
        answers *= design.step_scale(rows)[..., None]
        return answers

    def read_inputs(self, design: Design, rows: Ints) -> tuple[Floats32, Floats32]:
        """What the graph reads at the rows: windows, shape (n, context, F), and calendar shares, shape (n, H, C)."""
        windows = design.inputs[window_rows(design, rows, self.context_length)]
        return windows, design.calendar_patterns[design.calendar[rows]]

    def answer(self, windows: Floats32, calendar: Floats32, *outputs: str) -> list[Floats32]:
        """Outputs of the graph, as `export.export_onnx` names them."""
        feed = {"window": windows} | ({"calendar": calendar} if self._has_calendar else {})
        answers: list[Floats32] = self._session.run(outputs, feed)
        return answers
