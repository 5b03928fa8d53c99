"""Who asks: a person who signed in, a program with a token, or whoever sits at this machine; all to the same roles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loopcast.stores.tokens import Role

ORDER: Final[Sequence[Role]] = tuple(Role)
"""Each role allows what those before it allow."""


@dataclass(frozen=True)
class Asker:
    """Who asks, and what they may.

    Attributes:
        id: Owner of what they make: queries, uploads, tokens. A program has that of the person who made its token.
        name: Shown to people, and written beside what was done.
        role: What they may do.
        problems: Which they may ask about; none for every problem.
        is_local: Nobody signed in: the service listens on this machine alone.
        is_program: A token asks, in its owner's place.
    """

    id: str
    name: str
    role: Role
    problems: tuple[str, ...] = ()
    is_local: bool = False
    is_program: bool = False

    def may(self, needed: Role) -> bool:
        """Whether they have a role, or a higher one.

        >>> Asker("ada", "Ada", Role.OPERATOR).may(Role.VIEWER)
        True
        """
        return ORDER.index(self.role) >= ORDER.index(needed)

    def may_use(self, problem: str) -> bool:
        """Whether they may know of a problem."""
        return not self.problems or problem in self.problems


NOBODY: Final = Asker("", "nobody", Role.VIEWER, problems=("",))
"""Until it is known who asks: no problem has this name."""
LOCAL: Final = Asker("local", "this machine", Role.ADMIN, is_local=True)
"""Where nobody has to sign in."""
