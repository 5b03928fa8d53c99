"""Flyte retries what passes by itself, and only that."""

from http.client import RemoteDisconnected
from socket import gaierror

import aiohttp
import psycopg
import pytest
import requests
import urllib3.exceptions
from aiohttp.client_reqrep import ConnectionKey
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from flytekit.exceptions.system import FlyteDownloadDataException, FlyteUploadDataException
from flytekit.exceptions.user import FlyteRecoverableException
from google.api_core.exceptions import Forbidden, ServiceUnavailable
from mlflow.exceptions import MlflowException, RestException

from loopcast.errors import SourceError, StoreError
from tasks.faults import retry_transient_faults
from tests.flyte.pods import pod

S3 = "https://s3.example.org"
KEY = ConnectionKey("s3.example.org", 443, True, True, None, None, None)
PASSING = [
    ConnectionResetError("gone"),
    TimeoutError("late"),
    gaierror(-3, "Temporary failure in name resolution"),
    psycopg.OperationalError("away"),
    psycopg.errors.AdminShutdown("restarted"),
    requests.ConnectionError("refused"),
    requests.ReadTimeout("late"),
    requests.exceptions.ChunkedEncodingError("cut off"),
    requests.exceptions.RetryError("too many 503 error responses"),
    aiohttp.ClientConnectorError(KEY, OSError("refused")),
    aiohttp.ServerDisconnectedError(),
    EndpointConnectionError(endpoint_url=S3),
    ConnectTimeoutError(endpoint_url=S3),
    ReadTimeoutError(endpoint_url=S3),
    ConnectionClosedError(endpoint_url=S3),
    urllib3.exceptions.ProtocolError("cut off", RemoteDisconnected()),
    urllib3.exceptions.ReadTimeoutError(None, S3, "late"),
    ServiceRequestError("not sent"),
    ServiceUnavailable("busy"),
    FlyteUploadDataException("not uploaded"),
    FlyteDownloadDataException("not downloaded"),
]
LASTING = [
    SourceError("no column `price`; found `prize`; correct columns.target"),
    FileNotFoundError("prices.csv"),
    PermissionError("Forbidden"),
    requests.HTTPError("404 Client Error"),
    ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "GetObject"),
    aiohttp.ClientResponseError(None, (), status=403),
    HttpResponseError("403"),
    Forbidden("403"),
    RestException({"error_code": "PERMISSION_DENIED", "message": "not yours"}),
]


def name_kind(fault: Exception) -> str:
    """The class of a fault, with its package."""
    return f"{type(fault).__module__}.{type(fault).__name__}"


def refuse(fault: Exception) -> None:
    """Fail as a library would."""
    raise fault


@pytest.mark.parametrize("fault", PASSING, ids=name_kind)
def test_a_passing_fault_is_worth_another_attempt(fault):
    """Also where the store that met it raised a sentence of its own from it."""

    @retry_transient_faults
    def read_rows():
        raise StoreError("the store does not answer; start it") from fault

    with pod(), pytest.raises(FlyteRecoverableException, match="does not answer; start it"):
        read_rows()


def test_a_passing_fault_is_told_as_it_is_where_nothing_is_tried_again():
    """A laptop's run: Flyte's own error would say the sentence twice."""

    @retry_transient_faults
    def read_rows():
        raise StoreError("the store does not answer; start it") from TimeoutError("late")

    with pytest.raises(StoreError) as raised:
        read_rows()

    assert str(raised.value) == "the store does not answer; start it"


def test_a_passing_fault_is_found_behind_an_error_that_does_not_name_its_cause():
    """MLflow raises its own while it handles that of requests, without `from`."""

    @retry_transient_faults
    def log_figures():
        try:
            refuse(requests.ConnectionError("refused"))
        except requests.ConnectionError as exc:
            raise MlflowException(f"API request failed with exception {exc}")  # noqa: B904  # as MLflow does

    with pod(), pytest.raises(FlyteRecoverableException, match="API request failed"):
        log_figures()


@pytest.mark.parametrize("fault", LASTING, ids=name_kind)
def test_a_lasting_fault_is_raised_as_it_is(fault):
    """A column that is missing stays missing however often one looks, and so does a right that nobody gave."""

    @retry_transient_faults
    def read_rows():
        raise fault

    with pod(), pytest.raises(type(fault)) as raised:
        read_rows()

    assert raised.value is fault


def test_what_an_error_says_to_leave_out_is_not_looked_at():
    """`raise ... from None` tells that the fault before it is of no account."""

    @retry_transient_faults
    def read_rows():
        try:
            refuse(TimeoutError("no newer file"))
        except TimeoutError:
            raise SourceError("prices.csv: no such file; correct source.uri") from None

    with pod(), pytest.raises(SourceError, match="no such file"):
        read_rows()
