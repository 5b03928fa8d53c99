"""A replay written out: one HTML page that needs nothing else, and its picture beside it."""

from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from loopcast.evidence.formats import format_percent
from loopcast.evidence.ink import write_png, write_svg
from loopcast.evidence.page import open_templates
from loopcast.replay.incidents import HEADS, POLICY_NAMES, fill_row, list_incidents
from loopcast.replay.outcome import Outcome, Policy
from loopcast.replay.timeline import draw_timeline

DOTS_PER_INCH = 100
"""At which the picture is 1200 dots wide."""


class ReplayPaths(NamedTuple):
    """The written files."""

    page: Path
    picture: Path


def write_replay(outcome: Outcome, folder: Path) -> ReplayPaths:
    """Write page and picture, replacing those of an earlier replay of the same days.

    Args:
        folder: Created where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = ReplayPaths(page=folder / "replay.html", picture=folder / "replay.png")
    paths.page.write_text(render_replay(outcome), encoding="utf-8")
    paths.picture.write_bytes(write_png(draw_timeline(outcome), DOTS_PER_INCH))
    return paths


def render_replay(outcome: Outcome) -> str:
    """The page, readable in light and dark; all texts are escaped."""
    arms = [
        (POLICY_NAMES[each], format_percent(outcome.skill_ratio(each), sign="+"), outcome.n_trainings[each])
        for each in Policy
    ]
    template = open_templates("loopcast.replay").get_template("replay.html.jinja")
    return template.render(
        outcome=outcome,
        picture=Markup(write_svg(draw_timeline(outcome))),  # noqa: S704  # our own drawing, its texts escaped
        heads=HEADS,
        incidents=[(each.number, each.begin, fill_row(each)) for each in list_incidents(outcome)],
        arms=arms,
    )
