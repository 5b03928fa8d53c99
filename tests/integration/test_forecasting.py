"""Forecasts in bulk on a real database: each stored once, with the numbers that the online service gives."""

import os
import signal
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from psycopg.rows import TupleRow

from loopcast.features import build_design
from loopcast.forecasts import Forecasts, ForecastSource
from loopcast.model.baselines import Ewma
from loopcast.model.batch import ChosenModel, Part, Span, choose_origins
from loopcast.model.folder import save_forecaster
from loopcast.model.served import make_forecasts, open_served_model
from loopcast.stores.batch import BLOCK_FORECASTS, MIN_SHARE_FORECASTS, Batch, forget_old, read_shown
from loopcast.stores.database import Database
from loopcast.stores.forecasts import ForecastStore
from tests.forecast_factory import make_stored
from tests.integration.models import run_elsewhere
from tests.networks import save_network
from tests.panels import make_panel, make_panel_problem

MAX_ERROR_SCALES = 1e-5
ALWAYS = Span(since_utc=datetime(2000, 1, 1, tzinfo=UTC), until_utc=datetime(2100, 1, 1, tzinfo=UTC))
WHOLE = Part(first=0, end=10**9)


def choose(name: str) -> ChosenModel:
    """Version 3 of a problem."""
    return ChosenModel(problem=name, version=3, weights_sha256="5a" * 32, request_id="run-1")


def open_formula(name: str, folder: Path, n_series: int, n_steps: int) -> Batch:
    """A run of a formula, which is quick, over a panel of this size."""
    problem = make_panel_problem(name=name)
    save_forecaster(Ewma(0.94, np.asarray(problem.quantiles)), problem, folder)
    design = build_design(make_panel(n_series=n_series, n_steps=n_steps), problem)
    return Batch(choose(name), folder, open_served_model(folder), design)


def store_all(batch: Batch, log: ForecastStore, n_processes: int = 1) -> int:
    """Store the forecasts from all origins of a run's design."""
    return batch.store_part(batch.model.problem, ALWAYS, WHOLE, log, n_processes)


def read_rows(database: Database, name: str) -> list[TupleRow]:
    """What is stored of a problem, without the moments of writing."""
    with database.connect() as connection:
        return connection.execute(
            "SELECT id, series_id, origin_utc, model_version, source, origin_value, ewma_deviation, target_utc, "
            "quantiles, features_digest FROM loopcast.forecasts WHERE problem = %s ORDER BY origin_utc, series_id",
            [name],
        ).fetchall()


@dataclass(frozen=True)
class DyingStore(ForecastStore):
    """A store whose process is killed in the middle of a run: before, or after, its second block is written."""

    when: str = "before"

    def write(self, forecasts: Forecasts) -> int:
        """Write, and be gone."""
        is_second = self.count(forecasts.problem) > 0
        n_new = super().write(forecasts) if self.when == "after" or not is_second else 0
        if is_second:
            os.kill(os.getpid(), signal.SIGKILL)
        return n_new


@dataclass(frozen=True)
class FullStore(ForecastStore):
    """A store that needs nothing more."""

    def write(self, forecasts: Forecasts) -> int:
        """Nobody should come here."""
        raise AssertionError(f"{len(forecasts)} forecasts were made again")


def test_what_a_run_stores_is_what_the_service_would_have_answered(database, name, tmp_path):
    """The numbers of a network agree to a hundred-thousandth of a scale, everything else to the last bit."""
    panel, problem, log = make_panel(n_steps=320), make_panel_problem(name=name), ForecastStore(database)
    save_network(tmp_path, panel, problem)
    design = build_design(panel, problem)
    batch = Batch(choose(name), tmp_path, open_served_model(tmp_path), design)

    n_new = store_all(batch, log)

    rows = choose_origins(design, problem, ALWAYS)
    answered = make_forecasts(
        batch.model, design, rows, version=3, source=ForecastSource.BATCH, request_id="run-1",
        issued_at_utc=datetime.now(UTC),
    )  # fmt: skip
    stored = sorted(log.read(name, limit=len(rows) + 1), key=lambda each: (each.origin_utc, each.series_id))
    scales = design.step_scale(rows)[..., None] * answered.origin_value[:, None, None]
    errors = np.abs(np.array([each.quantiles for each in stored]) - answered.quantiles) / scales
    assert n_new == len(stored) == len(rows)
    assert errors.max() < MAX_ERROR_SCALES
    assert [each.id.bytes for each in stored] == [each.tobytes() for each in answered.ids]
    assert [each.features_digest for each in stored] == [each.tobytes().hex() for each in answered.features_digest]
    assert [each.origin_value for each in stored] == answered.origin_value.tolist()
    assert {each.request_id for each in stored} == {"run-1"}


def test_a_run_that_is_repeated_stores_nothing_twice(database, name, tmp_path):
    """The same problem, version and origins are the same forecasts, whoever asks again."""
    batch = open_formula(name, tmp_path, n_series=2, n_steps=120)
    log = ForecastStore(database)
    n_first = store_all(batch, log)
    before = read_rows(database, name)

    again = replace(batch, chosen=batch.chosen.model_copy(update={"request_id": "run-2"}))

    assert n_first == len(before) == 2 * (120 - 66)
    assert store_all(again, log) == 0
    assert read_rows(database, name) == before


def test_what_is_stored_is_not_computed_again(database, name, tmp_path):
    """A run that goes on leaves out what it finds, so that it costs only what is missing."""
    batch = open_formula(name, tmp_path, n_series=2, n_steps=120)
    store_all(batch, ForecastStore(database))

    assert store_all(batch, FullStore(database)) == 0


def test_another_version_makes_forecasts_of_its_own(database, name, tmp_path):
    """A new champion forecasts from the same origins, and what its predecessor said stays."""
    batch = open_formula(name, tmp_path, n_series=1, n_steps=100)
    log = ForecastStore(database)
    store_all(batch, log)

    n_new = store_all(replace(batch, chosen=batch.chosen.model_copy(update={"version": 4})), log)

    assert n_new == 34
    assert log.count(name) == 68


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_was_killed_goes_on_and_ends_with_each_row_once(database, name, tmp_path, when):
    """Killed before or after its second block was written, and then run again: as if nothing had happened."""
    batch = open_formula(name, tmp_path / "killed", n_series=30, n_steps=66 + 3 * BLOCK_FORECASTS // 30)
    undisturbed = open_formula(f"{name}_whole", tmp_path / "whole", n_series=30, n_steps=len(batch.design.level) // 30)
    log = ForecastStore(database)

    code = run_elsewhere(store_all, batch, DyingStore(database, when))
    n_before = log.count(name)
    n_after = store_all(batch, log)

    n_all = store_all(undisturbed, log)
    assert code == -signal.SIGKILL
    assert n_before == (1 if when == "before" else 2) * BLOCK_FORECASTS
    assert n_before + n_after == n_all == 30 * (3 * BLOCK_FORECASTS // 30)
    assert leave_out_ids(read_rows(database, name)) == leave_out_ids(read_rows(database, undisturbed.chosen.problem))


@pytest.mark.slow
def test_processes_that_share_a_run_store_what_one_stores(database, name, tmp_path):
    """Each has a stretch of time of its own; together they miss nothing and repeat nothing."""
    n_steps = 66 + 2 * MIN_SHARE_FORECASTS // 100
    batch = open_formula(name, tmp_path / "model", n_series=100, n_steps=n_steps)
    log = ForecastStore(database)

    n_new = store_all(batch, log, n_processes=2)

    assert n_new == log.count(name) == 2 * MIN_SHARE_FORECASTS
    assert store_all(batch, log) == 0


def test_the_summary_reads_the_last_forecast_of_each_series(database, name, tmp_path):
    """As it is stored: the median between the ends of the 80 % interval, step by step."""
    batch = open_formula(name, tmp_path, n_series=2, n_steps=100)
    problem, log = batch.model.problem, ForecastStore(database)
    store_all(batch, log)

    steps = read_shown(log, batch.chosen, batch.plan(problem, None))

    last = {each.series_id: each for each in log.read(name, limit=2)}
    assert [(each.series_id, each.target_utc) for each in steps] == [
        (series_id, target_utc) for series_id in ("S0", "S1") for target_utc in last[series_id].target_utc
    ]
    assert all(each.low < each.median < each.high for each in steps)
    assert steps[0].median == last["S0"].quantiles[0][problem.quantiles.index(0.5)]


def test_forecasts_are_kept_for_ever_unless_somebody_says_how_long(database, name):
    """A month without a forecast that was made lately goes as a whole, when a retention is set."""
    log = ForecastStore(database)
    log.write(make_stored(problem=name, start="1999-03-01"))
    log.write(make_stored(problem=name, start="1999-04-01", issued_at_utc=datetime.now(UTC)))

    assert (forget_old(log, None), log.count(name)) == (0, 2)
    assert forget_old(log, 12) >= 1
    assert [each.origin_utc.month for each in log.read(name)] == [4]


def leave_out_ids(rows: list[TupleRow]) -> list[TupleRow]:
    """Rows of problems of two names, by what they have in common."""
    return [row[1:] for row in rows]
