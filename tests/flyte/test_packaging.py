"""The packaging workflow in process: it is for versions that there are."""

import pytest

from loopcast.errors import StoreError
from workflows.packaging import packaging


def test_a_problem_without_a_champion_has_nothing_to_package(stores):
    """The sentence says what to do, and people are told of it."""
    with pytest.raises(StoreError, match="nobody has no champion, needs one to package; train one with"):
        packaging(problem="nobody")

    [episode] = stores.alerts.history("nobody")
    assert episode.alert.subject == "packaging"
