"""Which versions are in service, asked in a millisecond or two, without MLflow.

A service asks every few seconds, and MLflow would cost it eighty megabytes and a pause at its import. So it reads what
MLflow's client would: the aliases' table, where MLflow's tables lie in this database, else the REST API of the server.
Aliases are moved in `promotion`.
"""

import base64
import json
import os
import ssl
import urllib.request
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, urlencode, urlsplit

from loopcast.errors import StoreError
from loopcast.settings import Settings
from loopcast.stores.database import Database

CHAMPION: Final = "champion"
"""Alias of the version in service."""
SEARCH: Final = "/api/2.0/mlflow/registered-models/search"
MAX_MODELS: Final = 1000
"""Registered models that MLflow lists at once, at most."""
TIMEOUT_S: Final = 10.0
HAS_TABLES = "SELECT to_regclass('mlflow.registered_model_aliases') IS NOT NULL"
SELECT = "SELECT name, version FROM mlflow.registered_model_aliases WHERE alias = %s AND workspace = 'default'"

SELECT_OURS = "SELECT problem, version FROM loopcast.model_versions WHERE problem = ANY(%s)"


def read_champions(settings: Settings, database: Database) -> dict[str, int]:
    """The number of the version in service of each problem that has one; models of other makers are left out.

    Raises:
        StoreError: The database or the server does not answer.
    """
    if settings.tracking_uri is None:
        with database.connect() as connection:
            (has_tables,) = connection.execute(HAS_TABLES).fetchone() or (False,)
            rows = connection.execute(SELECT, [CHAMPION]).fetchall() if has_tables else []
        found = {str(name): int(version) for name, version in rows}
    else:
        found = _ask_server(settings.tracking_uri, os.environ)
    with database.connect() as connection:
        ours = set(connection.execute(SELECT_OURS, [list(found)]))
    return {name: version for name, version in found.items() if (name, version) in ours}


def _ask_server(uri: str, environ: Mapping[str, str]) -> dict[str, int]:
    """What an MLflow server says, asked with the credentials that MLflow's client would take.

    Args:
        uri: Of the server.
        environ: MLFLOW_TRACKING_TOKEN, _USERNAME and _PASSWORD, _INSECURE_TLS and _SERVER_CERT_PATH, if they are set.
    """
    if urlsplit(uri).scheme not in {"http", "https"}:
        raise StoreError(
            f"LOOPCAST_TRACKING_URI: found {urlsplit(uri).scheme or 'no scheme'}, and a service follows an http:// or "
            "https:// server; unset it where MLflow's tables lie in Loopcast's own database"
        )
    address, headers = _split_credentials(uri, environ)
    numbers: dict[str, int] = {}
    token = ""
    while True:
        query = {"max_results": str(MAX_MODELS)} | ({"page_token": token} if token else {})
        page = _get(f"{address}{SEARCH}?{urlencode(query)}", headers, _open_tls(environ))
        for model in page.get("registered_models", []):
            versions = {each["alias"]: int(each["version"]) for each in model.get("aliases", [])}
            if CHAMPION in versions:
                numbers[model["name"]] = versions[CHAMPION]
        token = page.get("next_page_token", "")
        if not token:
            return numbers


def _get(url: str, headers: dict[str, str], tls: ssl.SSLContext) -> dict[str, Any]:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  the scheme was looked at
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=tls) as answer:  # noqa: S310
            page: dict[str, Any] = json.load(answer)
    except (OSError, ValueError) as exc:
        raise StoreError(
            f"MLflow at {url.partition(SEARCH)[0]} does not answer: {exc}; start it, or correct MLFLOW_TRACKING_URI, "
            "MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        ) from exc
    return page


def _split_credentials(uri: str, environ: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The address without its credentials, and the header that carries them.

    >>> _split_credentials("https://ada:s%40cret@mlflow.example.org/", {})
    ('https://mlflow.example.org', {'Authorization': 'Basic YWRhOnNAY3JldA=='})
    >>> _split_credentials("http://localhost:5000", {"MLFLOW_TRACKING_TOKEN": "abc"})
    ('http://localhost:5000', {'Authorization': 'Bearer abc'})
    >>> _split_credentials("http://localhost:5000", {})
    ('http://localhost:5000', {})
    """
    parts = urlsplit(uri)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    user = unquote(parts.username or "") or environ.get("MLFLOW_TRACKING_USERNAME", "")
    password = unquote(parts.password or "") or environ.get("MLFLOW_TRACKING_PASSWORD", "")
    token = environ.get("MLFLOW_TRACKING_TOKEN")
    if user and password:
        return address, {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
    return address, {"Authorization": f"Bearer {token}"} if token else {}


def _open_tls(environ: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH"))
    if environ.get("MLFLOW_TRACKING_INSECURE_TLS") == "true":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
