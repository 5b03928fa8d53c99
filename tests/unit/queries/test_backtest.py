"""A backtest of one series: its figures are those of the forecasts in its file, and training data are no evidence."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from loopcast.errors import DataRefusedError
from loopcast.evidence.comparison import compare
from loopcast.evidence.metrics import pinball_loss
from loopcast.model.baselines import Ewma
from loopcast.queries import backtest
from loopcast.queries.backtest import FORECASTS_FILE, backtest_series
from loopcast.queries.kinds import QueryCancelledError
from loopcast.queries.requests import BacktestRequest
from tests.panels import make_panel, make_panel_problem
from tests.queried import hear_nothing, make_champion, make_formula

UNTIL = datetime(2016, 1, 4, tzinfo=UTC)
ASKED = BacktestRequest(series_id="S1")


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    """A network of simulated prices, trained until some day in the middle."""
    return make_champion(tmp_path_factory.mktemp("model"), trained_until_utc=UNTIL)


def read_file(folder):
    """The forecasts that the file holds."""
    return pd.read_csv(folder / FORECASTS_FILE, parse_dates=["origin_utc", "target_utc"])


def test_the_figures_are_those_of_the_forecasts_in_the_file(champion, tmp_path):
    """Recomputed from the file by the plain formulas, side by side with the baseline at the same origins."""
    found = backtest_series(ASKED, champion, tmp_path, hear_nothing)

    rows = read_file(tmp_path)
    rows = rows[rows["is_evidence"] & rows["actual"].notna() & (rows["horizon"] == 2)]
    levels = np.asarray(champion.problem.quantiles)
    design, times = champion.design, champion.design.timestamp_utc
    origins = np.flatnonzero(
        (design.series == 1) & np.isin(times, rows["origin_utc"].dt.tz_localize(None).to_numpy(dtype="datetime64[us]"))
    )
    change = (np.log(rows["actual"].to_numpy()) - design.level[origins])[:, None]
    quantiles = np.log(rows.filter(like="q_").to_numpy()) - design.level[origins, None]
    baseline = Ewma(champion.problem.features.decay, levels).quantiles(design, origins)[:, 1]
    loss, reference = (
        pinball_loss(change, each[:, None], levels)[:, 0] for each in (quantiles, baseline)
    )  # fmt: skip
    skill = compare(loss, reference, times[origins], horizon=2)
    figures = found.stretches[1].by_horizon[1]
    is_covered = (rows["actual"] >= rows["q_0.1"]) & (rows["actual"] <= rows["q_0.9"])
    assert figures.n_judged == len(rows)
    assert figures.pinball == pytest.approx(loss.mean())
    assert (figures.skill_ratio, figures.t_statistic) == pytest.approx((skill.gain_ratio, skill.t_statistic))
    assert figures.coverage_80_ratio == pytest.approx(is_covered.mean())
    assert figures.width_80 == pytest.approx((np.log(rows["q_0.9"]) - np.log(rows["q_0.1"])).mean())


def test_every_origin_and_horizon_is_in_the_file_beside_what_came_true(champion, tmp_path):
    """The last steps, which have not, are empty."""
    found = backtest_series(ASKED, champion, tmp_path, hear_nothing)

    rows = read_file(tmp_path)
    series = champion.history[champion.history["series_id"] == "S1"].set_index("timestamp_utc")["target"]
    known = rows.dropna(subset="actual")
    ready = champion.design.is_ready & (champion.design.series == 1)
    assert len(rows) == ready.sum() * 3 == found.n_origins * 3
    assert known["actual"].to_numpy() == pytest.approx(series[known["target_utc"]].to_numpy())
    assert len(rows) - len(known) == found.n_pending_steps == 1 + 2 + 3


def test_what_the_version_was_trained_on_is_told_apart_and_is_no_evidence(champion, tmp_path):
    """The origin at the end of the training data is evidence: none of its targets was seen."""
    found = backtest_series(ASKED, champion, tmp_path, hear_nothing)

    seen, unseen = found.stretches
    assert [each.is_evidence for each in found.stretches] == [False, True]
    assert seen.last_origin_utc < UNTIL == unseen.first_origin_utc
    assert seen.n_origins + unseen.n_origins == found.n_origins
    assert "That is no evidence of skill: version 3 was trained on the data until 2016-01-04" in found.sentences[1]
    assert len(found.sentences) == 3


def test_a_range_of_days_is_kept_to(champion, tmp_path):
    """Both days included."""
    asked = BacktestRequest(series_id="S1", since=date(2016, 2, 1), until=date(2016, 2, 5))

    found = backtest_series(asked, champion, tmp_path, hear_nothing)

    [stretch] = found.stretches
    assert (stretch.is_evidence, stretch.n_origins) == (True, 5)
    assert [each.date() for each in (stretch.first_origin_utc, stretch.last_origin_utc)] == [asked.since, asked.until]
    assert stretch.total.t_statistic == 0.0
    assert "which may be chance" in found.sentences[0]


def test_the_baseline_has_no_skill_against_itself(tmp_path):
    """Nor more or less than its own width."""
    problem = make_panel_problem()
    formula = Ewma(problem.features.decay, np.asarray(problem.quantiles))
    champion = make_formula(tmp_path / "model", formula, problem, make_panel())

    found = backtest_series(ASKED, champion, tmp_path, hear_nothing)

    total = found.stretches[1].total
    assert (total.skill_ratio, total.t_statistic) == (0.0, 0.0)
    assert total.width_80 == total.baseline_width_80


def test_steps_that_never_came_true_are_not_judged(tmp_path):
    """A range of the last day alone has nothing to show but the forecasts."""
    champion = make_champion(tmp_path / "model")
    last = champion.design.timestamp_utc.max().astype("datetime64[D]").item()

    found = backtest_series(BacktestRequest(series_id="S0", since=last), champion, tmp_path, hear_nothing)

    assert found.stretches[0].total.n_judged == 0
    assert found.stretches[0].total.pinball is None
    assert found.sentences == (f"1 origins from {last} to {last}: nothing has come true yet.",)
    assert len(read_file(tmp_path)) == 3


def test_a_range_without_origins_is_refused_with_the_one_that_has_some(champion, tmp_path):
    """The first day of the history is no origin: features need some days before."""
    asked = BacktestRequest(series_id="S1", since=date(2015, 1, 5), until=date(2015, 1, 9))

    with pytest.raises(DataRefusedError, match="S1: no origin from 2015-01-05 to 2015-01-09; it can be forecast from"):
        backtest_series(asked, champion, tmp_path, hear_nothing)


def test_too_many_origins_are_refused(champion, tmp_path, monkeypatch):
    """With how many there may be."""
    monkeypatch.setattr(backtest, "MAX_STEPS", 300)

    with pytest.raises(DataRefusedError, match=r"434 origins of 3 steps .* needs at most 100 origins; ask for fewer"):
        backtest_series(ASKED, champion, tmp_path, hear_nothing)


def test_it_reports_block_by_block_and_stops_when_told_to(champion, tmp_path, monkeypatch):
    """The block that was begun is the last."""
    monkeypatch.setattr(backtest, "BLOCK_STEPS", 300)
    told = []

    def stop(ratio, _sentence):
        told.append(ratio)
        if ratio >= 0.4:
            raise QueryCancelledError("stopped")

    with pytest.raises(QueryCancelledError):
        backtest_series(ASKED, champion, tmp_path, stop)

    assert told == sorted(told)
    assert len(told) == 3
