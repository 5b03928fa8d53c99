"""On a cluster all pods share the stores, which a person names; a laptop has its own."""

import pytest

from loopcast.errors import StoreError
from tasks.stores import open_stores
from tests.flyte.pods import pod

DATABASE_URL = "postgresql://loopcast@db.example.org/loopcast"
ARTIFACTS_URL = "s3://bucket/loopcast"


@pytest.fixture(autouse=True)
def settings_of_nobody(monkeypatch):
    """No stores that the person who runs the tests has set."""
    for name in ("LOOPCAST_DATABASE_URL", "LOOPCAST_ARTIFACTS_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "no LOOPCAST_DATABASE_URL and no LOOPCAST_ARTIFACTS_URL"),
        ({"LOOPCAST_ARTIFACTS_URL": ARTIFACTS_URL}, "no LOOPCAST_DATABASE_URL in"),
        ({"LOOPCAST_DATABASE_URL": DATABASE_URL}, "no LOOPCAST_ARTIFACTS_URL in"),
        ({"LOOPCAST_DATABASE_URL": DATABASE_URL, "LOOPCAST_ARTIFACTS_URL": ""}, "no LOOPCAST_ARTIFACTS_URL in"),
    ],
)
def test_a_pod_without_shared_stores_is_refused(monkeypatch, given, missing):
    """Each pod would start a PostgreSQL of its own, and the next would find nothing of what it wrote."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    with pod(), pytest.raises(StoreError, match=missing):
        open_stores()


def test_a_pod_with_shared_stores_gets_them(monkeypatch):
    """Both addresses are set, and nothing is opened yet."""
    monkeypatch.setenv("LOOPCAST_DATABASE_URL", DATABASE_URL)
    monkeypatch.setenv("LOOPCAST_ARTIFACTS_URL", ARTIFACTS_URL)

    with pod():
        settings = open_stores().settings

    assert (settings.database_url, settings.artifacts) == (DATABASE_URL, ARTIFACTS_URL)


def test_a_laptop_needs_no_address(monkeypatch, tmp_path):
    """Everything lies under the work folder."""
    monkeypatch.setenv("LOOPCAST_HOME", str(tmp_path))

    settings = open_stores().settings

    assert settings.artifacts == str(tmp_path / "artifacts")
