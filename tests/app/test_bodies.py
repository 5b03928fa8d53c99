"""Bodies: how large, of which type, and that no bytes at all make the app fail."""

import asyncio
import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import bodies
from app.bodies import MAX_BODY_BYTES
from tests.app.client import API, code_of

GOOGLE = f"{API}/problems/google/forecasts"
JSON = {"Content-Type": "application/json"}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["GOOG", "S0"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
histories = st.fixed_dictionaries(
    {
        "timestamp": st.lists(st.datetimes().map(str) | st.text(max_size=30), max_size=80),
        "target": st.lists(st.floats(), max_size=80),
    }
)
sent = st.fixed_dictionaries(
    {
        "series": st.lists(
            st.fixed_dictionaries({"series_id": st.text(max_size=9)}, optional={"history": histories | values})
        )
    },
    optional={"horizon": values, "quantiles": values},
)


async def in_pieces(piece: bytes, n: int):
    """A body whose length nobody tells."""
    for _ in range(n):
        yield piece


def test_a_body_that_says_that_it_is_too_large_is_not_read(client):
    """413 before the first byte."""

    async def untouched():
        raise AssertionError("the body was read")
        yield b""

    headers = JSON | {"Content-Length": str(MAX_BODY_BYTES + 1)}
    answer = client.post(GOOGLE, content=untouched(), headers=headers)

    assert code_of(answer) == (413, "body_too_large")


def test_a_body_that_comes_in_pieces_is_counted(client):
    """413 as soon as the pieces are too much together."""
    answer = client.post(GOOGLE, content=in_pieces(b" " * 2**16, MAX_BODY_BYTES // 2**16 + 1), headers=JSON)

    assert code_of(answer) == (413, "body_too_large")


def test_a_connection_is_closed_before_the_end_of_a_long_body_and_kept_otherwise(client):
    """Nobody goes on to send what was refused; others need no new connection."""
    refused = client.post(GOOGLE, content=in_pieces(b" " * 2**16, 1000), headers=JSON)
    mistaken = client.post(GOOGLE, content=b"{}", headers=JSON)
    wrong = client.post(GOOGLE, content=b"{}", headers={"Content-Type": "text/plain"})

    assert refused.headers["connection"] == "close"
    assert ["connection" in each.headers for each in (mistaken, wrong)] == [False, False]


def test_a_body_of_the_greatest_size_is_read(client):
    """To the last byte, in pieces."""
    body = b'{"series": [{"series_id": "GOOG"}]}'
    pieces = [body, b" " * (MAX_BODY_BYTES - len(body))]

    async def send():
        for piece in pieces:
            yield piece

    assert client.post(GOOGLE, content=send(), headers=JSON).status_code == 200


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""]
)
def test_a_body_that_does_not_say_that_it_is_json_is_refused(client, content_type):
    """A page elsewhere can send text without asking first, but not this type."""
    headers = {} if content_type is None else {"Content-Type": content_type}

    answer = client.post(GOOGLE, content=b'{"series": [{"series_id": "GOOG"}]}', headers=headers)

    assert code_of(answer) == (415, "wrong_content_type")


def test_a_request_without_a_body_need_not_say_of_which_type(client):
    """A generated client does not; a form does, and is refused."""
    path = f"{API}/queries/{'0' * 32}/cancellation"

    assert code_of(client.post(path)) == (404, "not_found")
    form = client.post(path, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert code_of(form) == (415, "wrong_content_type")


def test_a_compressed_body_is_refused_as_that(client):
    """And not as JSON that cannot be read."""
    body = gzip.compress(b'{"series": [{"series_id": "GOOG"}]}')

    answer = client.post(GOOGLE, content=body, headers=JSON | {"Content-Encoding": "gzip"})

    assert code_of(answer) == (415, "wrong_content_type")
    assert "without Content-Encoding" in answer.text


def test_a_body_that_does_not_come_is_waited_for_so_long(client, monkeypatch):
    """As every other refusal is told, and before whatever stands around the app gives the request up."""
    monkeypatch.setattr(bodies, "MAX_RECEIVING_S", 0.05)

    async def send():
        yield b"{"
        await asyncio.sleep(30)

    answer = client.post(GOOGLE, content=send(), headers=JSON | {"Content-Length": "100"})

    assert code_of(answer) == (408, "invalid_request")
    assert answer.headers["connection"] == "close"


def test_a_charset_may_stand_behind_the_type(client):
    """`application/json; charset=utf-8` is the same."""
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}

    assert client.post(GOOGLE, content=b'{"series": [{"series_id": "GOOG"}]}', headers=headers).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"series": [{"series_id": "GOOG"}]',
        b'{"series": [{"series_id": "\xff"}]}',
        b'{"series": [{"series_id": "\\ud800"}]}',
        b'{"series": NaN}',
        b'{"series": [{"series_id": "GOOG"}], "quantiles": [Infinity]}',
        b'{"series": 1e999}',
        b'{"series": [{"series_id": "GOOG"}], "horizon": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=["cut", "no UTF-8", "half a character", "NaN", "Infinity", "inf", "huge", "deep list", "deep object"],
)
def test_what_is_no_json_is_refused(client, body):
    """400, with what the parser says."""
    assert code_of(client.post(GOOGLE, content=body, headers=JSON)) == (400, "malformed_json")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b'"GOOG"',
        b'{"series": [{"series_id": "GOOG"}], "horizon": 99999999999999999999}',
        b'{"series": [{"series_id": "GOOG"}], "horizon": 1e300}',
        b'{"series": ' + b"[" * 900 + b"]" * 900 + b"}",
    ],
    ids=["empty", "null", "text", "huge horizon", "horizon beyond whole numbers", "nested"],
)
def test_json_that_breaks_the_shape_is_refused(client, body):
    """422, whatever it is."""
    assert code_of(client.post(GOOGLE, content=body, headers=JSON)) == (422, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [
        b'{"series": [' + b"1," * 900_000 + b"1]}",
        b"{" + b",".join(b'"%x": 1' % i for i in range(150_000)) + b"}",
        b'{"series": [{"series_id": "GOOG", "history": {"target": [1], "timestamp": ["2024-01-01"], "covariates": {'
        + b",".join(b'"%x": 1' % i for i in range(150_000))
        + b"}}}]}",
    ],
    ids=["items", "keys", "covariates"],
)
def test_a_body_of_nothing_but_mistakes_costs_no_more_than_a_good_one(client, body):
    """A mistake each would be described for a second; one is."""
    answer = client.post(GOOGLE, content=body, headers=JSON)

    assert code_of(answer) == (422, "invalid_request")
    assert answer.elapsed.total_seconds() < 0.5
    assert len(answer.json()["error"]["details"]) <= 2


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=values | sent)
def test_no_json_makes_the_app_fail(client, body):
    """Whatever is sent, the answer is a forecast or a refusal of the asker's mistake."""
    answer = client.post(GOOGLE, content=json.dumps(body), headers=JSON)

    assert answer.status_code == 200 or code_of(answer)[0] in {400, 422}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200))
def test_no_bytes_make_the_app_fail(client, body):
    """Whatever is sent, the answer is a refusal of the asker's mistake."""
    answer = client.post(GOOGLE, content=body, headers=JSON)

    assert code_of(answer)[0] in {400, 422}
