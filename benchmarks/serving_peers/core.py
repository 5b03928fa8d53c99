"""What every peer answers with: a sent history becomes a forecast as in Loopcast's service, with nothing around it.

No forecast is kept, no request is judged, counted or logged.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import numpy as np

from app.histories import read_timestamps
from loopcast.forecasts import ForecastSource
from loopcast.history import SeriesHistory, design_histories
from loopcast.model.served import latest_origins, make_forecasts, open_served_model

FOLDER_VARIABLE: Final = "BENCH_MODEL"
"""Environment variable with the folder of the forecaster."""
PRICES: Final = ("open", "high", "low", "close")


class Core:
    """The model in the folder that the environment names."""

    def __init__(self) -> None:
        self.model = open_served_model(Path(os.environ[FOLDER_VARIABLE]))

    def forecast(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a body as the service takes it, in the same words."""
        problem = self.model.problem
        histories = [
            SeriesHistory(
                series_id=each["series_id"],
                timestamp_utc=read_timestamps(each["history"]["timestamp"], problem),
                target=np.array(each["history"]["target"]),
                ohlc=np.array([each["history"][name] for name in PRICES]).T,
                covariates={name: np.array(values) for name, values in each["history"]["covariates"].items()},
            )
            for each in body["series"]
        ]
        design = design_histories(histories, problem)
        rows = np.array(list(latest_origins(design, problem).values()))
        made = make_forecasts(
            self.model, design, rows,
            version=1, source=ForecastSource.ONLINE, request_id="", issued_at_utc=datetime.now(UTC),
        )  # fmt: skip
        return {
            "problem": problem.name,
            "unit": problem.unit,
            "forecasts": [
                {
                    "forecast_id": str(UUID(bytes=made.ids[i].tobytes())),
                    "series_id": made.series_ids[i],
                    "origin_utc": str(made.origin_utc[i]),
                    "target_utc": [str(moment) for moment in made.target_utc[i]],
                    "quantiles": {
                        f"{level:g}": made.quantiles[i, :, k].tolist() for k, level in enumerate(problem.quantiles)
                    },
                }
                for i in range(len(made))
            ],
        }
