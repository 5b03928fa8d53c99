"""A forecaster as an MLflow model: how its folder is made, and what MLflow calls to load it and to forecast.

The folder holds the forecaster's own files and a copy of this package, and no pickle: MLflow imports `_load_pyfunc`
from here. The service of this project does not come this way; it loads the forecaster's files itself.
"""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pandas as pd

import loopcast
from loopcast.config import Problem
from loopcast.contracts import Panel
from loopcast.model.folder import load_forecaster
from loopcast.model.forecaster import forecast_panel, quantile_column

REQUIREMENTS: Final = (
    "mlflow", "arch", "numpy", "pandas", "pandera", "pydantic", "pydantic-settings", "pyyaml", "safetensors", "scipy",
    "torch",
)  # fmt: skip
"""What the package imports when it forecasts, and MLflow itself; stated, because MLflow would guess in a subprocess."""

MAX_EXAMPLE_SERIES: Final = 3
"""Series in the example: more than one, because some features compare series, and few, so that it can be read."""


class ServedForecaster:
    """What MLflow serves: forecasts from a history."""

    def __init__(self, folder: Path) -> None:
        self.forecaster, self.problem = load_forecaster(folder)

    def predict(self, history: pd.DataFrame) -> pd.DataFrame:
        """The forecast of each series from its last step, as `forecast_panel` returns it.

        Args:
            history: A panel in any order; times may be text in ISO 8601 (UTC where no offset is given), and
                `is_filled` may be missing.
        """
        times = pd.to_datetime(history["timestamp_utc"], utc=True, format="ISO8601").astype("datetime64[us, UTC]")
        panel = history.assign(timestamp_utc=times, is_filled=history.get("is_filled", False))
        panel = panel.sort_values(["series_id", "timestamp_utc"], ignore_index=True)
        return forecast_panel(self.forecaster, Panel.validate(panel, lazy=True), self.problem)


def _load_pyfunc(path: str) -> ServedForecaster:
    """The model whose files lie at `path`; MLflow looks for this name."""
    return ServedForecaster(Path(path))


def write_mlflow_model(forecaster: Path, problem: Problem, history: pd.DataFrame, folder: Path) -> None:
    """Write the MLflow model of a forecaster into a new folder.

    Args:
        forecaster: What `save_forecaster` wrote.
        problem: The forecaster's.
        history: A panel, of which some last rows become the example.
        folder: The forecaster's files will lie below it.
    """
    import mlflow.pyfunc
    from mlflow.models import ModelSignature

    example = _take_example(history, problem)
    mlflow.pyfunc.save_model(
        folder,
        loader_module=__name__,
        data_path=str(forecaster),
        code_paths=[str(Path(loopcast.__file__).parent)],
        conda_env=_describe_environment(),
        signature=ModelSignature(_describe_inputs(example), _describe_outputs(problem)),
        input_example=example,
    )


def _take_example(history: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """As many last rows of a few series, those that are forecast first, as an answer needs."""
    names = sorted(history["series_id"].unique(), key=lambda name: not problem.is_forecast(name))
    few = history[history["series_id"].isin(names[:MAX_EXAMPLE_SERIES])]
    n_rows = problem.features.scales[-1] + problem.network.context_length
    return few.groupby("series_id").tail(n_rows).reset_index(drop=True)


def _describe_inputs(example: pd.DataFrame) -> Any:
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    # Not `datetime`, which refuses times with a zone.
    types: dict[str, Any] = {"series_id": "string", "timestamp_utc": AnyType(), "is_filled": "boolean"}  # type: ignore[no-untyped-call]
    return Schema(
        [ColSpec(types.get(name, "double"), name, required=name != "is_filled") for name in map(str, example.columns)]
    )


def _describe_outputs(problem: Problem) -> Any:
    from mlflow.types import ColSpec, Schema

    types = {"series_id": "string", "origin_utc": "datetime", "target_utc": "datetime", "horizon": "long"}
    types |= {quantile_column(level): "double" for level in problem.quantiles}
    return Schema([ColSpec(kind, name) for name, kind in types.items()])


def _describe_environment() -> dict[str, Any]:
    """The environment as conda writes it, from which MLflow also writes requirements.txt."""
    packages = [f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS]  # torch of any build
    return {"dependencies": [f"python={platform.python_version()}", "pip", {"pip": packages}]}
