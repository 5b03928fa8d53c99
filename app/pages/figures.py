"""How pages write figures and times: the same everywhere, and a dash where nothing is known."""

import math
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup

DASH: Final = "–"
THIN: Final = "\N{NARROW NO-BREAK SPACE}"


def show_number(value: float | None, digits: int = 4) -> str:
    """A value in so many significant digits, of those before the point all.

    >>> show_number(806.19), show_number(0.012345), show_number(123456.7), show_number(0), show_number(None)
    ('806.2', '0.01235', '123,457', '0', '–')
    """
    if value is None or not math.isfinite(value):
        return DASH
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0) if value else 0
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def show_percent(ratio: float | None, digits: int = 1, sign: str = "") -> str:
    r"""A ratio as a percentage; `sign="+"` writes the sign of gains as well.

    >>> show_percent(0.0178, sign="+"), show_percent(0.8, digits=0), show_percent(float("nan"))
    ('+1.8\u202f%', '80\u202f%', '–')
    >>> show_percent(-0.0001, sign="+")
    '0.0\u202f%'
    """
    if ratio is None or not math.isfinite(ratio):
        return DASH
    percent = round(100 * ratio, digits)
    return f"{percent or 0.0:{sign if percent else ''}.{digits}f}{THIN}%".replace("-", "\N{MINUS SIGN}")


def show_count(n: int, one: str, several: str = "") -> str:
    """A number of things.

    >>> show_count(1, "step"), show_count(1200, "step"), show_count(2, "query", "queries")
    ('1 step', '1,200 steps', '2 queries')
    """
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def show_sentence(text: str) -> str:
    """A message as a sentence of its own.

    >>> show_sentence("no champion is in service; train one")
    'No champion is in service; train one.'
    """
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def show_day(moment: datetime | None, zone: str = "UTC") -> str:
    """The date in a zone, as daily data have it; it does not depend on who looks.

    >>> show_day(datetime.fromisoformat("2013-03-01T05:00:00+00:00"), "America/New_York")
    '1 Mar 2013'
    """
    if moment is None:
        return DASH
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%b %Y}"


def show_zone(zone: str) -> str:
    """A time zone as people read it.

    >>> show_zone("America/New_York")
    'New York (America/New_York)'
    """
    city = zone.rpartition("/")[2].replace("_", " ")
    return zone if city == zone else f"{city} ({zone})"


def show_instant(moment: datetime | None) -> Markup:
    """A time element, which desk.js writes in the zone of whoever looks; without it, it stands in UTC.

    >>> show_instant(datetime.fromisoformat("2013-03-01T05:00:00+00:00"))
    Markup('<time datetime="2013-03-01T05:00:00+00:00">1 Mar 2013, 05:00 UTC</time>')
    """
    if moment is None:
        return Markup("–")
    utc = moment.astimezone(ZoneInfo("UTC"))
    shown = f"{utc.day} {utc:%b %Y, %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), shown)
