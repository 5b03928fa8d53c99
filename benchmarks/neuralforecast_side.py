"""The peer's side of the training benchmark; runs in the peer's environment, which has neither Loopcast nor its lock.

Reads features from a NumPy archive, trains neuralforecast's LSTM of the size that Loopcast trains, and prints how long
each step took.
"""

import argparse
import json
import logging
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch

WARM_UP_STEPS = 10
"""Steps left out: the first ones allocate and compile."""
SERIES_PER_STEP = 1
"""Series whose windows are cut for a step. The library cuts all of them before it draws its batch, so fewer is faster:
on five series of 2,400 rows 1 gives three times the rate of its default of 32."""


def main() -> None:
    """Train for the given number of steps and print the seconds of each as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", help="inputs (N, F), series (N,), levels (K,)")
    for name in ("horizon", "hidden", "context", "batch", "steps"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")

    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MQLoss
    from neuralforecast.models import LSTM
    from pytorch_lightning import Callback

    class Clock(Callback):
        """Notes when each step ended, in seconds of the processor."""

        ends_s: list[float] = []

        def on_train_batch_end(self, *_: Any) -> None:
            self.ends_s.append(time.process_time())

    archive = np.load(given.archive)
    inputs, series = archive["inputs"], archive["series"]
    others = [f"x{column}" for column in range(1, inputs.shape[1])]
    rows = pd.DataFrame(inputs[:, 1:], columns=others)
    rows.insert(0, "unique_id", series.astype(str))
    rows.insert(1, "ds", rows.groupby("unique_id").cumcount())
    rows.insert(2, "y", inputs[:, 0])
    clock = Clock()
    model = LSTM(
        h=given.horizon,
        input_size=given.context,
        hist_exog_list=others,
        loss=MQLoss(quantiles=archive["levels"].tolist()),
        encoder_hidden_size=given.hidden,
        encoder_n_layers=1,
        decoder_hidden_size=given.hidden,
        decoder_layers=1,
        batch_size=SERIES_PER_STEP,
        windows_batch_size=given.batch,
        max_steps=WARM_UP_STEPS + given.steps,
        val_check_steps=10**6,
        scaler_type="identity",
        accelerator="cpu",
        callbacks=[clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    NeuralForecast([model], freq=1).fit(rows)
    print(json.dumps(np.diff(clock.ends_s[WARM_UP_STEPS:]).tolist()))


if __name__ == "__main__":
    main()
