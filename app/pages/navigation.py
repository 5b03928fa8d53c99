"""Where one can go: the pages, and the problems that each of them can show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from app.errors import refuse_problem
from app.parts import Asked
from loopcast.stores.champions import NothingServedError, ServedProblem
from loopcast.stores.tokens import Role


@dataclass(frozen=True)
class Page:
    """A page that the navigation leads to.

    Attributes:
        path: Where it lies.
        label: What it is called.
        role: Who sees it; an admin's page is of all problems, and not for those who may use some.
        has_problem: Whether it shows one problem at a time.
    """

    path: str
    label: str
    role: Role = Role.VIEWER
    has_problem: bool = True


PAGES: Final[Sequence[Page]] = (
    Page("/forecast", "Forecast"),
    Page("/track-record", "Track record"),
    Page("/health", "Health"),
    Page("/models", "Models"),
    Page("/queries", "Queries", has_problem=False),
    Page("/tokens", "Tokens", has_problem=False),
    Page("/audit", "Audit", Role.ADMIN, has_problem=False),
)


@dataclass(frozen=True)
class Link:
    """One entry of the navigation."""

    label: str
    href: str
    is_current: bool


def list_links(asked: Asked, path: str, problem: str | None) -> list[Link]:
    """The pages that the asker may see; those that show a problem stay with the one that is looked at."""
    asker = asked.record.asker
    return [
        Link(
            label=page.label,
            href=link_to(page.path, problem=problem) if page.has_problem else page.path,
            is_current=path == page.path or path.startswith(f"{page.path}/"),
        )
        for page in PAGES
        if asker.may(page.role) and not (page.role is Role.ADMIN and asker.problems)
    ]


def link_to(path: str, **query: str | int | None) -> str:
    """An address with a query, of which what is None is left out.

    >>> link_to("/forecast", problem="google", series="A&B", step=None)
    '/forecast?problem=google&series=A%26B'
    """
    given = {name: value for name, value in query.items() if value is not None}
    return f"{quote(path)}?{urlencode(given)}" if given else quote(path)


def list_problems(asked: Asked) -> list[ServedProblem]:
    """The problems in service that the asker may use, in alphabetical order."""
    names = asked.parts.champions.names()
    return [asked.find_served(name) for name in names if asked.record.asker.may_use(name)]


def choose_problem(asked: Asked, name: str | None) -> ServedProblem:
    """The problem that a page shows: the one that is named, else the first.

    Raises:
        Refusal: There is none of this name, or none at all, that the asker may know of.
        NothingServedError: Nothing is in service.
    """
    if name:
        return asked.find_served(name)
    problems = list_problems(asked)
    if problems:
        return problems[0]
    if asked.parts.champions.names():
        raise refuse_problem()
    raise NothingServedError("found no champion of any problem; train one and let it be promoted")
