"""The limit: the core behind FastAPI and orjson on bare uvicorn. `python -m benchmarks.serving_peers.bare PORT`."""

import gc
import sys

import orjson
import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.serving_peers.core import Core

app = FastAPI()
core = Core()


@app.post("/forecasts")
async def forecast(request: Request) -> Response:
    """See `Core.forecast`."""
    body = orjson.loads(await request.body())
    return Response(orjson.dumps(core.forecast(body)), media_type="application/json")


if __name__ == "__main__":
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # as the service does, so that the difference is not the collector's
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
