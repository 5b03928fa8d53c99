"""When the service asks for tokens: by the addresses that a worker really listens on, and by the settings."""

import socket

import pytest

from bento.binding import check_tokens, find_asked_host, find_listening_hosts, needs_tokens
from loopcast.errors import SettingsError, StoreError
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


@pytest.fixture
def machine(tmp_path):
    """Settings of a machine; `name=value` changes them."""

    def make(**changes):
        return Settings(home=tmp_path, **changes)

    return make


PEOPLE = {
    "public_url": "https://forecasts.example.org",
    "oidc_issuer": "https://id.example.org",
    "oidc_client_id": "loopcast",
    "oidc_client_secret": "secret",
    "oidc_default_role": "viewer",
}


def test_where_people_sign_in_everybody_does(machine):
    """On loopback too; and nobody needs a token to start."""
    settings = machine(**PEOPLE)

    assert needs_tokens({"127.0.0.1"}, settings)
    check_tokens({"127.0.0.1"}, settings, list)


def test_where_nobody_has_a_token_the_sentence_says_why_one_is_needed(machine):
    """A revoked token is none."""
    tokens = MemoryTokenStore()
    token, _ = tokens.create("old", "ada", Role.VIEWER, [])
    tokens.revoke(token.id)

    with pytest.raises(SettingsError, match=r"no active token, and the service listens on 10.0.0.7; make one by"):
        check_tokens({"127.0.0.1", "10.0.0.7"}, machine(), tokens.active)
    with pytest.raises(SettingsError, match=r"no active token, and every request must be signed; make one by"):
        check_tokens({"127.0.0.1"}, machine(require_tokens=True), tokens.active)


def test_one_active_token_is_enough(machine):
    """Which of the requests it opens is decided for each of them."""
    tokens = MemoryTokenStore()
    tokens.create("team", "ada", Role.VIEWER, [])

    check_tokens({"0.0.0.0"}, machine(), tokens.active)  # noqa: S104  nothing is bound


def fail():
    """A store that is away."""
    raise StoreError("the database at localhost:5432/ does not answer")


def test_a_token_that_was_read_here_is_enough_while_the_database_is_away(machine):
    """Where none was, the service says that it needs the database."""
    tokens = MemoryTokenStore()
    tokens.create("team", "ada", Role.VIEWER, [])
    with pytest.raises(StoreError, match="does not answer"):
        check_tokens({"127.0.0.1"}, machine(), fail)

    check_tokens({"127.0.0.1"}, machine(), tokens.active)

    check_tokens({"127.0.0.1"}, machine(), fail)
