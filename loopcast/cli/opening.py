"""What commands share: the stores of this machine, and the name of a problem."""

from typing import TYPE_CHECKING, Annotated

import typer

from loopcast.settings import read_settings

if TYPE_CHECKING:
    from loopcast.stores.opened import Stores

ProblemName = Annotated[str, typer.Argument(help="Name of the problem, as its YAML says, such as google.")]


def open_stores() -> "Stores":
    """The stores of this machine; imported here, because `check` needs none and shall be quick."""
    from loopcast.stores.opened import Stores

    return Stores(read_settings())


def name_problems(stores: "Stores") -> str:
    """What there is instead of a name that nobody knows."""
    known = stores.decisions.problems()
    return f"known: {', '.join(known)}" if known else "nothing was trained here yet; `make demo` does"
