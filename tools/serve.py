"""Serves the champions and answers long queries: starts the service and one worker, until Ctrl-C or a signal.

A worker that ends by itself is started again; when the service ends, so does the worker, and this.
"""

import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Final

from tools.children import describe_service, end, on_ending, start

SERVICE: Final = [str(Path(sys.executable).parent / "bentoml"), "serve", "bento.service:Loopcast"]
WORKER: Final = [sys.executable, "-m", "app.queries.worker"]
POLL_S: Final = 0.2
FIRST_DELAY_S: Final = 1.0
"""Before a worker that ended by itself is started again; twice as long each time, until one has lived for a while."""
LAST_DELAY_S: Final = 30.0


def main() -> int:
    """Start both, keep the worker alive, end both, and return how the service ended."""
    is_over = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        is_over.set()

    on_ending(stop)
    service = start([*SERVICE, *sys.argv[1:]], env=describe_service())
    worker = Worker()
    while not is_over.wait(POLL_S) and service.poll() is None:
        worker.keep_alive()
    code, _ = end(service, worker.process)
    return 0 if is_over.is_set() else code or 1


class Worker:
    """The worker's process, started again when it ends by itself."""

    def __init__(self) -> None:
        self._delay_s = FIRST_DELAY_S
        self._start()

    def keep_alive(self) -> None:
        """Start it again where it has ended, after a while."""
        code = self.process.poll()
        if code is None:
            return
        now_s = time.monotonic()
        if self._again_s is None:
            if now_s - self._started_s > 2 * LAST_DELAY_S:
                self._delay_s = FIRST_DELAY_S
            self._again_s = now_s + self._delay_s
            what = f"the worker ended with {code}; long queries wait, and it starts again in {self._delay_s:.0f} s"
            print(f"loopcast: {what}", file=sys.stderr, flush=True)
            self._delay_s = min(2 * self._delay_s, LAST_DELAY_S)
        elif now_s >= self._again_s:
            self._start()

    def _start(self) -> None:
        self.process = start(WORKER)
        self._started_s = time.monotonic()
        self._again_s: float | None = None


if __name__ == "__main__":
    sys.exit(main())
