"""Model versions as the table of versions has them, with defaults."""

from datetime import UTC, datetime
from typing import Any

from loopcast.stores.model_versions import VersionRecord


def make_version(**changes: Any) -> VersionRecord:
    """Version 3 of Google's price; fields as given."""
    fields: dict[str, Any] = {
        "problem": "google",
        "version": 3,
        "candidate": "lstm",
        "run_id": "4f6c",
        "weights_sha256": "e1" * 32,
        "snapshot_sha256": "5a" * 32,
        "git_commit": "c0ffee",
        "is_git_dirty": False,
        "execution_id": "a1b2c3",
        "execution_url": "https://flyte.example.org/a1b2c3",
        "transform": "log",
        "quantile_levels": (0.1, 0.5, 0.9),
        "trained_until_utc": datetime(2024, 2, 29, tzinfo=UTC),
        "registered_at_utc": datetime(2024, 3, 1, 7, 30, tzinfo=UTC),
    }
    return VersionRecord(**fields | changes)
