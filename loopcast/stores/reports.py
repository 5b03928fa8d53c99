"""Where reports are written: a folder with a page and a picture, under the same names for every training."""

from pathlib import Path
from typing import NamedTuple

from loopcast.evidence.account import Account
from loopcast.evidence.ink import write_png
from loopcast.evidence.plots import draw_fan
from loopcast.evidence.report import render_html


class ReportPaths(NamedTuple):
    """The written files."""

    page: Path
    picture: Path


def write_report(account: Account, folder: Path) -> ReportPaths:
    """Write the page and the picture of the next forecast, replacing those of an earlier training.

    Args:
        account: What is reported.
        folder: Created where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = ReportPaths(page=folder / "report.html", picture=folder / "forecast.png")
    paths.page.write_text(render_html(account), encoding="utf-8")
    paths.picture.write_bytes(write_png(draw_fan(account)))
    return paths
