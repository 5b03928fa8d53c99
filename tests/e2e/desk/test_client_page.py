"""The page about the client: what it shows runs against a desk as it is served."""

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.champion import CONFIG
from loopcast.config import load_problem
from loopcast.stores.sources import read_source
from tests.e2e.conftest import ROOT
from tests.e2e.serving import Service

PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
ADDRESS = "http://127.0.0.1:3000"
"""Of the service in the page."""


@pytest.mark.usefixtures("worker")
def test_every_example_of_the_page_runs(
    desk: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Each as it stands, one after the other, in a folder with the file that they read."""
    source = read_source(load_problem(CONFIG))
    source[source["ticker"] == "GOOG"].to_csv(tmp_path / "goog.csv", index=False)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}

    for example in EXAMPLES:
        exec(example.replace(ADDRESS, desk.url), names)  # noqa: S102  our own page
    names["client"].close()

    assert len(EXAMPLES) >= 7
    assert (tmp_path / "forecasts.csv").read_text(encoding="utf-8").count("GOOG") == 5
    assert "100%" in capsys.readouterr().out
