"""Flyte's checkpoint as a folder: taken up when a preempted task starts again, and saved while it runs."""

import contextvars
import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from flytekit.core.checkpointer import Checkpoint

SAVE_EVERY_S: Final = 15.0
"""Seconds between saves: a preemption costs at most this much work, and the upload of some kilobytes costs nothing."""

log = logging.getLogger(__name__)


@contextmanager
def open_checkpoints(checkpoint: Checkpoint | None, save_every_s: float = SAVE_EVERY_S) -> Iterator[Path]:
    """Give a folder that holds what an earlier attempt saved, and save it every few seconds and at the end.

    Args:
        checkpoint: Of the current task; None outside of one.
        save_every_s: Seconds between saves.
    """
    with TemporaryDirectory(prefix="loopcast-checkpoints-") as name:
        folder = Path(name)
        if checkpoint is not None and checkpoint.prev_exists():
            checkpoint.restore(name)
        is_over = threading.Event()
        # Flyte keeps its context in context variables, which a new thread does not inherit.
        arguments = (_save_until, is_over, checkpoint, folder, save_every_s)
        saver = threading.Thread(target=contextvars.copy_context().run, args=arguments, daemon=True)
        saver.start()
        try:
            yield folder
        finally:
            is_over.set()
            saver.join()


def _save_until(is_over: threading.Event, checkpoint: Checkpoint | None, folder: Path, save_every_s: float) -> None:
    saved: dict[str, int] = {}
    was_over = checkpoint is None
    while not was_over:
        was_over = is_over.wait(save_every_s)
        files = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.pt")}
        if files == saved:
            continue
        with TemporaryDirectory(prefix="loopcast-saved-") as copy:
            for name in files:
                shutil.copy2(folder / name, copy)  # the originals are replaced while they would be uploaded
            try:
                checkpoint.save(copy)
                saved = files
            except OSError as exc:
                log.warning("checkpoint not saved, tried again in %.0f s: %s", save_every_s, exc)
