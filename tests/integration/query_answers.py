"""Answers to queries for tests, quick, slow or poisoned as the series is called; run, a worker that gives them."""

import ctypes
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from app.queries.answered import Answered
from app.queries.worker import run_worker
from loopcast.errors import DataRefusedError, StoreError
from loopcast.queries.kinds import Report
from loopcast.stores.opened import Stores
from loopcast.stores.query import Query


def answer(stores: Stores, query: Query, report: Report) -> Answered:
    """As the series' name says; each answer tells the process that gave it and how often it was tried."""
    what, _, argument = query.request["series_id"].partition(" ")
    report(0.01, f"Is at {what} in process {os.getpid()}")
    match what:
        case "slow":
            n_steps = int(float(argument) * 20)
            for step in range(1, n_steps + 1):
                time.sleep(0.05)
                report(step / n_steps, f"Step {step} of process {os.getpid()}")
        case "deaf":
            time.sleep(float(argument))
        case "endless":
            while True:
                pass
        case "crash":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "hog":
            held = []
            while True:
                held.append(np.empty(10**7))
                report(0.6, f"Has {80 * len(held)} MB")
        case "many":
            return Answered({"text": "x" * 2**21})
        case "refused":
            raise DataRefusedError("GOOG: 24 rows, needs 126; widen the source")
        case "bug":
            raise ZeroDivisionError("secret of the inside")
        case "away":
            raise StoreError("the artifact store does not answer")
        case "file":
            path = Path(tempfile.mkdtemp()) / "rows.csv"
            path.write_text("a,b\n1,2\n", encoding="utf-8")
            return Answered({"n_rows": 1}, {"rows.csv": path})
    return Answered({"pid": os.getpid(), "n_attempts": query.n_attempts, "nothing": float("nan"), "nul": "\0"})


if __name__ == "__main__":
    run_worker(answer)
