"""A served model answers as the trained one does, is refused where that is not proven, and makes forecasts to store."""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from loopcast.errors import ModelRefusedError
from loopcast.features import build_design
from loopcast.forecasts import ForecastSource
from loopcast.model.baselines import Ewma
from loopcast.model.folder import load_forecaster, save_forecaster
from loopcast.model.forecaster import Candidate, forecast_rows
from loopcast.model.residual import Linear, Lstm
from loopcast.model.served import latest_origins, make_forecasts, open_served_model
from loopcast.model.session import BLOCK_ROWS
from loopcast.model.split import split_for_service
from tests.networks import save_network
from tests.panels import make_panel, make_panel_problem

ROOT = Path(__file__).resolve().parents[2]
PROBLEM = make_panel_problem(forecast_series=["S0", "S1"])
PANEL = make_panel(n_series=3, n_steps=400)
DESIGN = build_design(PANEL, PROBLEM)
ROWS = np.array(sorted(latest_origins(DESIGN, PROBLEM).values()))
ISSUED = datetime(2024, 5, 8, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a network with its graph and its proof."""
    folder = tmp_path_factory.mktemp("model") / "lstm"
    save_network(folder, PANEL, PROBLEM)
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The folder of another network."""
    folder = tmp_path_factory.mktemp("model") / "other"
    save_network(folder, PANEL, PROBLEM, seed=1)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of it to spoil."""
    return Path(shutil.copytree(saved, tmp_path / "lstm"))


def forecast(folder, rows=ROWS, source=ForecastSource.BATCH, version=3, design=DESIGN):
    """The forecasts that the folder's model makes."""
    model = open_served_model(folder)
    return make_forecasts(model, design, rows, version=version, source=source, request_id="run-1", issued_at_utc=ISSUED)


@pytest.mark.parametrize("cls", [Lstm, Linear])
@pytest.mark.parametrize(
    "keys", [{}, {"features": {"calendar": []}}, {"network": {"hidden_size": 3, "moves_center": True}}]
)
def test_a_served_network_answers_as_the_trained_one(cls, keys, tmp_path):
    """With a calendar and without one, and with a centre that moves."""
    problem = make_panel_problem(**keys)
    design = build_design(PANEL, problem)
    trained = save_network(tmp_path, PANEL, problem, cls)
    rows = np.flatnonzero(design.is_ready)[::9]

    found = open_served_model(tmp_path).quantiles(design, rows)

    expected = trained.quantiles(design, rows)
    np.testing.assert_allclose(
        found / design.step_scale(rows)[..., None], expected / design.step_scale(rows)[..., None], atol=1e-5
    )


def test_rows_are_answered_block_by_block(saved):
    """More rows than are answered at once get each the answer that they get alone."""
    model, ready = open_served_model(saved), np.flatnonzero(DESIGN.is_ready)
    rows = np.resize(ready, BLOCK_ROWS + 1)

    found = model.quantiles(DESIGN, rows)

    np.testing.assert_allclose(found[[0, -1]], model.quantiles(DESIGN, rows[[0, -1]]), rtol=1e-5)


def test_a_served_formula_is_the_formula(tmp_path):
    """It needs no graph and no proof."""
    save_forecaster(Ewma.fit(DESIGN, split_for_service(DESIGN, PROBLEM), PROBLEM), PROBLEM, tmp_path)

    model = open_served_model(tmp_path)

    assert model.candidate is Candidate.EWMA
    assert np.array_equal(model.quantiles(DESIGN, ROWS), load_forecaster(tmp_path)[0].quantiles(DESIGN, ROWS))


def test_no_rows_are_no_forecasts(saved):
    """An empty part of a batch is nothing special."""
    found = forecast(saved, ROWS[:0])

    assert len(found) == 0
    assert found.quantiles.shape == (*found.target_utc.shape, 13) == (0, 3, 13)


def test_a_forecast_says_what_was_known_at_its_origin(saved):
    """Origin, last value, naive deviation, target times and quantiles in the target's unit are those of the design."""
    found = forecast(saved)

    frame = forecast_rows(open_served_model(saved).quantiles(DESIGN, ROWS), DESIGN, ROWS, PROBLEM)
    assert found.problem == "prices"
    assert (found.model_version, found.source, found.request_id) == (3, ForecastSource.BATCH, "run-1")
    assert found.issued_at_utc == ISSUED
    assert found.series_ids.tolist() == ["S0", "S1"]
    assert found.origin_utc.tolist() == [PANEL["timestamp_utc"].max().to_pydatetime().replace(tzinfo=None)] * 2
    assert found.origin_value.tolist() == PANEL.groupby("series_id")["target"].last()[["S0", "S1"]].tolist()
    assert found.ewma_deviation.tolist() == DESIGN.ewma_deviation[ROWS].tolist()
    assert np.array_equal(found.target_utc.ravel(), frame["target_utc"].dt.tz_localize(None).to_numpy())
    assert np.array_equal(found.quantiles.reshape(-1, 13), frame.filter(like="q_").to_numpy())
    assert (np.diff(found.quantiles, axis=2) >= 0).all()


def test_the_same_batch_forecast_has_the_same_id(saved):
    """The id tells source, version, series and origin, and nothing else."""
    once, again = forecast(saved), forecast(saved, ROWS[::-1])
    later = forecast(saved, ROWS - 1)
    others = [forecast(saved, version=4), forecast(saved, source=ForecastSource.REPLAY), later]

    assert once.ids.dtype == "V16"
    assert once.ids.tolist() == again.ids.tolist()[::-1]
    assert len({each for made in (once, *others) for each in made.ids.tolist()}) == 8


def test_every_online_forecast_has_an_id_of_its_own(saved):
    """Who asks twice has asked for two forecasts."""
    ids = [each for _ in range(2) for each in forecast(saved, source=ForecastSource.ONLINE).ids.tolist()]

    assert len(set(ids)) == 4
    assert {UUID(bytes=bytes(each)).version for each in ids} == {4}


def test_the_digest_tells_what_the_model_read(saved):
    """It changes with a feature in the window, and not with one before it."""
    length = PROBLEM.network.context_length
    inside, before = DESIGN.inputs.copy(), DESIGN.inputs.copy()
    inside[ROWS[0] - length + 1, 0] += 1
    before[ROWS[0] - length, 0] += 1

    digests = [
        forecast(saved, ROWS[:1], design=replace(DESIGN, inputs=inputs)).features_digest.tolist()
        for inputs in (DESIGN.inputs, before, inside)
    ]

    assert digests[0] == digests[1] != digests[2]


def test_only_series_that_are_forecast_and_ready_have_an_origin():
    """Pooled series, and those that are too short, have none."""
    short = PANEL[(PANEL["series_id"] != "S1") | (PANEL["timestamp_utc"] >= PANEL["timestamp_utc"].max())]

    assert latest_origins(build_design(short, PROBLEM), PROBLEM) == {"S0": 399}
    assert latest_origins(DESIGN, PROBLEM) == {"S0": 399, "S1": 799}


def swap_graph(folder, other):
    """Put another model's graph into the folder."""
    shutil.copy(other / "network.onnx", folder / "network.onnx")


def swap_proof(folder, other):
    """Put another model's graph and figures into the folder."""
    swap_graph(folder, other)
    shutil.copy(other / "parity.safetensors", folder / "parity.safetensors")


def change_figures(folder, other):
    """Let the proof ask for other answers, one of them no number."""
    file = folder / "parity.safetensors"
    with safe_open(file, framework="numpy") as content:
        bound = content.metadata()
    figures = load_file(file)
    figures["quantiles"][0, 0, 0] = np.nan
    save_file(figures, file, bound)


def change_features(folder, other):
    """Let the proof speak of features that this code does not know."""
    file = folder / "parity.safetensors"
    with safe_open(file, framework="numpy") as content:
        bound = content.metadata()
    save_file(load_file(file), file, bound | {"features": '["mood"]'})


def break_graph(folder, other):
    """Cut the graph off, and let the proof be of what is left."""
    graph, file = folder / "network.onnx", folder / "parity.safetensors"
    graph.write_bytes(graph.read_bytes()[:500])
    with safe_open(file, framework="numpy") as content:
        bound = content.metadata()
    save_file(load_file(file), file, bound | {"graph_sha256": hashlib.sha256(graph.read_bytes()).hexdigest()})


def change_weights(folder, other):
    """Put another model's weights into the folder."""
    shutil.copy(other / "weights.safetensors", folder / "weights.safetensors")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (swap_graph, r"parity.safetensors is of graph_sha256 \w+, found \w+; fetch the model again"),
        (swap_proof, r"parity.safetensors is of weights_sha256 \w+, found \w+; fetch the model again"),
        (change_figures, r"the graph's quantiles differ from those of the training by nan scales, needs at most 1e-05"),
        (change_features, r'parity.safetensors is of features \["mood"\], found \["change", '),
        (break_graph, r"onnxruntime cannot run network.onnx: .* install the version of onnxruntime"),
        (change_weights, r"weights hash to \w+, needs \w+; fetch the model again"),
        (lambda folder, _: (folder / "network.onnx").unlink(), r"network.onnx cannot be read: .*; fetch the model"),
        (lambda folder, _: (folder / "parity.safetensors").unlink(), r"parity.safetensors cannot be read: .*; fetch"),
        (lambda folder, _: (folder / "parity.safetensors").write_bytes(b"{}"), r"parity.safetensors cannot be read"),
        (lambda folder, _: (folder / "forecaster.json").write_text("{"), r"no whole model: .*; fetch the model again"),
        (lambda folder, _: (folder / "forecaster.json").write_text("{}"), r"no whole model: KeyError"),
        (lambda folder, _: (folder / "weights.safetensors").unlink(), r"no whole model: "),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_proven_is_refused(folder, other, spoil, sentence):
    """Files that are missing, broken, or of another model, and answers that differ, are named with the next step."""
    spoil(folder, other)

    with pytest.raises(ModelRefusedError, match=sentence):
        open_served_model(folder)


def test_serving_imports_neither_pytorch_nor_mlflow(saved):
    """A worker that opens a network and forecasts from a sent history stays small and starts at once."""
    script = f"""
import sys
from datetime import UTC, datetime
from pathlib import Path
import numpy as np
from loopcast.forecasts import ForecastSource
from loopcast.history import SeriesHistory, design_histories
from loopcast.model.attribution import attribute_width
from loopcast.model.served import make_forecasts, open_served_model
model = open_served_model(Path({str(saved)!r}))
days = np.busday_offset("2024-01-01", np.arange(100)).astype("datetime64[us]")
history = SeriesHistory("S0", days, 100 + np.sin(np.arange(100.0)), None, {{}})
design = design_histories([history], model.problem)
made = make_forecasts(model, design, np.array([99]), version=1, source=ForecastSource.ONLINE, request_id="r",
    issued_at_utc=datetime.now(UTC))
assert np.isfinite(made.quantiles).all()
attribute_width(model, design, 99, design.inputs.mean(axis=0))
print(*sorted({{name.partition(".")[0] for name in sys.modules}} & {{"torch", "mlflow", "onnx", "shap", "arch"}}))
"""
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, capture_output=True, text=True)

    assert (answer.stdout.strip(), answer.stderr) == ("", "")
