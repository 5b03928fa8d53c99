"""What the pages of all reports are made of: their templates, tiles and drawings. What a page says is its own."""

from typing import NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from loopcast.evidence.ink import write_svg


class Tile(NamedTuple):
    """One figure that is read first."""

    label: str
    value: str
    note: str


class Drawing(NamedTuple):
    """One figure with its heading and what a reader is to see in it."""

    heading: str
    caption: str
    svg: Markup


def open_templates(*packages: str) -> Environment:
    """The templates that lie beside the modules of some packages; all texts are escaped, and none may be missing."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(package, "") for package in packages]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def frame_figure(heading: str, caption: str, figure: Figure) -> Drawing:
    """A figure as it stands on a page."""
    return Drawing(heading, caption, Markup(write_svg(figure)))  # noqa: S704  # our own drawing, its texts escaped
