"""MLflow serves a registered model from its files alone: without pickle, and with the code it was made with."""

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pandas as pd
import pytest

from loopcast.model.folder import load_forecaster
from loopcast.model.forecaster import forecast_panel
from tests.integration.models import (
    LINEAGE,
    PANEL,
    TRAINED_UNTIL_UTC,
    save_model,
)
from tests.panels import make_panel_problem

FORECAST_IN_A_PROCESS_OF_ITS_OWN = """
import ast, inspect, sys
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
frames = [model.input_example, pd.read_parquet(sys.argv[2]), pd.read_json(sys.argv[3], convert_dates=False)]
pd.concat(map(model.predict, frames)).to_parquet(sys.argv[4])
used = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "loopcast"}
print(used["loopcast"].__file__)
for node in (node for module in used.values() for node in ast.walk(ast.parse(inspect.getsource(module)))):
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        print(getattr(node, "module", None) or node.names[0].name)
"""
"""Forecasts what MLflow's own example, a Parquet and a JSON say; prints where the code lies and what it imports."""


@pytest.fixture
def problem(name):
    """Of that name."""
    return make_panel_problem(name=name)


@pytest.fixture
def run(registry, problem):
    """An open run of a training of the problem."""
    return registry.start_run(problem, LINEAGE)


@pytest.mark.slow
def test_mlflow_serves_the_model_by_itself(registry, run, problem, tmp_path):
    """A process that has the files alone forecasts; times may come as pandas has them or as text, rows in any order."""
    save_model(problem, tmp_path / "model")
    registry.register(run, tmp_path / "model", PANEL, TRAINED_UNTIL_UTC)
    folder = Path(registry.client.download_artifacts(run.run_id, "model", str(tmp_path)))
    PANEL.sample(frac=1, random_state=0).to_parquet(tmp_path / "panel.parquet")
    PANEL.drop(columns="is_filled").to_json(tmp_path / "panel.json", orient="records", date_format="iso")
    files = [folder, tmp_path / "panel.parquet", tmp_path / "panel.json", tmp_path / "answers.parquet"]

    process = subprocess.run(
        [sys.executable, "-c", FORECAST_IN_A_PROCESS_OF_ITS_OWN, *map(str, files)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )

    expected = forecast_panel(load_forecaster(tmp_path / "model")[0], PANEL, problem)
    answers = pd.read_parquet(tmp_path / "answers.parquet")
    of_example, of_frames = answers[: len(expected)], answers[len(expected) :].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_frames, pd.concat([expected, expected], ignore_index=True), rtol=1e-9)
    assert of_example["target_utc"].tolist() == expected["target_utc"].tolist()
    code, *imports = process.stdout.split()
    assert Path(code).is_relative_to(folder)
    required = {line.partition("==")[0] for line in (folder / "requirements.txt").read_text().split()}
    assert _packages(imports) <= required
    assert not [path for path in folder.rglob("*") if path.suffix in {".pkl", ".pickle", ".pt", ".joblib"}]


def _packages(imports: list[str]) -> set[str]:
    """Names under which pip knows what is imported, as far as it is neither Python's nor ours."""
    names = {name.partition(".")[0] for name in imports} - {"loopcast", "mlflow", *sys.stdlib_module_names}
    return {packages_distributions()[name][0].lower() for name in names}
