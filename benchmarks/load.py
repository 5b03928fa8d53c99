"""Asks a server over and over, on connections that stay open, and notes how long each answer took.

It runs in a process of its own, beside the server that it measures: `python -m benchmarks.load PORT < request`.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

import numpy as np

HEAD_END: Final = b"\r\n\r\n"
Judge = Callable[[int, bytes], bool]
"""Whether an answer, its status and body, is right."""


@dataclass(frozen=True)
class Measured:
    """What a load found.

    Attributes:
        n_requests: All that were made.
        n_failed: Of those, answered wrongly or not at all.
        per_s: Right answers a second.
        p50_ms, p99_ms: Percentiles of the time from the request to the whole answer.
    """

    n_requests: int
    n_failed: int
    per_s: float
    p50_ms: float
    p99_ms: float


@dataclass
class Notes:
    """What the connections note together."""

    latencies_s: list[float] = field(default_factory=list)
    n_right: int = 0
    n_failed: int = 0


class Connection(asyncio.Protocol):
    """One connection, with one request under way at a time."""

    def __init__(self, request: bytes, is_over: Callable[[], bool], judge: Judge, notes: Notes) -> None:
        self.request, self.is_over, self.judge, self.notes = request, is_over, judge, notes
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio says."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """As asyncio says."""
        self.received += data
        head, separator, body = self.received.partition(HEAD_END)
        if not separator:
            return
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        if len(body) < length:
            return
        self.is_waiting = False
        self.notes.latencies_s.append(time.perf_counter() - self.asked_s)
        is_right = self.judge(int(lines[0].split()[1]), body)
        self.notes.n_right += is_right
        self.notes.n_failed += not is_right
        if self.is_over() or b"connection: close" in lines:
            self.transport.close()
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio says."""
        self.notes.n_failed += self.is_waiting
        self.closed.set_result(None)

    def _ask(self) -> None:
        self.received, self.asked_s, self.is_waiting = b"", time.perf_counter(), True
        self.transport.write(self.request)


def is_success(status: int, body: bytes) -> bool:
    """Whether there is an answer at all."""
    return status == 200 and bool(body)


def write_request(path: str, body: bytes, headers: tuple[str, ...] = ()) -> bytes:
    """A POST of JSON as it goes over the wire."""
    lines = (f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *headers)
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def drive(
    port: int, request: bytes, *, concurrency: int, is_over: Callable[[], bool], judge: Judge = is_success
) -> Measured:
    """Ask until it is over, on so many connections at once; a connection that is lost is opened anew."""
    loop, notes = asyncio.get_running_loop(), Notes()
    started_s = time.perf_counter()

    async def keep_asking() -> None:
        while not is_over():
            try:
                _, connection = await loop.create_connection(
                    lambda: Connection(request, is_over, judge, notes), "127.0.0.1", port
                )
            except OSError:
                notes.n_failed += 1
                await asyncio.sleep(0.05)
            else:
                await connection.closed

    await asyncio.gather(*(keep_asking() for _ in range(concurrency)))
    took_s = time.perf_counter() - started_s
    p50, p99 = np.percentile(notes.latencies_s or [float("nan")], [50, 99]) * 1000
    n_requests = notes.n_right + notes.n_failed
    return Measured(n_requests, notes.n_failed, notes.n_right / took_s, float(p50), float(p99))


def main() -> None:
    """Ask with the request from standard input, and print what was measured as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--duration-s", type=float, default=5)
    options = parser.parse_args()
    request = sys.stdin.buffer.read()
    until_s = time.perf_counter() + options.duration_s
    found = drive(options.port, request, concurrency=options.concurrency, is_over=lambda: time.perf_counter() > until_s)
    print(json.dumps(asdict(asyncio.run(found))))


if __name__ == "__main__":
    main()
