"""From where the service can be reached, and that from another machine nobody gets in without a token."""

import ipaddress
from collections.abc import Callable, Sequence, Set
from typing import TYPE_CHECKING, Final

import click
import psutil

from loopcast.errors import SettingsError

if TYPE_CHECKING:
    from loopcast.settings import Settings
    from loopcast.stores.tokens import Token

DEFAULT_HOST: Final = "127.0.0.1"
"""Where the service listens unless it is told otherwise; BentoML's own default is every address."""


def find_asked_host() -> str:
    """The address that `bentoml serve` was asked to listen on; for the process that was started by that command."""
    context = click.get_current_context(silent=True)
    given = context.params.get("host") if context is not None else None
    return str(given or DEFAULT_HOST)


def find_listening_hosts() -> frozenset[str]:
    """The addresses on which this process listens; a worker has the socket before it answers."""
    connections = psutil.Process().net_connections("inet")
    return frozenset(each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN)


def is_reachable(host: str) -> bool:
    """Whether other machines may reach this address.

    >>> [is_reachable(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.7")]
    [False, False, False, True, True]
    """
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def needs_tokens(hosts: Set[str], settings: "Settings") -> bool:
    """Whether every request must be signed; also where people sign in, and where nobody can say who reaches us."""
    is_asked = settings.require_tokens or settings.oidc_issuer is not None
    return is_asked or not hosts or any(is_reachable(host) for host in hosts)


def check_tokens(hosts: Set[str], settings: "Settings", read: "Callable[[], Sequence[Token]]") -> None:
    """Return where somebody has a token, or can sign in and make one.

    Args:
        read: Asks the store for the active tokens; while it is away, what this machine remembers counts.

    Raises:
        SettingsError: Nobody has one.
        StoreError: The store is away, and nothing is remembered.
    """
    from loopcast.stores.token_memory import FILE, read_tokens

    if not read_tokens(read, settings.home_path / FILE) and settings.oidc_issuer is None:
        outside = sorted(host for host in hosts if is_reachable(host))
        why = f"the service listens on {', '.join(outside)}" if outside else "every request must be signed"
        raise SettingsError(
            f"found no active token, and {why}; make one by `loopcast tokens create NAME --all-problems`, or serve on "
            f"{DEFAULT_HOST}"
        )
