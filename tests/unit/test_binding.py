"""When the service asks for tokens: by the addresses that a worker really listens on, and by the settings."""

import socket

import pytest

from bento.binding import check_tokens, find_asked_host, find_listening_hosts, needs_tokens
from loopcast.errors import SettingsError
from loopcast.settings import Settings
from loopcast.stores.tokens import MemoryTokenStore, Role


def test_a_worker_finds_the_addresses_that_it_listens_on():
    """However it came to its socket."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        assert "127.0.0.1" in find_listening_hosts()


def test_outside_of_the_command_the_default_address_is_loopback():
    """BentoML's own default would be every address."""
    assert find_asked_host() == "127.0.0.1"


@pytest.mark.parametrize(
    ("hosts", "is_required", "needs"),
    [
        ({"127.0.0.1"}, False, False),
        ({"127.0.0.1", "10.0.0.7"}, False, True),
        ({"::"}, False, True),
        ({"127.0.0.1"}, True, True),
        (set(), False, True),
    ],
)
def test_one_address_that_others_reach_is_enough_to_ask_for_tokens(hosts, is_required, needs):
    """So is the setting, for a proxy on the same machine, and not to know who reaches the service."""
    assert needs_tokens(hosts, Settings(require_tokens=is_required)) is needs


def test_where_nobody_has_a_token_the_sentence_says_why_one_is_needed():
    """A revoked token is none."""
    tokens = MemoryTokenStore()
    token, _ = tokens.create("old", "ada", Role.VIEWER, [])
    tokens.revoke(token.id)

    with pytest.raises(SettingsError, match=r"no active token, and the service listens on 10.0.0.7; make one by"):
        check_tokens({"127.0.0.1", "10.0.0.7"}, Settings(), tokens)
    with pytest.raises(SettingsError, match=r"no active token, and every request must be signed; make one by"):
        check_tokens({"127.0.0.1"}, Settings(require_tokens=True), tokens)


def test_one_active_token_is_enough():
    """Which of the requests it opens is decided for each of them."""
    tokens = MemoryTokenStore()
    tokens.create("team", "ada", Role.VIEWER, [])

    check_tokens({"0.0.0.0"}, Settings(), tokens)  # noqa: S104  nothing is bound
