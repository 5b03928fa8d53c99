"""A day's monitoring is one run in Evidently's storage, with figures from roll-ups and plots from a small sample."""

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import ks_2samp

from loopcast.health.histogram import choose_bins, count_values
from loopcast.health.report_account import Pair
from loopcast.health.steps import Column
from loopcast.stores.evidently_project import EvidentlyStore, identify_project, quieted
from tests.account_of_monitoring import make_account, make_empty_account

with quieted():
    from loopcast.stores.evidently_report import SAMPLE_ROWS, run_report, sample_columns


@pytest.fixture
def store(database) -> EvidentlyStore:
    """The store under test."""
    return EvidentlyStore(database)


def make_named(name: str, **changes):
    """An account of a problem that no other test uses."""
    account = make_account(**changes)
    return replace(account, problem=account.problem.model_copy(update={"name": name}))


def count(database, table: str, name: str) -> int:
    """Rows of the problem's project in a table of Evidently's."""
    project = identify_project(name)
    where = "id LIKE %s" if table == "blobs" else "project_id = %s"
    with database.connect() as connection:
        query = f"SELECT count(*) FROM evidently.{table} WHERE {where}"
        return connection.execute(query, [f"{project}/%" if table == "blobs" else project]).fetchone()[0]


def values_of(snapshot) -> dict[str, float]:
    """Every single value of a run, by the metric's name."""
    return {each.display_name: each.value for each in snapshot.metric_results.values() if hasattr(each, "value")}


def failed(snapshot) -> list[str]:
    """What Evidently's tests hold to be off."""
    return [each.name.split(":")[0] for each in snapshot.tests_results if each.status.value in {"FAIL", "WARNING"}]


def test_the_distances_of_roll_ups_are_those_of_the_values():
    """Without any of them in the run."""
    rng = np.random.default_rng(0)
    trained, live = rng.standard_normal(50_000), 1.2 * rng.standard_normal(30_000)
    bins = choose_bins(trained)
    columns = {Column.STANDARDISED_CHANGE: Pair(count_values(live, bins), count_values(trained, bins))}

    snapshot = run_report(make_account(columns=columns))

    found = values_of(snapshot)
    assert found["standardised change: ks distance from training"] == pytest.approx(
        ks_2samp(live, trained).statistic, abs=0.0033
    )
    assert found["standardised change: wasserstein distance from training"] == pytest.approx(
        np.abs(np.quantile(live, q := np.linspace(0, 1, 2001)[1:-1]) - np.quantile(trained, q)).mean(), rel=0.02
    )


def test_figures_with_a_limit_are_tests_of_evidently():
    """A sound day passes all of them; one on which volatility doubled says what is off."""
    assert failed(run_report(make_account(columns={}))) == []

    assert "drift, in thresholds" in " ".join(failed(run_report(make_account(stretch=3.0, columns={}))))


def test_the_sample_behind_the_plots_is_small_and_without_chance():
    """Whatever number of rows it stands for."""
    account = make_account()

    sample = sample_columns(account, is_live=True)

    assert len(sample) == SAMPLE_ROWS <= 20_000
    assert sample.equals(sample_columns(account, is_live=True))
    for column, pair in account.columns.items():
        assert sample[column.value].mean() == pytest.approx(pair.live.mean, abs=0.05 * pair.live.deviation)


def test_a_day_that_is_monitored_twice_has_one_run(store, database, name):
    """The second one; nothing of the first is left behind."""
    first = store.keep_run(make_named(name))
    counts = {table: count(database, table, name) for table in ("snapshots", "points", "blobs")}
    second = store.keep_run(make_named(name))
    store.keep_run(replace(make_named(name), as_of=make_account().as_of + timedelta(days=1)))

    assert first != second
    assert counts["snapshots"] == counts["blobs"] == 1
    assert {table: count(database, table, name) for table in counts} == {t: 2 * n for t, n in counts.items()}
    with database.connect() as connection:
        [(title, panels)] = connection.execute(
            "SELECT name, json_array_length(dashboard_json::json -> 'panels') FROM evidently.projects WHERE id = %s",
            [identify_project(name)],
        ).fetchall()
    assert title == make_account().problem.title
    assert panels == 9


def test_runs_that_are_kept_at_once_become_one(database, name):
    """As when two monitors run."""
    failures = []

    def keep():
        try:
            EvidentlyStore(database).keep_run(make_named(name))
        except BaseException as exc:  # noqa: BLE001  the boundary of a thread
            failures.append(exc)

    threads = [threading.Thread(target=keep) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert count(database, "snapshots", name) == 1


def test_a_run_is_kept_also_inside_an_event_loop(store, database, name):
    """As in an asynchronous task."""

    async def keep():
        return store.keep_run(make_named(name))

    asyncio.run(keep())

    assert count(database, "snapshots", name) == 1


def test_a_day_without_anything_is_a_run_too(store, database, name):
    """With the counts that there are."""
    account = make_empty_account()

    store.keep_run(replace(account, problem=account.problem.model_copy(update={"name": name})))

    assert count(database, "snapshots", name) == 1
    found = values_of(run_report(account))
    assert found["quality: rows"] == 0
    assert all(np.isfinite(list(found.values())))
