"""The description: its examples are true, and whatever it lets be asked is answered as it says."""

import re
from datetime import timedelta

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.answers.refusals import ErrorAnswer
from app.api import create_app
from app.examples import ASK_BY_HISTORY, ASK_BY_NAME, EXPLAIN_BY_NAME
from loopcast.stores.sessions import MemorySessionStore
from tests.app.client import API, Client

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
QUICK = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""The same requests each time, some hundreds of them."""
BREAKABLE = {
    "make_forecasts", "explain_forecast", "list_series", "get_forecast", "get_lineage",
    "create_token", "revoke_token", "list_audit",
    "submit_query", "list_queries", "get_query", "follow_query", "cancel_query", "retry_query", "get_query_file",
    "upload_file", "delete_upload",
}  # fmt: skip
"""Operations of which something can be broken; of the others any text is a good name."""


@pytest.fixture
def description(client):
    """What /openapi.json says of a service without tokens."""
    return client.get("/openapi.json").json()


@pytest.fixture
def schema(kept):
    """The same, as schemathesis asks the app by it."""
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(kept), headers={"Host": "localhost"})


def test_every_example_keeps_its_own_schema(description):
    """Those of requests and those of answers."""
    schemas = description["components"]["schemas"]
    examples = [(name, example) for name, each in schemas.items() for example in each.get("examples", [])]

    for name, example in examples:
        jsonschema_rs.validate({"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}, example)

    assert len(examples) == 11


def test_every_shape_has_a_name_of_its_own(description):
    """Of one word: a generator names classes by it, and gives up two that are called the same."""
    schemas = description["components"]["schemas"]

    assert [name for name in schemas if not re.fullmatch(r"[A-Za-z]+", name)] == []
    assert {name: each["title"] for name, each in schemas.items() if each.get("title", name) != name} == {}


@pytest.mark.parametrize(
    ("path", "body"),
    [("forecasts", ASK_BY_NAME), ("forecasts", ASK_BY_HISTORY), ("explanations", EXPLAIN_BY_NAME)],
)
def test_every_example_of_a_request_is_answered(client, path, body):
    """As it stands."""
    assert client.post(f"{API}/problems/google/{path}", body).status_code == 200


def test_every_refusal_is_described_in_the_one_shape(description):
    """On every route, for every status of 400 and above but an unready service's."""
    for path, operations in description["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400 and path != "/readyz":
                    reference = response["content"]["application/json"]["schema"]["$ref"]
                    assert reference.endswith(f"/{ErrorAnswer.__name__}"), (path, status)


def test_the_description_says_where_a_token_is_needed(make_parts, tokens):
    """Everywhere but on the open paths; nowhere where none is asked for."""
    signed = Client(create_app(make_parts(tokens=tokens))).get("/openapi.json").json()
    unsigned = Client(create_app(make_parts())).get("/openapi.json").json()

    assert signed["security"] == [{"token": []}]
    assert signed["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    open_paths = {path for path, each in signed["paths"].items() for o in each.values() if o.get("security") == []}
    assert open_paths == {"/livez", "/readyz", "/metrics"}
    assert "security" not in unsigned


def test_the_description_says_that_a_session_signs_too(make_parts, tokens, make_people):
    """Where people sign in; by which cookie, a generated client knows."""
    people = make_people(MemorySessionStore(timedelta(hours=1)))
    described = Client(create_app(make_parts(tokens=tokens, people=people))).get("/openapi.json").json()

    assert described["security"] == [{"token": []}, {"session": []}]
    scheme = described["components"]["securitySchemes"]["session"]
    assert scheme == {"type": "apiKey", "in": "cookie", "name": "loopcast"}


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_whatever_is_asked_is_answered_as_the_description_says(schema, mode):
    """No failure of ours, no answer of another shape or status, and no broken request taken for a good one."""
    for operation in (found.ok() for found in schema.get_all_operations()):
        if mode is GenerationMode.NEGATIVE and operation.definition.raw["operationId"] not in BREAKABLE:
            continue

        @QUICK
        @given(case=operation.as_strategy(generation_mode=mode), problem=st.sampled_from(["google", "prices", None]))
        def ask(case, problem):
            if mode is GenerationMode.POSITIVE and problem and "problem" in case.path_parameters:
                case.path_parameters["problem"] = problem
            case.call_and_validate(base_url="http://localhost", checks=CHECKS)

        ask()
