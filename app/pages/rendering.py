"""How a page becomes bytes: templates, what all of them know, and the headers of an answer that a browser shows."""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from app.pages.assets import locate_asset, takes_gzip
from app.pages.figures import show_count, show_day, show_instant, show_number, show_percent, show_sentence, show_zone
from app.pages.navigation import link_to, list_links, list_problems
from app.parts import read_asked
from app.recent import RecentReadings
from loopcast import __version__

TEMPLATES: Final = Path(__file__).parent / "templates"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Nothing from elsewhere, and nothing inline: what somebody smuggled into a page could neither run nor load."""
PAGE_HEADERS: Final = {"content-security-policy": POLICY, "vary": "accept-encoding, cookie"}
"""What else a browser needs to know is said of every answer, by `app.border`."""
COMPRESSION: Final = 5
"""Of gzip: 30 KB in half a millisecond."""
MIN_COMPRESSED_BYTES: Final = 500


@dataclass(frozen=True)
class Page:
    """A page, or a part of one, ready to be sent.

    Attributes:
        content: HTML.
        compressed: By gzip; None where that is not worth it.
    """

    content: bytes
    compressed: bytes | None
    status: int


def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> Response:
    """A page, or a part of one; arguments as of `compose`."""
    return send_page(request, compose(request, template, status=status, **context), headers)


def compose(request: Request, template: str, *, status: int = 200, **context: Any) -> Page:
    """A page, or a part of one.

    Args:
        template: Its name; one that begins with `_` is a part, and needs nothing but its context.
        context: What the template shows; `problem`, a `ServedProblem`, is the one that the page is about.
    """
    if not template.startswith("_"):
        context = _describe_visit(request, context.get("problem")) | context
    content = _open_templates().get_template(template).render(context).encode()
    is_worth_it = len(content) > MIN_COMPRESSED_BYTES
    return Page(content, gzip.compress(content, COMPRESSION, mtime=0) if is_worth_it else None, status)


def show_kept(request: Request, make: Callable[[], Page]) -> Response:
    """A page as it was made some seconds ago for the same asker, address and state of what is served, or made anew.

    Only for pages in which nothing stands that belongs to one request alone.
    """
    asked = read_asked(request)
    served = tuple((each.record.problem, each.version, each.history_sha256) for each in list_problems(asked))
    kept: RecentReadings = request.app.state.kept_pages
    return send_page(request, kept.get((request.url.path, request.url.query, asked.record.asker, served), make))


def send_page(request: Request, page: Page, headers: Mapping[str, str] | None = None) -> Response:
    """HTML as a browser gets it."""
    answered = {**PAGE_HEADERS, **(headers or {})}
    content = page.content
    if page.compressed is not None and takes_gzip(request.headers.get("accept-encoding", "")):
        content = page.compressed
        answered["content-encoding"] = "gzip"
    return Response(content, page.status, answered, "text/html; charset=utf-8")


def _describe_visit(request: Request, problem: Any) -> dict[str, Any]:
    """What every page says: who looks, at which problem, and where one can go from here."""
    asked = read_asked(request)
    problems = list_problems(asked)
    shown = problem.model.problem.name if problem else request.query_params.get("problem")
    known = shown if shown in {each.model.problem.name for each in problems} else None
    return {
        "asker": asked.record.asker,
        "problem": problem,
        "problems": problems,
        "links": list_links(asked, request.url.path, known),
        "path": request.url.path,
        "request_id": asked.record.request_id,
    }


@cache
def _open_templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"asset": locate_asset, "link_to": link_to, "release": __version__}
    environment.filters |= {
        "count": show_count,
        "day": show_day,
        "data": _embed,
        "instant": show_instant,
        "number": show_number,
        "percent": show_percent,
        "sentence": show_sentence,
        "zone": show_zone,
    }
    return environment


def _embed(found: Any) -> Markup:
    r"""Something as JSON that cannot end the script element around it.

    >>> _embed({"name": "</script>"})
    Markup('{"name":"\\u003c/script>"}')
    """
    text = orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  # JSON without <, within a script element
