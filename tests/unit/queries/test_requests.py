"""Requests of long queries: every kind has one, and what cannot be asked is refused when it is sent."""

import pytest
from pydantic import ValidationError

from loopcast.queries.kinds import QueryKind
from loopcast.queries.requests import REQUESTS, parse_request

ASKED = {
    QueryKind.EXPLANATION: {"series_id": "GOOG"},
    QueryKind.BACKTEST: {"series_id": "GOOG", "since": "2012-01-02", "until": None},
    QueryKind.BULK_FORECAST: {"upload_id": "6f4b3f0e-6f5e-4d7c-9a55-0d1f0a3c9f11"},
    QueryKind.WHAT_IF: {
        "series_id": "GOOG",
        "changes": [{"column": "volume", "operation": "multiply", "value": 2.0, "last_n_steps": 5}],
    },
    QueryKind.PROMOTION: {"version": 3, "reason": "The new one is off"},
    QueryKind.ROLLBACK: {"reason": "The new one is off", "from_version": None},
    QueryKind.TRAINING: {"reason": "New data"},
}


def test_every_kind_has_a_request():
    """And no request is of no kind."""
    assert set(REQUESTS) == set(ASKED) == set(QueryKind)


@pytest.mark.parametrize("kind", QueryKind)
def test_a_request_survives_its_way_through_json(kind):
    """As it is kept in the database."""
    request = parse_request(kind, ASKED[kind])

    assert request.model_dump(mode="json") == ASKED[kind]
    assert parse_request(kind, request.model_dump(mode="json")) == request


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (QueryKind.EXPLANATION, {"series_id": ""}),
        (QueryKind.EXPLANATION, {"series_id": "a\nb"}),
        (QueryKind.EXPLANATION, {"series_id": "x" * 201}),
        (QueryKind.EXPLANATION, {"horizon": 3}),
        (QueryKind.BACKTEST, {"until": "2011-12-31"}),
        (QueryKind.BACKTEST, {"since": "yesterday"}),
        (QueryKind.BULK_FORECAST, {"upload_id": "../../etc/passwd"}),
        (QueryKind.WHAT_IF, {"changes": []}),
        (QueryKind.WHAT_IF, {"changes": ASKED[QueryKind.WHAT_IF]["changes"] * 51}),
        (QueryKind.PROMOTION, {"version": 0}),
        (QueryKind.PROMOTION, {"version": True}),
        (QueryKind.ROLLBACK, {"reason": "  "}),
        (QueryKind.TRAINING, {"reason": "x" * 501}),
    ],
)
def test_what_cannot_be_asked_is_refused(kind, changed):
    """By pydantic, so that it is a 422 at once."""
    with pytest.raises(ValidationError):
        parse_request(kind, ASKED[kind] | changed)


@pytest.mark.parametrize(
    "changed",
    [{"operation": "eval"}, {"value": float("nan")}, {"value": float("inf")}, {"last_n_steps": 0}, {"column": "a\0"}],
)
def test_a_change_that_cannot_be_is_refused(changed):
    """Every field by itself."""
    [change] = ASKED[QueryKind.WHAT_IF]["changes"]

    with pytest.raises(ValidationError):
        parse_request(QueryKind.WHAT_IF, {"series_id": "GOOG", "changes": [change | changed]})
