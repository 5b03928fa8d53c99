"""What a chart shows, as `charts.js` reads it: lines over time, bands between them, and marks at moments."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from loopcast.typing import Floats

SIGNIFICANT_DIGITS: Final = 7
"""Of a value on its way to a chart; nobody sees more."""
Values = Sequence[float | None]
Tone = Literal["ink", "muted", "accent", "second", "good", "bad"]
Clock = Literal["date", "local"]


@dataclass(frozen=True)
class Line:
    """One line; n moments.

    Attributes:
        label: In the legend and in the read-out.
        values: Shape (n,); None leaves a gap.
        tone: Which of the page's colours.
        style: `hidden` for an end of a band, which is read out and not drawn.
    """

    label: str
    values: Values
    tone: Tone = "accent"
    style: Literal["solid", "dashed", "dots", "hidden"] = "solid"


@dataclass(frozen=True)
class Band:
    """The area between two lines.

    Attributes:
        label: In the legend.
        low, high: Labels of the lines.
        opacity: Of the tone, 0 to 1; what is likelier is darker.
    """

    label: str
    low: str
    high: str
    tone: Tone = "accent"
    opacity: float = 0.2


@dataclass(frozen=True)
class Mark:
    """A moment, or a level, that a line of its own points out.

    Attributes:
        label: Beside it.
        at: Seconds since 1970 of a moment; a value for a level.
    """

    label: str
    at: float
    is_level: bool = False
    tone: Tone = "muted"


@dataclass(frozen=True)
class Chart:
    """A chart over time.

    Attributes:
        title: What it shows; heads a saved image.
        unit: Of the values; `%` where they are ratios, which are then written as percentages.
        times: Seconds since 1970, ascending, shape (n,).
        clock: `date` where times are dates, to be read as UTC and never shifted; `local` for instants.
        lines: In the order of the read-out.
        bands: The widest first.
        marks: Moments and levels.
        close_up_from: Where a closer look begins, in seconds; None for no such look.
    """

    title: str
    unit: str
    times: Sequence[float]
    clock: Clock
    lines: Sequence[Line]
    bands: Sequence[Band] = ()
    marks: Sequence[Mark] = ()
    close_up_from: float | None = None


def shorten(values: Values | Floats) -> list[float | None]:
    """Values in so many digits as anybody sees, of those before the point all; None also for NaN.

    >>> shorten([1234.56789012, 0.0012345678901, 123456789.5, 0.0, None])
    [1234.568, 0.001234568, 123456790.0, 0.0, None]
    """
    known = np.array(values, dtype=float)
    place = np.floor(np.log10(np.abs(known), where=known != 0, out=np.zeros_like(known)))
    scale = 10.0 ** np.clip(SIGNIFICANT_DIGITS - 1 - place, 0, 300)
    rounded = (np.round(known * scale) / scale).tolist()
    return [None if math.isnan(each) else each for each in rounded]
