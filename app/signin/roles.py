"""What a person may do here, by what the provider says of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.asker import Asker
from loopcast.settings import Settings
from loopcast.stores.tokens import Role

PROBLEM_PREFIX: Final = "loopcast:problem:"
"""Of values of the role's claim that name a problem; who has any may use those problems, who has none may use all."""
NAMING: Final = ("name", "preferred_username", "email")
"""Claims that tell what a person is called, the best first."""
MAX_NAME_CHARACTERS: Final = 100


def judge_person(claims: Mapping[str, Any], settings: Settings) -> Asker | None:
    """Who somebody is here; None where they may do nothing.

    Args:
        claims: Of a checked ID token.
    """
    values = frozenset(_list_values(claims, settings.oidc_role_claim))
    given = {
        Role.ADMIN: settings.oidc_admins,
        Role.OPERATOR: settings.oidc_operators,
        Role.VIEWER: settings.oidc_viewers,
    }
    role = next((role for role, wanted in given.items() if values.intersection(wanted)), settings.oidc_default_role)
    if role is None:
        return None
    problems = sorted(value.removeprefix(PROBLEM_PREFIX) for value in values if value.startswith(PROBLEM_PREFIX))
    return Asker(identify(claims), name_person(claims), Role(role), tuple(problems))


def identify(claims: Mapping[str, Any]) -> str:
    """The id of a person: a subject alone means something to its issuer only.

    >>> identify({"iss": "https://id.example.org", "sub": "248289761001"})
    'https://id.example.org#248289761001'
    """
    return f"{claims['iss']}#{claims['sub']}"


def name_person(claims: Mapping[str, Any]) -> str:
    """What a person is called, in one line.

    >>> name_person({"sub": "7", "name": " ", "email": "ada@example.org"})
    'ada@example.org'
    """
    found = (claims.get(name) for name in NAMING)
    names = ("".join(filter(str.isprintable, value)).strip() for value in found if isinstance(value, str))
    return next((name for name in names if name), str(claims["sub"]))[:MAX_NAME_CHARACTERS]


def _list_values(claims: Mapping[str, Any], path: str) -> Iterator[str]:
    """The values of a claim: a text as it is, items of a list, or what lies deeper along the dots."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for key in path.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        yield found
    elif isinstance(found, Sequence):
        yield from (value for value in found if isinstance(value, str))
