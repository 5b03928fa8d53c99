"""How figures look and how they are written out: colours by role, quiet axes, SVG that follows the page, PNG.

Figures are drawn on matplotlib's object interface, never through pyplot, so that nothing global is left behind.
"""

import re
from collections.abc import Mapping
from io import BytesIO, StringIO
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

INK: Final = "#1c2733"
MUTED: Final = "#66727f"
GRID: Final = "#dfe5ec"
ACCENT: Final = "#2462a6"
SECOND: Final = "#b3560f"
MISS: Final = "#c8312b"
PAPER: Final = "#fdfefe"

ROLES: Final[Mapping[str, str]] = {
    INK: "ink", MUTED: "muted", GRID: "grid", ACCENT: "accent", SECOND: "second", MISS: "miss", PAPER: "paper",
}  # fmt: skip
"""CSS variable of each colour, so that a page in dark draws its inline figures in dark."""

BAND_95_ALPHA: Final = 0.16
BAND_80_ALPHA: Final = 0.34
STYLE: Final[dict[Any, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.facecolor": "none",
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.labelcolor": MUTED,
    "svg.fonttype": "none",
    "svg.hashsalt": "loopcast",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.color": MUTED,
    "ytick.major.size": 0,
}
"""Text stays text in an SVG, also a `$`; the salt makes equal figures equal bytes. Drawing runs under this style."""

NOT_OURS: Final = (
    r' id="[\w.]+_\d+"',  # names of parts, which repeat from figure to figure of one page
    r"<metadata>.*?</metadata>",
    r"<defs>\s*<style.*?</style>\s*</defs>",  # rules for every element of the page
    r"font-family: [^;\"]*; ",  # the page has fonts of its own
)
"""What matplotlib writes into an SVG that does not belong on a page, as patterns."""


@mpl.rc_context(STYLE)
def open_figure(width: float, height: float, n_columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure, sizes in inches, with its axes from left to right; to be filled under the style as well."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, n_columns, squeeze=False)[0]
    return figure, list(axes)


def mark_dates(axes: Axes, most: int = 9) -> None:
    """Let the axis of times be marked by at most so many dates, each no longer than it must be."""
    locator = AutoDateLocator(minticks=4, maxticks=most)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


@mpl.rc_context(STYLE)
def write_svg(figure: Figure) -> str:
    """The figure as an inline SVG element, whose colours are CSS variables with the light palette behind them."""
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    for pattern in NOT_OURS:
        svg = re.sub(pattern, "", svg, flags=re.DOTALL)
    for colour, role in ROLES.items():
        svg = svg.replace(colour, f"var(--{role}, {colour})")
    return svg


@mpl.rc_context(STYLE)
def write_png(figure: Figure, dots_per_inch: int = 144) -> bytes:
    """The figure as a PNG on white paper."""
    data = BytesIO()
    figure.savefig(data, format="png", dpi=dots_per_inch, facecolor="white", metadata={"Software": None})
    return data.getvalue()
