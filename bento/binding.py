"""From where the service can be reached, and that from another machine nobody gets in without a token."""

import ipaddress
from collections.abc import Set
from typing import TYPE_CHECKING, Final

import click
import psutil

from loopcast.errors import SettingsError

if TYPE_CHECKING:
    from loopcast.settings import Settings
    from loopcast.stores.tokens import Tokens

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
    """Whether every request must be signed; also where nobody can say who reaches the service."""
    return settings.require_tokens or not hosts or any(is_reachable(host) for host in hosts)


def check_tokens(hosts: Set[str], settings: "Settings", tokens: "Tokens") -> None:
    """Return where somebody has a token.

    Raises:
        SettingsError: Nobody has one.
    """
    if not tokens.active():
        outside = sorted(host for host in hosts if is_reachable(host))
        why = f"the service listens on {', '.join(outside)}" if outside else "every request must be signed"
        raise SettingsError(
            f"found no active token, and {why}; make one by `loopcast tokens create NAME --all-problems`, or serve on "
            f"{DEFAULT_HOST}"
        )
