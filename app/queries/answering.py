"""Answers to long queries: what is asked is computed from what `opening` brings, or done by `acts`.

How a query waits, runs and ends is for `worker`; what each kind computes stands in `loopcast.queries`.
"""

import tempfile
from pathlib import Path

from pydantic import BaseModel

from app.queries.acts import promote_version, roll_back, train_challenger
from app.queries.answered import Answered
from app.queries.opening import OPENING, bring_upload, open_champion, read_problem
from loopcast.queries import requests
from loopcast.queries.backtest import backtest_series
from loopcast.queries.bulk_forecast import forecast_upload
from loopcast.queries.explanation import explain_latest
from loopcast.queries.kinds import Report
from loopcast.queries.requests import Request, parse_request
from loopcast.queries.what_if import ask_what_if
from loopcast.stores.opened import Stores
from loopcast.stores.query import Query


def answer_query(stores: Stores, query: Query, report: Report) -> Answered:
    """The answer to a query, with the files that belong to it.

    Raises:
        LoopcastError: It cannot be answered, and why.
        QueryCancelledError: It was stopped.
    """
    folder = Path(tempfile.mkdtemp())
    result = _answer(stores, query, parse_request(query.kind, query.request), folder, report)
    return Answered(result.model_dump(mode="json"), {file.name: file for file in sorted(folder.iterdir())})


def _answer(stores: Stores, query: Query, request: Request, folder: Path, report: Report) -> BaseModel:
    match request:
        case requests.PromotionRequest():
            return promote_version(stores, query, request, report)
        case requests.RollbackRequest():
            return roll_back(stores, query, request, report)
        case requests.TrainingRequest():
            return train_challenger(stores, query, read_problem(stores, query.problem, report), report)
    champion = open_champion(stores, query.problem, report)

    def report_rest(ratio: float, sentence: str) -> None:
        report(OPENING + (1 - OPENING) * ratio, sentence)

    match request:
        case requests.ExplanationRequest():
            return explain_latest(request, champion, report_rest)
        case requests.BacktestRequest():
            return backtest_series(request, champion, folder, report_rest)
        case requests.WhatIfRequest():
            return ask_what_if(request, champion, report_rest)
        case requests.BulkForecastRequest():
            return forecast_upload(bring_upload(stores, query, request), champion, folder, report_rest)
    raise AssertionError(f"every kind is answered, also {query.kind}")
