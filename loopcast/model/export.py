"""Writes a network candidate as an ONNX graph and proves that it answers as PyTorch does.

The graph is built node by node: tracing exporters freeze the batch size of an LSTM's initial state, and a graph of two
dozen nodes that anyone can read is worth more than a trace of three hundred.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np

from loopcast.errors import LoopcastError
from loopcast.features import Design
from loopcast.model.parity import MAX_PARITY_ERROR, save_parity
from loopcast.model.residual import Residual
from loopcast.model.session import GRAPH_FILE, GraphSession
from loopcast.model.stretch import MAX_LOG_STRETCH
from loopcast.typing import Floats32, Ints

OPSET: Final = 17
IR_VERSION: Final = 8
GATE_ORDER: Final = (0, 3, 1, 2)
"""PyTorch's gates input, forget, cell, output in the order that ONNX wants: input, output, forget, cell."""


def export_onnx(forecaster: Residual, design: Design, rows: Ints, folder: Path) -> float:
    """Write the graph with figures that prove it, and return its largest difference from PyTorch over the rows.

    The graph takes `window` (n, context, F) and `calendar` (n, H, C), and gives, standardised, `quantiles` (n, H, K)
    and `log_stretch` (n, H); of each of M networks, before they are summed, limited and averaged, the parts of it that
    come from the past, `past_stretch` (n, M, H), and from the calendar, `calendar_stretch` (n, M, H).

    Args:
        rows: Ready rows to compare on, in batches of one and of all.
        folder: The forecaster's.

    Raises:
        LoopcastError: The difference, in scales, exceeds `MAX_PARITY_ERROR`; nothing is written.
    """
    import onnx

    graph = _build_graph(forecaster, design)
    onnx.checker.check_model(graph, full_check=True)
    file = folder / GRAPH_FILE
    onnx.save_model(graph, str(file))
    expected = forecaster.quantiles(design, rows)
    session = GraphSession(file, forecaster.calendar_mean)
    found = [session.quantiles(design, part) for part in (rows, rows[:1])]
    scale = design.step_scale(rows)[..., None]
    error = max(float((np.abs(part - expected[: len(part)]) / scale[: len(part)]).max()) for part in found)
    if not error <= MAX_PARITY_ERROR:
        file.unlink()
        raise LoopcastError(
            f"the ONNX graph differs from PyTorch by {error:.2g} scales, needs at most {MAX_PARITY_ERROR:g}; "
            f"pin the versions of onnx and onnxruntime that the lock names"
        )
    save_parity(forecaster, design, rows, folder)
    return error


def _build_graph(forecaster: Residual, design: Design) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    networks = forecaster.networks
    n_networks, horizon = len(networks), networks[0].horizon
    n_levels, n_features = forecaster.baseline.shape[1], networks[0].linear.in_features
    weights = [{name: value.numpy() for name, value in network.state_dict().items()} for network in networks]
    nodes, constants = [], []

    def constant(name: str, value: Any, dtype: Any = np.float32) -> str:
        constants.append(numpy_helper.from_array(np.array(value, dtype=dtype, order="C"), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    linear = np.concatenate([each["linear.weight"] for each in weights])
    bias = np.concatenate([each["linear.bias"] for each in weights])
    last = node("Gather", ["window", constant("last", -1, np.int64)], "last_row", axis=1)
    shape = constant("per_network", [0, n_networks, 2, horizon], np.int64)
    parts = [node("Gemm", [last, constant("linear", linear), constant("bias", bias)], "linear_out", transB=1)]
    if networks[0].lstm is not None:
        by_time = node("Transpose", ["window"], "by_time", perm=[1, 0, 2])
        heads = []
        for i, each in enumerate(weights):
            inputs = [
                by_time,
                constant(f"input_{i}", _order(each["lstm.weight_ih_l0"])[None]),
                constant(f"recurrent_{i}", _order(each["lstm.weight_hh_l0"])[None]),
                constant(f"offset_{i}", np.r_[_order(each["lstm.bias_ih_l0"]), _order(each["lstm.bias_hh_l0"])][None]),
            ]
            hidden_size = each["lstm.weight_hh_l0"].shape[1]
            nodes.append(helper.make_node("LSTM", inputs, ["", f"state_{i}"], hidden_size=hidden_size))
            state = node("Squeeze", [f"state_{i}", constant(f"axis_{i}", [0], np.int64)], f"hidden_{i}")
            head = [constant(f"head_{i}", each["head.weight"]), constant(f"head_bias_{i}", each["head.bias"])]
            heads.append(node("Gemm", [state, *head], f"head_out_{i}", transB=1))
        parts.append(node("Concat", heads, "head_out", axis=1) if len(heads) > 1 else heads[0])
    summed = node("Add", parts, "summed") if len(parts) > 1 else parts[0]
    moved = node("Reshape", [summed, shape], "moved")
    sides = [constant("centre", [0], np.int64), constant("stretch", [1], np.int64)]
    parts_of_stretch = {"past_stretch": moved}
    given = [helper.make_tensor_value_info("window", TensorProto.FLOAT, ["n", forecaster.context_length, n_features])]
    if networks[0].calendar is not None:
        given.append(
            helper.make_tensor_value_info("calendar", TensorProto.FLOAT, ["n", *forecaster.calendar_mean.shape])
        )
        centred = node("Sub", ["calendar", constant("calendar_mean", forecaster.calendar_mean)], "centred_calendar")
        tables = np.stack([_calendar_weights(each["calendar.weight"]) for each in weights])
        flat = constant("calendar_weights", tables.reshape(n_networks * 2, -1).T)
        by_step = node("MatMul", [centred, flat], "calendar_by_step")
        by_network = node("Transpose", [by_step], "calendar_by_network", perm=[0, 2, 1])
        parts_of_stretch["calendar_stretch"] = node("Reshape", [by_network, shape], "calendar_out")
        moved = node("Add", [moved, parts_of_stretch["calendar_stretch"]], "moved_by_calendar")
    for name, part in parts_of_stretch.items():
        node(
            "Squeeze",
            [node("Gather", [part, sides[1]], f"{name}_column", axis=2), constant(f"{name}_axis", [2], np.int64)],
            name,
        )
    center, raw = (node("Gather", [moved, side], f"{side}_of_each", axis=2) for side in sides)
    limits = [constant("least", -MAX_LOG_STRETCH), constant("most", MAX_LOG_STRETCH)]
    log_stretch = node("ReduceMean", [node("Clip", [raw, *limits], "clipped")], "log_stretch", axes=[1, 2], keepdims=0)
    last_axis = constant("last_axis", [-1], np.int64)
    stretch = node("Unsqueeze", [node("Exp", [log_stretch], "stretched"), last_axis], "stretch_column")
    spread = node("Mul", [stretch, constant("baseline", forecaster.baseline)], "spread")
    total = node("Add", [spread, constant("widening", forecaster.widening)], "widened")
    if networks[0].moves_center:
        mean = node("ReduceMean", [center], "mean_centre", axes=[1, 2], keepdims=0)
        total = node("Add", [total, node("Unsqueeze", [mean, last_axis], "centre_column")], "centred")
    count = constant("n_levels", [n_levels], np.int64)
    nodes.append(helper.make_node("TopK", [total, count], ["quantiles", "order"], axis=-1, largest=0, sorted=1))
    results = [
        helper.make_tensor_value_info("quantiles", TensorProto.FLOAT, ["n", horizon, n_levels]),
        helper.make_tensor_value_info("log_stretch", TensorProto.FLOAT, ["n", horizon]),
        *(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", n_networks, horizon])
            for name in parts_of_stretch
        ),
    ]
    graph = helper.make_graph(nodes, "loopcast", given, results, constants)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="loopcast"
    )


def _order(gates: Floats32) -> Floats32:
    return np.concatenate([np.split(gates, 4)[gate] for gate in GATE_ORDER])


def _calendar_weights(weight: Floats32) -> Floats32:
    """Rows for centre and log-stretch, shape (2, C), whether or not the centre moves."""
    return weight if len(weight) == 2 else np.concatenate([np.zeros_like(weight), weight])
