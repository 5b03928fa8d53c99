"""An uploaded file becomes the forecasts that a source with its rows would get; what is wrong in it is told."""

import numpy as np
import pandas as pd
import pytest

from loopcast.errors import DataRefusedError
from loopcast.features import build_design
from loopcast.model.forecaster import forecast_rows
from loopcast.panel import build_panel
from loopcast.queries import bulk_forecast, upload
from loopcast.queries.bulk_forecast import FORECASTS_FILE, RefusedRow, forecast_upload
from loopcast.queries.kinds import QueryCancelledError
from loopcast.refusals import Reason
from tests.panels import make_panel, make_panel_problem
from tests.queried import hear_nothing, make_champion

PROBLEM = make_panel_problem(forecast_series=["S0"])


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    """A network of simulated prices, of which one series alone is forecast in service."""
    return make_champion(tmp_path_factory.mktemp("model"), problem=PROBLEM, panel=make_panel())


def make_rows(lengths):
    """Rows of a file: business days of each series, up to the same day."""
    rng = np.random.default_rng(5)
    days = pd.bdate_range("2015-01-05", periods=max(lengths.values())).strftime("%Y-%m-%d")
    frames = [
        pd.DataFrame({"name": name, "day": days[-n:], "price": 100 * np.exp(rng.normal(0, 0.01, n).cumsum())})
        for name, n in lengths.items()
    ]
    return pd.concat(frames, ignore_index=True)


def send(rows, champion, folder, report=hear_nothing):
    """What becomes of a file with these rows."""
    folder.mkdir(exist_ok=True)
    path = folder / "upload.csv"
    rows.to_csv(path, index=False)
    return forecast_upload(path, champion, folder, report)


def test_every_series_gets_the_forecast_of_a_source_with_the_same_rows(champion, tmp_path, monkeypatch):
    """Also those that the problem only pools; read in several parts, in any order of the rows."""
    monkeypatch.setattr(upload, "PART_ROWS", 150)
    rows = make_rows({"S0": 120, "new one": 100, "A": 90}).sample(frac=1, random_state=0)

    found = send(rows, champion, tmp_path)

    quality = PROBLEM.quality.model_copy(update={"min_rows": 70})
    every = PROBLEM.model_copy(update={"forecast_series": (), "quality": quality})
    panel = build_panel(rows, every).panel
    design = build_design(panel, every)
    last = np.flatnonzero(np.diff(design.series, append=-1))
    expected = forecast_rows(champion.model.quantiles(design, last), design, last, every)
    made = pd.read_csv(tmp_path / FORECASTS_FILE, parse_dates=["origin_utc", "target_utc"])
    quantiles = [name for name in made if name.startswith("q_")]
    assert made["series_id"].tolist() == expected["series_id"].tolist() == ["A"] * 3 + ["S0"] * 3 + ["new one"] * 3
    assert made[quantiles].to_numpy() == pytest.approx(expected[quantiles].to_numpy(), rel=1e-6)
    assert (made["target_utc"] == expected["target_utc"]).all()
    assert (found.n_rows, found.n_refused, found.n_series, found.n_forecast) == (310, 0, 3, 3)
    assert len(found.notes) == 3
    assert all("rows were sorted" in note for note in found.notes)


def test_refused_rows_are_kept_aside_and_counted_with_examples(champion, tmp_path):
    """With their places in the file and why."""
    rows = make_rows({"A": 500, "B": 500})
    rows.loc[[3, 700], "price"] = [np.nan, -1.0]
    rows.loc[800, "day"] = "soon"

    found = send(rows, champion, tmp_path)

    assert (found.n_refused, found.n_forecast) == (3, 2)
    assert found.refused_by_reason == {Reason.MISSING_TARGET: 1, Reason.NOT_POSITIVE: 1, Reason.BAD_TIMESTAMP: 1}
    assert found.refused_examples == (
        RefusedRow(row_number=4, series_id="A", reason=Reason.MISSING_TARGET),
        RefusedRow(row_number=701, series_id="B", reason=Reason.NOT_POSITIVE),
        RefusedRow(row_number=801, series_id="B", reason=Reason.BAD_TIMESTAMP),
    )


def test_more_refused_rows_than_a_training_bears_refuse_the_file(champion, tmp_path):
    """With the reasons, examples and the next step; decimal commas are the usual one."""
    rows = make_rows({"A": 100}).assign(price="1,5")

    with pytest.raises(DataRefusedError) as refused:
        send(rows, champion, tmp_path)

    assert str(refused.value) == (
        "100 of the first 100 rows refused: 100 not_a_number; of 100 rows at most 1.0% may be; for example "
        "row 1: not_a_number; row 2: not_a_number; row 3: not_a_number; write numbers without units, with a point, "
        "or as the problem's source has them"
    )


def test_series_without_a_forecast_are_named_with_the_reason(champion, tmp_path):
    """Too short, or cut by a gap before their end."""
    rows = make_rows({"long": 400, "short": 20, "cut": 400})
    rows = rows.drop(index=range(420 + 350, 420 + 380))

    found = send(rows, champion, tmp_path)

    assert (found.n_series, found.n_forecast, found.n_left_out) == (3, 1, 2)
    assert found.left_out_examples[0].startswith("cut: 20 steps without a long gap up to 2016-07-15")
    assert found.left_out_examples[1] == "short: needs 70 rows without a long gap between them"
    assert found.refused_by_reason == {Reason.TOO_SHORT_SERIES: 20}
    assert found.n_refused == 0


def test_a_file_of_short_series_alone_is_refused(champion, tmp_path):
    """With what the first of them lacks."""
    with pytest.raises(DataRefusedError, match=r"^no series can be forecast: A: needs 70 rows without a long gap"):
        send(make_rows({"A": 20, "B": 10}), champion, tmp_path)


def test_formulas_in_names_are_text_in_the_file(champion, tmp_path):
    """They are never computed: here they are names, there they have an apostrophe."""
    found = send(make_rows({"=cmd|' /C calc'!A0": 80, "@SUM(A1)": 80}), champion, tmp_path)

    made = pd.read_csv(tmp_path / FORECASTS_FILE)
    assert found.n_forecast == 2
    assert made["series_id"].unique().tolist() == ["'=cmd|' /C calc'!A0", "'@SUM(A1)"]


def test_values_beyond_all_measure_are_refused(champion, tmp_path):
    """With the series."""
    rows = make_rows({"A": 80})
    rows.loc[40:, "price"] *= np.where(np.arange(40) % 2, 1e200, 1e-200)

    with pytest.raises(DataRefusedError, match=r"^A: the history leads to forecasts that are no numbers"):
        send(rows, champion, tmp_path)


def test_it_reports_in_order_and_stops_when_told_to(champion, tmp_path, monkeypatch):
    """Part by part."""
    monkeypatch.setattr(upload, "PART_ROWS", 100)
    monkeypatch.setattr(bulk_forecast, "BLOCK_STEPS", 3)
    rows, told = make_rows({f"S{k}": 100 for k in range(5)}), []
    send(rows, champion, tmp_path, lambda ratio, sentence: told.append((ratio, sentence)))

    assert [ratio for ratio, _ in told] == sorted(ratio for ratio, _ in told)
    checks = dict.fromkeys(sentence for _, sentence in told if sentence.startswith("Checking"))
    assert list(checks) == [f"Checking the rows: {n} of 500" for n in (0, 100, 200, 300, 400)]
    assert told[-1][1] == "4 of 5 forecasts"

    def stop(ratio, _sentence):
        if ratio > 0.5:
            raise QueryCancelledError("stopped")

    with pytest.raises(QueryCancelledError):
        send(rows, champion, tmp_path, stop)
