"""A champion as long queries read it: a network that nobody trained, quick to make, on a simulated panel."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.features import build_design
from loopcast.model.folder import save_forecaster
from loopcast.model.forecaster import Forecaster
from loopcast.model.residual import Lstm, Residual
from loopcast.model.served import open_served_model
from loopcast.queries.champion import Champion
from loopcast.sections.data import Columns, Covariate, Ohlc
from tests.networks import save_network
from tests.panels import make_panel, make_panel_problem

PRICED = Columns(
    timestamp="day",
    target="price",
    series_id="name",
    ohlc=Ohlc(open="open", high="high", low="low", close="close"),
    covariates=(Covariate(column="volume", transform="log"),),
)
"""Prices and a covariate, as the problem `google` has them."""


def make_priced_panel(n_series: int = 2, n_steps: int = 500) -> pd.DataFrame:
    """A panel of a problem with these columns."""
    panel = make_panel(n_series, n_steps, has_ranges=True)
    return panel.assign(covariate_volume=np.random.default_rng(1).uniform(1, 2, len(panel)))


def make_champion(
    folder: Path,
    *,
    problem: Problem | None = None,
    panel: pd.DataFrame | None = None,
    network: type[Residual] = Lstm,
    trained_until_utc: datetime = datetime(2016, 1, 4, tzinfo=UTC),
) -> Champion:
    """Version 3, a network, on the panel."""
    problem = make_panel_problem(columns=PRICED) if problem is None else problem
    panel = make_priced_panel() if panel is None else panel
    save_network(folder, panel, problem, network)
    return open_champion(folder, panel, trained_until_utc)


def make_formula(folder: Path, formula: Forecaster, problem: Problem, panel: pd.DataFrame) -> Champion:
    """Version 3, a formula, on the panel."""
    save_forecaster(formula, problem, folder)
    return open_champion(folder, panel, datetime(2016, 1, 4, tzinfo=UTC))


def open_champion(folder: Path, panel: pd.DataFrame, trained_until_utc: datetime) -> Champion:
    """What lies in a forecaster's folder, as version 3."""
    model = open_served_model(folder)
    design = build_design(panel, model.problem)
    return Champion(
        version=3,
        trained_until_utc=trained_until_utc,
        model=model,
        folder=folder,
        history=panel,
        design=design,
        background=design.inputs[design.is_ready].mean(axis=0),
    )


def hear_nothing(_ratio: float, _sentence: str) -> None:
    """A `Report` that nobody reads."""
