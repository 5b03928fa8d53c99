"""People who walk through the desk: `python -m benchmarks.desk_load PORT`, in a process of its own.

Each opens page after page, with the parts that the page fetches after itself, looks at it for a while, and goes on. A
browser loads scripts and styles once, so they are asked for once.
"""

import argparse
import asyncio
import json
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import httpx
import numpy as np

from benchmarks.desk_home import N_SERIES, NAME

THINK_S: Final = 7.0
"""Mean of the time for which a person looks at a page before they go on, exponentially distributed.

Source: TPC Benchmark W: think time has a mean of at least 7 s, and ends at ten times it.
"""
PARTS: Final = re.compile(r'hx-get="([^"]+)"[^>]*hx-trigger="load"')
"""What a page fetches after itself."""
ASSETS: Final = re.compile(r'(?:src|href)="(/static/[^"]+)"')


@dataclass
class Walked:
    """What the people saw.

    Attributes:
        latencies_ms: Of every page and part, from the request to the last byte.
        n_failed: Answers other than 200.
        took_s: By the clock.
    """

    latencies_ms: list[float] = field(default_factory=list)
    n_failed: int = 0
    took_s: float = 0.0


def plan_walk(person: int) -> Iterator[str]:
    """The pages of a person, one after the other and without end: mostly forecasts, each of another series."""
    chance = random.Random(person)  # noqa: S311  repeatable
    while True:
        series = f"problem={NAME}&series=S{chance.randrange(N_SERIES):03}"
        yield f"/forecast?{series}"
        yield f"/track-record?{series}"
        yield f"/forecast?problem={NAME}&series=S{chance.randrange(N_SERIES):03}"
        yield f"/health?problem={NAME}"
        yield f"/models?problem={NAME}"
        yield "/queries"


async def walk(person: int, client: httpx.AsyncClient, think_s: float, until_s: float, walked: Walked) -> None:
    """Let one person walk until a moment of the clock `time.perf_counter`."""
    chance, known = random.Random(f"think {person}"), set[str]()  # noqa: S311  repeatable
    await asyncio.sleep(chance.uniform(0, think_s))
    for path in plan_walk(person):
        if time.perf_counter() > until_s:
            return
        page = await ask(client, path, walked)
        for asset in ASSETS.findall(page):
            if asset not in known:
                known.add(asset)
                await client.get(asset)
        for part in PARTS.findall(page):
            await ask(client, part.replace("&amp;", "&"), walked)
        await asyncio.sleep(min(chance.expovariate(1 / think_s), 10 * think_s) if think_s else 0)


async def ask(client: httpx.AsyncClient, path: str, walked: Walked) -> str:
    """A page or a part of one, and how long it took."""
    started_s = time.perf_counter()
    response = await client.get(path)
    walked.latencies_ms.append(1000 * (time.perf_counter() - started_s))
    walked.n_failed += response.status_code != 200
    return response.text


async def walk_together(port: int, n_users: int, think_s: float, duration_s: float) -> Walked:
    """What so many people see at once, each on a connection of their own."""
    walked, started_s = Walked(), time.perf_counter()
    clients = [httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) for _ in range(n_users)]
    try:
        async with asyncio.TaskGroup() as people:
            for person, client in enumerate(clients):
                people.create_task(walk(person, client, think_s, started_s + duration_s, walked))
    finally:
        for client in clients:
            await client.aclose()
    walked.took_s = time.perf_counter() - started_s
    return walked


def main() -> None:
    """Walk, and print what was seen as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--think-s", type=float, default=THINK_S)
    parser.add_argument("--duration-s", type=float, default=60)
    options = parser.parse_args()
    walked = asyncio.run(walk_together(options.port, options.users, options.think_s, options.duration_s))
    p50, p95 = np.percentile(walked.latencies_ms, [50, 95])
    figures = {"n": len(walked.latencies_ms), "n_failed": walked.n_failed, "took_s": walked.took_s}
    print(json.dumps(figures | {"p50_ms": float(p50), "p95_ms": float(p95)}))


if __name__ == "__main__":
    main()
