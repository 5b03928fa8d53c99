"""What a model version came from is kept beside the forecasts that it made, and one query joins them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pandas as pd
import pytest

from loopcast.forecasts import ForecastSource
from loopcast.stores.artifacts import record_snapshot
from loopcast.stores.forecasts import ForecastStore
from loopcast.stores.model_versions import MemoryModelVersionStore, ModelVersions, ModelVersionStore
from loopcast.stores.stored_forecast import ForecastLineage
from tests.forecast_factory import ISSUED_AT_UTC, make_answered
from tests.integration.versions import make_version


@pytest.fixture(params=["memory", "postgresql"])
def versions(request) -> ModelVersions:
    """A store of what versions came from."""
    if request.param == "memory":
        return MemoryModelVersionStore()
    return ModelVersionStore(request.getfixturevalue("database"))


@pytest.mark.parametrize("field", [None, "git_commit", "is_git_dirty", "execution_id", "execution_url"])
def test_a_version_comes_back_as_it_was_recorded(versions, name, field):
    """Also where the code had no commit, or the training no execution."""
    record = make_version(problem=name, **({} if field is None else {field: None}))

    versions.record(record)

    assert versions.get(name, 3) == record
    assert versions.get(name, 4) is None
    assert versions.get("nobody's", 3) is None


def test_a_version_that_is_recorded_again_stays_as_it_was(versions, name):
    """A version never changes."""
    record = make_version(problem=name)
    versions.record(record)

    versions.record(make_version(problem=name, run_id="another"))

    assert versions.get(name, 3) == record


def test_of_two_versions_with_one_number_the_later_one_is_known(versions, name):
    """MLflow gives the number of a deleted version again."""
    first = make_version(problem=name)
    again = make_version(problem=name, run_id="another", registered_at_utc=first.registered_at_utc + timedelta(days=1))

    for record in (first, again, first):
        versions.record(record)

    assert versions.get(name, 3) == again


def test_one_query_leads_from_a_forecast_to_all_it_came_from(database, name):
    """Version, run, execution, commit, and the snapshot with its place."""
    panel = pd.DataFrame({"series_id": ["GOOG"], "timestamp_utc": pd.to_datetime(["2024-02-29"], utc=True)})
    record_snapshot(database, name, "5a" * 32, "s3://models/5a.parquet", panel)
    record_snapshot(database, f"{name}x", "5a" * 32, "s3://models/other.parquet", panel)
    ModelVersionStore(database).record(make_version(problem=name))
    forecasts = make_answered(problem=name)
    ForecastStore(database).write(forecasts)

    forecast_id = UUID(bytes=forecasts.ids[0].tobytes())
    assert ForecastStore(database).lineage(forecast_id) == ForecastLineage(
        id=forecast_id,
        problem=name,
        series_id="GOOG",
        origin_utc=datetime(2024, 3, 7, tzinfo=UTC),
        source=ForecastSource.ONLINE,
        request_id=forecasts.request_id,
        issued_at_utc=ISSUED_AT_UTC,
        features_digest=forecasts.features_digest[0].tobytes().hex(),
        model_version=3,
        candidate="lstm",
        weights_sha256="e1" * 32,
        run_id="4f6c",
        execution_id="a1b2c3",
        execution_url="https://flyte.example.org/a1b2c3",
        git_commit="c0ffee",
        is_git_dirty=False,
        snapshot_sha256="5a" * 32,
        snapshot_url="s3://models/5a.parquet",
        trained_until_utc=datetime(2024, 2, 29, tzinfo=UTC),
        registered_at_utc=datetime(2024, 3, 1, 7, 30, tzinfo=UTC),
    )
